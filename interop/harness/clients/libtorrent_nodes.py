"""Nodes of a DHT and nothing else, each a libtorrent session: libtorrent_nodes.py STATE_FILE ADDRESS:PORT...

Each is told of all others. STATE_FILE (JSON) says how many others each knows.
"""
import json
import os
import sys

import libtorrent


def main():
    state, *listens = sys.argv[1:]
    sessions = []
    for listen in listens:
        sessions.append(libtorrent.session({
            "listen_interfaces": listen, "outgoing_interfaces": listen.rsplit(":", 1)[0],
            "enable_dht": True, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
            "dht_bootstrap_nodes": "",
            # All are in one network.
            "dht_restrict_routing_ips": False, "dht_restrict_search_ips": False, "dht_ignore_dark_internet": False,
            "alert_mask": libtorrent.alert.category_t.stats_notification,
        }))
    for session in sessions:
        for listen in listens:
            host, _, port = listen.rpartition(":")
            session.add_dht_node((host, int(port)))
    known = [0] * len(sessions)
    while True:
        for number, session in enumerate(sessions):
            session.post_session_stats()
            session.wait_for_alert(100)
            for alert in session.pop_alerts():
                if isinstance(alert, libtorrent.session_stats_alert):
                    known[number] = alert.values["dht.dht_nodes"]
        with open(state + ".new", "w") as file:
            json.dump(known, file)
        os.replace(state + ".new", state)


main()
