"""Peers found by other peers (PEX, BEP 11) and on the local network (LSD, BEP 14), each alone, and neither for private torrents."""
import socket
import time

from . import namespace
from .case import Failure
from .clients.riverrun import BINARY
from .exchange import compare
from .process import run
from .torrent import TorrentFile
from .wire import Wire

# So slow that nobody completes in time by what the one in the middle passes on.
TRICKLE = 16 * 1024
LSD_PORT = 6771


def by_exchange(case, content, torrent, downloader, middle, seeder):
    """The downloader and the seeder know nobody, the one in the middle connects to both. They must hear of each other from it:
    through it alone it would take ten times the limit."""
    case.ways = frozenset(["pex"])
    alone = torrent.with_trackers(case.path("alone.torrent"), [])
    places = [case.address() for _ in range(3)]
    up = seeder.seed(case, alone, content.copy(case.path("seed")), places[0], role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process])
    out = case.new_folder("out")
    down = downloader.start(case, alone, out, places[1], role="-downloader")
    peers = [f"{place}:{namespace.PEER_PORT}" for place in places[:2]]
    time.sleep(2)  # Until the downloader listens; the one in the middle would try again only after a while.
    begin = time.monotonic()
    between = middle.start(case, alone, case.new_folder("middle"), places[2], role="-middle", up_limit=TRICKLE, peers=peers)
    case.wait(down.complete, f"{downloader.name} completes", [up.process, down.process, between.process])
    compare(case, content, out, downloader)
    return time.monotonic() - begin


def on_the_network(case, content, torrent, seeder, downloader, first):
    """Two machines with a network between them and nothing else; `first` is there before the other and finds it."""
    case.ways = frozenset(["lsd"])
    namespace.lan()
    alone = torrent.with_trackers(case.path("alone.torrent"), [])
    data, out = content.copy(case.path("seed")), case.new_folder("out")
    near, far = (seeder, downloader) if seeder.name != "riverrun" else (downloader, seeder)
    place = {id(far): namespace.LAN_FAR, id(near): namespace.LAN_NEAR}
    if seeder is downloader:
        place_of = lambda role: namespace.LAN_FAR if role == "-seeder" else namespace.LAN_NEAR  # noqa: E731
    else:
        place_of = lambda role: place[id(seeder if role == "-seeder" else downloader)]  # noqa: E731

    def seed():
        running = seeder.seed(case, alone, data, place_of("-seeder"), role="-seeder")
        case.wait(running.ready, f"{seeder.name} serves", [running.process])
        return running

    if first == "downloader":
        down = downloader.download(case, alone, out, place_of("-downloader"), role="-downloader")
        time.sleep(3)  # Its first words go where nobody listens yet.
        begin = time.monotonic()
        up = seed()
    else:
        up = seed()
        time.sleep(3)
        begin = time.monotonic()
        down = downloader.download(case, alone, out, place_of("-downloader"), role="-downloader")
    case.wait(down.complete, f"{downloader.name} completes", [up.process, down.process])
    compare(case, content, out, downloader)
    return time.monotonic() - begin


def asked(case, content, torrent, seeder):
    """`riverrun peers --lsd` names the only seeder on the network."""
    case.ways = frozenset(["lsd"])
    namespace.lan()
    alone = torrent.with_trackers(case.path("alone.torrent"), [])
    up = seeder.seed(case, alone, content.copy(case.path("seed")), namespace.LAN_NEAR, role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process])
    time.sleep(1)
    status, output = run([*namespace.inside(namespace.LAN_FAR), BINARY, "--home", case.path("home"), "peers", "--lsd", alone.path],
                         case.path("peers.log"), limit=case.left())
    if status != 0 or f"{namespace.LAN_NEAR}:{namespace.PEER_PORT}" not in output:
        raise Failure(f"riverrun peers --lsd ended with {status}: {output}")


def private_is_silent(case, content, torrent, other, us):
    """The same exchange twice, watched on the wire: of a public torrent riverrun multicasts and names PEX, of a private one never."""
    namespace.lan()
    case.ways = frozenset(["lsd", "pex"])
    seen = {}
    for kind in ("public", "private"):
        path = case.path(f"{kind}.torrent")
        status, output = run([BINARY, "create", content.path, "--v1", "-t", "http://tracker.invalid/announce", "-o", path,
                              *(["--private"] if kind == "private" else [])], case.path(f"create-{kind}.log"))
        if status != 0:
            raise Failure(f"riverrun create ended with {status}: {output}")
        made = TorrentFile(path).with_trackers(case.path(f"{kind}-alone.torrent"), [])
        with LanWire() as wire:
            up = other.seed(case, made, content.copy(case.path(f"{kind}-seed")), namespace.LAN_NEAR, role=f"-{kind}-seeder")
            case.wait(up.ready, f"{other.name} serves", [up.process])
            out = case.new_folder(f"{kind}-out")
            down = us.download(case, made, out, namespace.LAN_FAR, role=f"-{kind}-downloader", more=["--seed"],
                               peers=[f"{namespace.LAN_NEAR}:{namespace.PEER_PORT}"])
            case.wait(lambda: down.process.said("Downloaded "), "riverrun completes", [up.process, down.process])
            time.sleep(5)
            down.process.stop()
            up.process.stop()
            seen[kind] = wire.lsd(namespace.LAN_FAR), wire.names_pex(namespace.LAN_FAR)
        compare(case, content, out, us)
    if not all(seen["public"]) or any(seen["private"]):
        raise Failure(f"packets to port {LSD_PORT}, and with ut_pex, by riverrun: {seen}")
    return None, f"public: {seen['public'][0]} packets of LSD, {seen['public'][1]} with ut_pex; private: none"


class LanWire(Wire):
    """All frames on the network between the two machines."""

    def __init__(self):
        super().__init__(namespace.LAN_DEVICE)

    def lsd(self, sender):
        """Packets of local discovery by this machine: from its address, or over IPv6 from any but ours."""
        ours = socket.inet_pton(socket.AF_INET6, "fd00:78::1")
        count = 0
        for frame in self.frames():
            kind, packet = frame[12:14], frame[14:]
            if kind == b"\x08\x00" and packet[9] == 17 and packet[12:16] == socket.inet_aton(sender):
                head = (packet[0] & 15) * 4
                count += int.from_bytes(packet[head + 2:head + 4], "big") == LSD_PORT
            elif kind == b"\x86\xdd" and packet[6] == 17 and packet[8:24] == socket.inet_pton(socket.AF_INET6, "fd00:78::2"):
                count += int.from_bytes(packet[42:44], "big") == LSD_PORT
        return count

    def names_pex(self, sender):
        """Frames of this machine in which the extension stands."""
        address = socket.inet_aton(sender)
        return sum(frame[12:14] == b"\x08\x00" and frame[26:30] == address and b"ut_pex" in frame for frame in self.frames())
