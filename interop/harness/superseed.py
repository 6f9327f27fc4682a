"""Superseeding (BEP 16): `riverrun seed --super-seed` is the only one that has anything."""
from .exchange import compare
from .tracker import OpenTracker
from .case import Failure
from .content import MIB

# Our rate, and what each of the others gives on: they have time to pass pieces on before we could give each of them everything.
RATE = 4 * MIB


def alone(case, content, torrent, us, client):
    """One client: with nobody else to pass pieces on to, it gets all the same everything."""
    return spread(case, content, torrent, us, [client])


def spread(case, content, torrent, us, clients, copies=None):
    """Every client gets the right bytes; `copies`: and all together took no more than that often the content from us."""
    tracker = OpenTracker(case, [torrent.v1])
    over_http = torrent.with_trackers(case.path("http.torrent"), [tracker.http_url])
    # The downloaders meet before there is anything to get.
    running, folders = [], []
    for number, client in enumerate(clients):
        folders.append(case.new_folder(f"out{number}"))
        running.append(client.download(case, over_http, folders[-1], case.address(), role=f"-downloader{number}"))
    alive = [each.process for each in running]
    case.wait(tracker.knows(torrent.v1, len(clients)), "all have announced themselves", alive)
    up = us.seed(case, over_http, content.copy(case.path("seed")), case.address(), role="-seeder", up_limit=RATE, more=["--super-seed"])
    alive.append(up.process)
    for number, (client, each) in enumerate(zip(clients, running)):
        case.wait(each.complete, f"{client.name} {number} completes", alive)
        compare(case, content, folders[number], client)
    if copies is None:
        return None
    took = sum(each.downloaded() - each.uploaded() for each in running) / content.length
    if took > copies:
        raise Failure(f"they took {took:.2f} copies from us; {copies} would do")
    return None, f"{took:.2f} copies for {len(clients)}"
