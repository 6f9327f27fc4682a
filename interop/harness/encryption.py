"""Encrypted connections (MSE): with clients that take nothing else, and with one that takes none."""
from .case import Failure
from .exchange import compare, exchange
from .tracker import OpenTracker

WHY = "took no encrypted connection"


def plans(us, others, plaintext_only):
    """The name and the body of each case; a body takes the case, the content and the torrent."""
    for other in others:
        strict = other.with_encryption("require")
        for how in ("prefer", "require"):
            ours = us.with_encryption(how)
            yield (f"encryption/{other.name} seeds encrypted alone to {us.name} that {how}s it",
                   lambda case, content, torrent, ours=ours, strict=strict: exchange(case, content, torrent, strict, ours))
            yield (f"encryption/{other.name} downloads encrypted alone from {us.name} that {how}s it",
                   lambda case, content, torrent, ours=ours, strict=strict: exchange(case, content, torrent, ours, strict))
    ours = us.with_encryption("prefer")
    name = plaintext_only.name
    yield (f"encryption/{name} seeds in plaintext to {us.name} that prefers it",
           lambda case, content, torrent: exchange(case, content, torrent, plaintext_only, ours))
    yield (f"encryption/{name} downloads in plaintext from {us.name} that prefers it",
           lambda case, content, torrent: exchange(case, content, torrent, ours, plaintext_only))
    strict = us.with_encryption("require")
    yield (f"encryption/{name} seeds in plaintext to {us.name} that requires it",
           lambda case, content, torrent: refused(case, content, torrent, plaintext_only, strict))


def refused(case, content, torrent, seeder, downloader):
    """Nothing is exchanged, and the downloader says why; without that wish it goes on."""
    tracker = OpenTracker(case, torrent.wire_hashes)
    torrent = torrent.with_trackers(case.path("http.torrent"), [tracker.http_url])
    up = seeder.seed(case, torrent, content.copy(case.path("seed")), case.address(), role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process, tracker.process])
    case.wait(tracker.knows(torrent.wire_hashes[0], 1), f"{seeder.name} has announced itself", [up.process, tracker.process])
    out = case.new_folder("out")
    down = downloader.download(case, torrent, out, case.address(), role="-strict", more=("--stall-timeout", "12s"))
    case.wait(lambda: down.process.poll() is not None, f"{downloader.name} gives up", [up.process, tracker.process])
    if down.process.status != 6 or not down.process.said(WHY):
        raise Failure(f"{downloader.name} ended with {down.process.status} and without {WHY!r}:\n{down.process.tail()}")
    again = downloader.with_encryption("prefer").download(case, torrent, out, case.address(), role="-again")
    case.wait(again.complete, f"{downloader.name} completes", [again.process, up.process, tracker.process])
    compare(case, content, out, downloader)
