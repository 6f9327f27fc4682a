"""One libtorrent session on one torrent: libtorrent_peer.py TORRENT|MAGNET FOLDER ADDRESS:PORT STATE_FILE UP_LIMIT [fast] [once] [encrypted] [pex] [lsd] [dht] [router=HOST:PORT] [peer=HOST:PORT]...

Seeds what is in FOLDER, downloads the rest, goes on until stopped, and keeps STATE_FILE up to date (JSON).
`fast`: the settings that libtorrent offers to busy machines. `once`: it ends when it is complete. `encrypted`:
every connection is, with RC4; else none is. `pex`, `lsd`, `dht`: it finds peers
that way. `router`: the node of the DHT that it asks first. `peer`: it connects to this one.
"""
import json
import os
import sys

import libtorrent

FAST = {
    **libtorrent.high_performance_seed(), "aio_threads": 4, "hashing_threads": 2, "max_out_request_queue": 1500,
    "recv_socket_buffer_size": 4 << 20, "send_socket_buffer_size": 4 << 20, "max_queued_disk_bytes": 64 << 20,
}

# "v1 and v2 hashes do not describe the same data". libtorrent 2.0.8 says so now and then of a hybrid torrent whose piece
# layers come from a peer, whatever the data; as its user would, we have it check again. Bytes are compared at the end anyway.
INCONSISTENT = 217
SECOND_LOOKS = 3


def main():
    torrent, folder, listen, state, up_limit, *how = sys.argv[1:]
    policy = libtorrent.enc_policy.pe_forced if "encrypted" in how else libtorrent.enc_policy.pe_disabled
    session = libtorrent.session({
        **(FAST if "fast" in how else {}),
        "listen_interfaces": listen, "outgoing_interfaces": listen.rsplit(":", 1)[0].strip("[]"),
        "enable_dht": "dht" in how, "dht_bootstrap_nodes": "".join(word.partition("=")[2] for word in how if word.startswith("router=")),
        "dht_announce_interval": 10,  # It asks once before it knows a node.
        "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False, "dht_ignore_dark_internet": False,
        "enable_lsd": "lsd" in how, "enable_upnp": False, "enable_natpmp": False,
        "enable_incoming_utp": False, "enable_outgoing_utp": False,
        "in_enc_policy": policy, "out_enc_policy": policy, "allowed_enc_level": libtorrent.enc_level.pe_rc4,
        "allow_multiple_connections_per_ip": True,
        "min_reconnect_time": 1, "stop_tracker_timeout": 1,
        "alert_mask": libtorrent.alert.category_t.error_notification | libtorrent.alert.category_t.status_notification,
    })
    if torrent.startswith("magnet:"):
        parameters = libtorrent.parse_magnet_uri(torrent)
    else:
        parameters = libtorrent.add_torrent_params()
        parameters.ti = libtorrent.torrent_info(torrent)
    parameters.save_path = folder
    parameters.flags &= ~(libtorrent.torrent_flags.paused | libtorrent.torrent_flags.auto_managed)
    if "pex" not in how:
        parameters.flags |= libtorrent.torrent_flags.disable_pex
    handle = session.add_torrent(parameters)
    peers = [word.partition("=")[2].rsplit(":", 1) for word in how if word.startswith("peer=")]
    connected = False
    # The session's own limit would not count for peers on private addresses.
    handle.set_upload_limit(int(up_limit))
    checking = (libtorrent.torrent_status.checking_files, libtorrent.torrent_status.checking_resume_data)
    flushing = flushed = False
    looks = 0
    while True:
        session.wait_for_alert(50)
        for alert in session.pop_alerts():
            print(alert.what(), alert.message(), flush=True)
            flushed |= flushing and isinstance(alert, libtorrent.cache_flushed_alert)
            if isinstance(alert, libtorrent.torrent_error_alert) and alert.error.value() == INCONSISTENT and looks < SECOND_LOOKS:
                looks += 1
                handle.clear_error()
                handle.force_recheck()
                handle.resume()
        status = handle.status()
        if status.state in checking:
            continue
        if not connected:
            connected = True
            for host, port in peers:
                handle.connect_peer((host, int(port)))
        if status.is_seeding and not flushing:
            # Complete means that a reader of the files sees all of it.
            handle.flush_cache()
            flushing = True
        with open(state + ".new", "w") as file:
            json.dump({
                "complete": flushed, "done": status.total_wanted_done,
                "uploaded": status.total_payload_upload, "downloaded": status.total_payload_download,
                "failed": status.total_failed_bytes, "peers": status.num_peers}, file)
        os.replace(state + ".new", state)
        if "once" in how and flushed:
            break


main()
