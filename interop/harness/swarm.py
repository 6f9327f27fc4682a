"""All clients in one swarm: only together they have all, or all get it from us."""
from .content import MIB
from .exchange import compare
from .tracker import OpenTracker

# Slow enough that no client has all before riverrun joins.
RATE = 2 * MIB


def all_together(case, content, torrent, others, downloader):
    """The downloader gets all; then every other client must complete as well."""
    tracker = OpenTracker(case, [torrent.v1])
    over_http = torrent.with_trackers(case.path("http.torrent"), [tracker.http_url])
    running, folders = [], []
    for at, client in enumerate(others):
        folder = content.partial_copy(case.path(f"{client.name}-data"), lambda index, at=at: index % len(others) == at)
        folders.append(folder)
        running.append(client.start(case, over_http, folder, case.address(), up_limit=RATE))
    alive = [each.process for each in running]
    for client, each in zip(others, running):
        case.wait(each.ready, f"{client.name} has checked its part", alive)
    case.wait(tracker.knows(torrent.v1, len(others)), "all have announced themselves", alive)
    out = case.new_folder("out")
    down = downloader.download(case, over_http, out, case.address())
    case.wait(down.complete, f"{downloader.name} completes", [*alive, down.process])
    compare(case, content, out, downloader)
    for client, each, folder in zip(others, running, folders):
        case.wait(each.complete, f"{client.name} completes", alive)
        compare(case, content, folder, client)
    return None, f"{len(others)} clients, each with a part"


def one_to_all(case, content, torrent, seeder, others):
    """The seeder alone has the content; every other client completes."""
    tracker = OpenTracker(case, [torrent.v1])
    over_http = torrent.with_trackers(case.path("http.torrent"), [tracker.http_url])
    up = seeder.seed(case, over_http, content.copy(case.path("seed")), case.address(), role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process])
    case.wait(tracker.knows(torrent.v1, 1), f"{seeder.name} has announced itself", [up.process])
    running, folders = [], []
    for client in others:
        folders.append(case.new_folder(f"{client.name}-data"))
        running.append(client.download(case, over_http, folders[-1], case.address()))
    alive = [up.process, *(each.process for each in running)]
    for client, each, folder in zip(others, running, folders):
        case.wait(each.complete, f"{client.name} completes", alive)
        compare(case, content, folder, client)
    return None, f"{len(others)} clients at once"
