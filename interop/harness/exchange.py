"""The matrix: client x direction x torrent. One seeder, one downloader, one tracker; bytes compared after."""
import time

from .case import Failure
from .tracker import OpenTracker, RiverrunTracker


def exchange(case, content, torrent, seeder, downloader, seeder_udp=False, downloader_udp=False, bare=False, ours=False, v6=False):
    """Moves `content` from one client to another; returns the seconds from the downloader's start to its end.

    `bare`: the downloader's torrent lacks the piece layers (BEP 52). They meet at opentracker, or at `ours`, by IPv6 alone if `v6`.
    """
    address = case.address6 if v6 else case.address
    tracker = RiverrunTracker(case, torrent.wire_hashes, address()) if ours else OpenTracker(case, torrent.wire_hashes)
    over_http = torrent.with_trackers(case.path("http.torrent"), [tracker.http_url])
    over_udp = torrent.with_trackers(case.path("udp.torrent"), [tracker.udp_url])
    data = content.copy(case.path("seed"))
    up = seeder.seed(case, over_udp if seeder_udp else over_http, data, address(), role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process, tracker.process])
    case.wait(tracker.knows(torrent.wire_hashes[0], 1), f"{seeder.name} has announced itself", [up.process, tracker.process])
    begin = time.monotonic()
    out = case.new_folder("out")
    wanted = over_udp if downloader_udp else over_http
    if bare:
        wanted = wanted.bare(case.path("bare.torrent"))
    down = downloader.download(case, wanted, out, address(), role="-downloader")
    case.wait(down.complete, f"{downloader.name} completes", [down.process, up.process, tracker.process])
    seconds = time.monotonic() - begin
    compare(case, content, out, downloader)
    return seconds


def compare(case, content, folder, client):
    """Raises when the copy of `client` differs. Ours is right the moment it says so; others may still be writing."""
    patience = 0 if client.name == "riverrun" else 10
    end = time.monotonic() + min(patience, case.left())
    while True:
        differences = content.differences(folder, client.creates_empty_files)
        if not differences:
            return
        if time.monotonic() >= end:
            raise Failure(f"{client.name}: " + "; ".join(differences[:5]))
        time.sleep(0.1)
