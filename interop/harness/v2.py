"""BEP 52 with libtorrent: v2-only and hybrid torrents, whole and without their piece layers, which then come from the peer."""
from .exchange import exchange
from .torrent import make

KINDS = ("v2", "hybrid")


def transfer(case, content, kind, seeder, downloader, bare):
    """`bare`: the downloader's torrent file lacks the piece layers."""
    torrent = make(f"libtorrent-{kind}", content, case.path("made.torrent"), case.path("make.log"))
    return exchange(case, content, torrent, seeder, downloader, bare=bare)
