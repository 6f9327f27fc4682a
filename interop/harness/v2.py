"""BEP 52 with libtorrent: v2-only and hybrid torrents, whole and without their piece layers, which then come from the peer."""
from .exchange import compare, exchange
from .namespace import PEER_PORT, endpoint_at_home
from .torrent import Link, make

KINDS = ("v2", "hybrid")


def transfer(case, content, kind, seeder, downloader, bare):
    """`bare`: the downloader's torrent file lacks the piece layers."""
    return exchange(case, content, _made(case, content, kind), seeder, downloader, bare=bare)


def by_magnet(case, content, kind, seeder, downloader):
    """The downloader has the v2 hash and the seeder's address alone: metadata and piece layers come from the seeder."""
    torrent = _made(case, content, kind)
    alone = torrent.with_trackers(case.path("alone.torrent"), [])
    address = case.address()
    up = seeder.seed(case, alone, content.copy(case.path("seed")), address, role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process])
    peer = endpoint_at_home(address) if seeder.name == "riverrun" else f"{address}:{PEER_PORT}"
    link = Link(f"magnet:?xt=urn:btmh:1220{torrent.v2}&x.pe={peer}")
    out = case.new_folder("out")
    down = downloader.download(case, link, out, case.address(), role="-downloader")
    case.wait(down.complete, f"{downloader.name} completes", [up.process, down.process])
    compare(case, content, out, downloader)


def _made(case, content, kind):
    return make(f"libtorrent-{kind}", content, case.path("made.torrent"), case.path("make.log"))
