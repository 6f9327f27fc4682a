"""opentracker as the tracker, over HTTP and UDP, and without a tracker."""
from .case import Failure
from .clients.riverrun import BINARY, Riverrun
from .exchange import compare
from .namespace import PEER_PORT, endpoint_at_home
from .process import run
from .tracker import OpenTracker


def peers_and_scrape(case, content, torrent, udp):
    """`riverrun peers` and `riverrun scrape` say what opentracker knows, and what it refuses."""
    tracker = OpenTracker(case, [torrent.v1])
    url = tracker.udp_url if udp else tracker.http_url
    announced = torrent.with_trackers(case.path("a.torrent"), [url])
    address = case.address()
    up = Riverrun().seed(case, announced, content.copy(case.path("seed")), address)
    case.wait(tracker.knows(torrent.v1, 1), "the seeder has announced itself", [up.process, tracker.process])
    if tracker.scrape(torrent.v1) != (1, 0):
        raise Failure(f"opentracker counts {tracker.scrape(torrent.v1)}, not one seed")
    status, output = _ours(case, "peers", announced.path)
    if status != 0 or endpoint_at_home(address) not in output.splitlines():
        raise Failure(f"riverrun peers ended with {status}: {output}")
    status, output = _ours(case, "scrape", announced.path)
    if status != 0 or url.removesuffix("/announce") not in output or "seeders 1 " not in output:
        raise Failure(f"riverrun scrape ended with {status}: {output}")
    up.process.stop()
    if tracker.scrape(torrent.v1) != (0, 0):
        raise Failure(f"opentracker counts {tracker.scrape(torrent.v1)} after the seeder has stopped and said so")


def refused(case, content, torrent, udp):
    """A tracker that does not serve the torrent: over HTTP it says so, and so do we (12). Over UDP opentracker cuts its
    answer off after 8 bytes, which is no answer to us (6)."""
    tracker = OpenTracker(case, ["00" * 20])
    announced = torrent.with_trackers(case.path("a.torrent"), [tracker.udp_url if udp else tracker.http_url])
    status, output = _ours(case, "peers", "--timeout", "3s", announced.path)
    expected, words = (6, "no answer") if udp else (12, "not authorized")
    if status != expected or words not in output:
        raise Failure(f"riverrun peers ended with {status}, not {expected}: {output}")


def by_address(case, content, torrent, seeder, downloader):
    """No tracker at all: the peer is named with --peer."""
    alone = torrent.with_trackers(case.path("alone.torrent"), [])
    address = case.address()
    up = seeder.seed(case, alone, content.copy(case.path("seed")), address, role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process])
    out = case.new_folder("out")
    down = downloader.download(case, alone, out, case.address(), role="-downloader", peers=[f"{address}:{PEER_PORT}"])
    case.wait(down.complete, "riverrun completes", [up.process, down.process])
    compare(case, content, out, downloader)


def _ours(case, *words):
    return run([BINARY, "--home", case.path("home"), *words], case.path(f"riverrun-{words[0]}.log"), limit=case.left())
