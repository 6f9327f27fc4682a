"""Magnet links: the metadata and then the content from one peer, both ways."""
import time

from .exchange import compare
from .namespace import PEER_PORT
from .torrent import Link
from .tracker import OpenTracker


def from_peer(case, content, torrent, seeder, downloader):
    """The link names the seeder's address and nothing else."""
    alone = torrent.with_trackers(case.path("alone.torrent"), [])
    address = case.address()
    up = seeder.seed(case, alone, content.copy(case.path("seed")), address, role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process])
    return _download(case, content, Link.to(torrent, {"x.pe": f"{address}:{PEER_PORT}"}), up, downloader)


def through_tracker(case, content, torrent, seeder, downloader):
    """The link names a tracker, which knows the seeder alone."""
    tracker = OpenTracker(case, torrent.wire_hashes)
    announced = torrent.with_trackers(case.path("http.torrent"), [tracker.http_url])
    up = seeder.seed(case, announced, content.copy(case.path("seed")), case.address(), role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process])
    case.wait(tracker.knows(torrent.wire_hashes[0], 1), f"{seeder.name} has announced itself", [up.process, tracker.process])
    return _download(case, content, Link.to(torrent, {"tr": tracker.http_url}), up, downloader)


def _download(case, content, link, up, downloader):
    out = case.new_folder("out")
    begin = time.monotonic()
    down = downloader.download(case, link, out, case.address(), role="-downloader")
    case.wait(down.complete, f"{downloader.name} completes", [up.process, down.process])
    seconds = time.monotonic() - begin
    compare(case, content, out, downloader)
    return seconds
