"""Kill -9 in the middle: the only seeder, then the downloader; both end with the right bytes and little is fetched twice."""
import os

from .case import Failure
from .content import MIB
from .exchange import compare
from .tracker import OpenTracker

RATE = 12 * MIB
# What may be fetched again: pieces that were not whole when the process died, and what was on its way in socket buffers.
SLACK = 4 * MIB


def stored(folder, content):
    """Bytes that the file system holds of a single file."""
    try:
        return os.stat(os.path.join(folder, content.root_name)).st_blocks * 512
    except FileNotFoundError:
        return 0


def kill_seeder(case, content, torrent, seeder, downloader):
    """The only seeder dies at a third and comes back on the same address."""
    tracker, over_http, data, out = _prepare(case, content, torrent)
    address = case.address()
    up = seeder.seed(case, over_http, data, address, role="-seeder", up_limit=RATE)
    case.wait(up.ready, "the seeder serves", [up.process])
    case.wait(tracker.knows(torrent.v1, 1), "the seeder has announced itself", [up.process])
    down = downloader.download(case, over_http, out, case.address(), role="-downloader")
    case.wait(lambda: stored(out, content) > content.length // 3, "a third is there", [up.process, down.process])
    first = _uploaded(up)
    up.process.kill()
    if down.complete():
        raise Failure("the downloader was done before the seeder died")
    up = seeder.seed(case, over_http, data, address, role="-seeder2", up_limit=RATE)
    case.wait(down.complete, "the downloader completes", [up.process, down.process])
    compare(case, content, out, downloader)
    return None, _bounded(content, first, _uploaded(up))


def kill_downloader(case, content, torrent, seeder, downloader):
    """The downloader dies at a third; the same command goes on."""
    tracker, over_http, data, out = _prepare(case, content, torrent)
    up = seeder.seed(case, over_http, data, case.address(), role="-seeder", up_limit=RATE)
    case.wait(up.ready, "the seeder serves", [up.process])
    case.wait(tracker.knows(torrent.v1, 1), "the seeder has announced itself", [up.process])
    address = case.address()
    down = downloader.download(case, over_http, out, address, role="-downloader")
    case.wait(lambda: stored(out, content) > content.length // 3, "a third is there", [up.process, down.process])
    down.process.kill()
    if down.complete():
        raise Failure("the downloader was done before it was killed")
    down = downloader.download(case, over_http, out, address, role="-downloader")
    case.wait(down.complete, "the downloader completes", [up.process, down.process])
    compare(case, content, out, downloader)
    return None, _bounded(content, _uploaded(up), 0)


def _prepare(case, content, torrent):
    tracker = OpenTracker(case, [torrent.v1])
    over_http = torrent.with_trackers(case.path("http.torrent"), [tracker.http_url])
    return tracker, over_http, content.copy(case.path("seed")), case.new_folder("out")


def _uploaded(running):
    """Payload bytes that the seeder says it has sent; None when it does not say."""
    count = getattr(running, "uploaded", None)
    return count() if count else None


def _bounded(content, first, second):
    if first is None or second is None:
        return ""
    again = first + second - content.length
    if again > SLACK:
        raise Failure(f"{again / MIB:.1f} MiB were fetched twice; {SLACK / MIB:.0f} MiB may be")
    return f"{max(again, 0) / MIB:.2f} MiB fetched twice"
