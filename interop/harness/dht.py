"""Peers found by the DHT alone: its nodes are libtorrent's, nobody has a tracker or an address."""
import json
import os
import socket
import time

from . import namespace
from .case import Failure
from .clients.libtorrent import PYTHON, Libtorrent
from .clients.riverrun import BINARY
from .exchange import compare
from .process import run
from .torrent import Link, TorrentFile
from .wire import Wire

NODES = 8
DRIVER = os.path.join(os.path.dirname(__file__), "clients", "libtorrent_nodes.py")


def start_nodes(case):
    """Starts the nodes, waits until they know each other, and has clients of the case ask one of them."""
    places = [f"{case.address()}:{namespace.PEER_PORT}" for _ in range(NODES)]
    state = case.path("nodes.state")
    process = case.start([PYTHON, "-I", DRIVER, state, *places], "nodes")
    case.wait(lambda: min(Libtorrent.state(state) or [0]) >= 3, "the nodes know each other", [process])
    case.ways = frozenset(["dht"])
    case.router = places[1]
    return process


def is_named(case, torrent, place):
    """A condition: `riverrun peers --dht` names who has this address."""
    words = [BINARY, "--home", case.path("home"), "peers", "--dht", "--dht-router", case.router, torrent.path]

    def named():
        status, output = run(words, case.path("peers.log"), limit=case.left())
        if status != 0:
            raise Failure(f"riverrun peers --dht ended with {status}: {output}")
        return f"{place}:{namespace.PEER_PORT}" in output

    return named


def alone(case, content, torrent, seeder, downloader, link=False):
    """One seeds, the other finds it. `link`: the downloader has the info-hash alone."""
    nodes = start_nodes(case)
    bare = torrent.with_trackers(case.path("alone.torrent"), [])
    place = case.address()
    up = seeder.seed(case, bare, content.copy(case.path("seed")), place, role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process, nodes])
    if link:
        case.wait(is_named(case, bare, place), "the nodes know the seeder", [up.process, nodes])
    begin = time.monotonic()
    out = case.new_folder("out")
    down = downloader.download(case, Link.to(bare, {}) if link else bare, out, case.address(), role="-downloader")
    case.wait(down.complete, f"{downloader.name} completes", [up.process, down.process, nodes])
    compare(case, content, out, downloader)
    return time.monotonic() - begin


def asked(case, content, torrent, seeder):
    """`riverrun peers --dht` names the only seeder."""
    nodes = start_nodes(case)
    bare = torrent.with_trackers(case.path("alone.torrent"), [])
    place = case.address()
    up = seeder.seed(case, bare, content.copy(case.path("seed")), place, role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process, nodes])
    case.wait(is_named(case, bare, place), "riverrun peers --dht names the seeder", [up.process, nodes])


def private_is_silent(case, content, torrent, other, us):
    """The same exchange twice, watched on the wire: of a public torrent riverrun sends packets of the DHT, of a private one never."""
    start_nodes(case)
    seen = {}
    for kind in ("public", "private"):
        path = case.path(f"{kind}.torrent")
        status, output = run([BINARY, "create", content.path, "--v1", "-t", "http://tracker.invalid/announce", "-o", path,
                              *(["--private"] if kind == "private" else [])], case.path(f"create-{kind}.log"))
        if status != 0:
            raise Failure(f"riverrun create ended with {status}: {output}")
        made = TorrentFile(path).with_trackers(case.path(f"{kind}-alone.torrent"), [])
        near, far = case.address(), case.address()
        with Wire("lo") as wire:
            up = other.seed(case, made, content.copy(case.path(f"{kind}-seed")), near, role=f"-{kind}-seeder")
            case.wait(up.ready, f"{other.name} serves", [up.process])
            out = case.new_folder(f"{kind}-out")
            down = us.download(case, made, out, far, role=f"-{kind}-downloader", more=["--seed"], peers=[f"{near}:{namespace.PEER_PORT}"])
            case.wait(lambda: down.process.said("Downloaded "), "riverrun completes", [up.process, down.process])
            time.sleep(5)
            down.process.stop()
            up.process.stop()
            seen[kind] = udp_from(wire, far)
        compare(case, content, out, us)
    if not seen["public"] or seen["private"]:
        raise Failure(f"packets of UDP by riverrun: {json.dumps(seen)}")
    return None, f"public: {seen['public']} packets; private: none"


def udp_from(wire, sender):
    """Packets of UDP over IPv4 from this address."""
    address = socket.inet_aton(sender)
    return sum(frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[26:30] == address for frame in wire.frames())
