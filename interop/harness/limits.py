"""Rate limits: theirs, of which we are to use all, and ours, which is to be kept."""
import time

from .case import Failure
from .content import KIB, MIB
from .exchange import compare
from .tracker import OpenTracker

FAST, SLOW, SLOW_SEEDERS = 4 * MIB, 100 * KIB, 4
OURS = 4 * MIB
# Until there are connections, and until peers unchoke whom they have just met. aria2c takes two seconds of it for itself: it acts once a second,
# asks the tracker after the first and dials after the second. From the first byte on, a few milliseconds later, it gets what the limit
# allows, and at once the quarter of a second's worth that had gathered: 11.8 s where the limit means 10.
START = 3.0


def fast_and_slow(case, content, torrent, fast, slow, downloader):
    """One fast seeder and several slow ones: the download takes little longer than the sum of their rates allows."""
    tracker, over_http = _tracked(case, torrent)
    running = []
    for number in range(SLOW_SEEDERS + 1):
        client, rate = (fast, FAST) if number == 0 else (slow, SLOW)
        folder = content.copy(case.path(f"seed{number}"))
        running.append(client.seed(case, over_http, folder, case.address(), role=f"-seeder{number}", up_limit=rate))
    alive = [each.process for each in running]
    for each in running:
        case.wait(each.ready, "a seeder serves", alive)
    case.wait(tracker.knows(torrent.v1, len(running)), "all have announced themselves", alive)
    out = case.new_folder("out")
    elapsed = _timed(case, lambda: downloader.download(case, over_http, out, case.address()), alive)
    compare(case, content, out, downloader)
    best = content.length / (FAST + SLOW_SEEDERS * SLOW)
    if elapsed > best * 1.1 + START:
        raise Failure(f"{elapsed:.1f} s, where the sum of the rates allows {best:.1f} s")
    return None, f"{elapsed:.1f} s, best {best:.1f} s"


def kept(case, content, torrent, seeder, downloader):
    """The seeder's own limit, seen by another client: neither passed nor left unused."""
    tracker, over_http = _tracked(case, torrent)
    up = seeder.seed(case, over_http, content.copy(case.path("seed")), case.address(), role="-seeder", up_limit=OURS)
    case.wait(up.ready, "the seeder serves", [up.process])
    case.wait(tracker.knows(torrent.v1, 1), "the seeder has announced itself", [up.process])
    out = case.new_folder("out")
    elapsed = _timed(case, lambda: downloader.download(case, over_http, out, case.address()), [up.process])
    compare(case, content, out, downloader)
    due = content.length / OURS
    if not due * 0.95 <= elapsed <= due * 1.05 + START:
        raise Failure(f"{elapsed:.1f} s, where the limit means {due:.1f} s")
    return None, f"{elapsed:.1f} s, by the limit {due:.1f} s"


def _tracked(case, torrent):
    tracker = OpenTracker(case, [torrent.v1])
    return tracker, torrent.with_trackers(case.path("http.torrent"), [tracker.http_url])


def _timed(case, start, alive):
    began = time.monotonic()
    down = start()
    case.wait(down.complete, "the download completes", [*alive, down.process])
    return time.monotonic() - began
