"""The ways to others that the user allows, judged by the packets: nothing may leave by another.

Every case also shows that its trap works: without the option the same command goes where it must not.
"""
import http.server
import ipaddress
import re
import socket
import threading
import time

from . import namespace
from .case import Failure
from .clients.riverrun import BINARY
from .exchange import compare
from .home import OTHERS, Device, Home
from .socks import SocksServer
from .torrent import bencode
from .tracker import OpenTracker
from .wire import Wire

# Away from the machine by no device of the harness: packets to them show what was meant to go there.
PUBLIC = ("8.8.8.8", "93.184.216.34")
# A download that ends when nothing came for so long ends with this.
STALLED = 6


class Scene:
    """A seeder at a tracker among the others; our machine with the device `wg0` that leads to them, and with `eth0` if asked for,
    which is where everything goes that is not bound to the other."""

    def __init__(self, case, content, torrent, seeder, devices=1, up_limit=None, url="http_url"):
        self.case, self.content, self.seeder = case, content, seeder
        self.tracker = OpenTracker(case, torrent.wire_hashes)
        self.torrent = torrent.with_trackers(case.path("http.torrent"), [self.tracker.http_url])
        # libtorrent would bind itself to the device of its address, which is loopback; so riverrun seeds, at an address of its own.
        case.ways = frozenset(["pex"])
        self.seed_address = case.address()
        self.up = seeder.seed(case, self.torrent, content.copy(case.path("seed")), self.seed_address, role="-seeder", up_limit=up_limit)
        case.wait(self.up.ready, f"{seeder.name} serves", [self.up.process])
        case.wait(self.tracker.knows(torrent.wire_hashes[0], 1), "the seeder has announced itself", [self.up.process])
        self.torrent = torrent.with_trackers(case.path("ours.torrent"), [getattr(self.tracker, url)])
        self.home = Home(case)
        self.wg0 = Device(self.home, "wg0", 79)
        self.wg0.route(OTHERS, 100)
        self.eth0 = None
        if devices > 1:
            self.eth0 = Device(self.home, "eth0", 80)
            self.eth0.route("default", 10)
            self.eth0.route(OTHERS, 10)
        else:
            self.wg0.route("default", 100)

    def words(self, role, *words):
        # Local discovery stays on: it is one more that could leave by the wrong way.
        return ["download", "--no-dht", "--no-utp", "--no-port-map", "--progress-interval", "1s", *words,
                "-d", self.case.new_folder(f"out{role}"), self.torrent.path]

    def start(self, role, *words):
        return self.home.start(role, *self.words(role, *words))

    def end_of(self, process):
        self.case.wait(lambda: process.poll() is not None, "riverrun ends", [self.up.process])
        return process.status

    def complete(self, role, *words):
        """A download that must come to its end."""
        process = self.start(role, *words)
        self.check(role, process)

    def check(self, role, process):
        if self.end_of(process) != 0:
            raise Failure(f"riverrun ended with {process.status}:\n{process.tail()}")
        compare(self.case, self.content, self.case.path(f"out{role}"), _Us)

    def waits(self, role, why, *words):
        """A download that must not come to anything, and says why."""
        process = self.start(role, "--stall-timeout", "7s", *words)
        if self.end_of(process) != STALLED or not process.said(why):
            raise Failure(f"riverrun ended with {process.status}, not for {why!r}:\n{process.tail()}")


class _Us:
    """What the comparison asks of a client."""
    name = "riverrun"
    creates_empty_files = True


def none_of(packets, what):
    """Raises when there are any."""
    if packets:
        raise Failure(f"{len(packets)} packets {what}: {sorted(set(packets))[:8]}")


def some_of(packets, what):
    """Raises when there are none: the trap does not work."""
    if not packets:
        raise Failure(f"no packets {what}: the case shows nothing")
    return len(packets)


def device(case, content, torrent, seeder):
    """`--interface wg0`: everything goes by it, and not a packet by the device where everything goes otherwise."""
    scene = Scene(case, content, torrent, seeder, devices=2)
    with Wire(scene.wg0.far) as ours, Wire(scene.eth0.far) as other:
        scene.complete("-bound", "--interface", "wg0")
        none_of(other.came(), "by the other device")
        count = some_of(ours.came(), "by ours")
    with Wire(scene.eth0.far) as other:
        scene.complete("-free")
        some_of(other.came(), "by the other device without the option")
    return None, f"{count} packets by the one, none by the other"


def device_alone(case, content, torrent, seeder):
    """`--interface wg0`: a peer to which only the other device leads is not reached."""
    scene = Scene(case, content, torrent, seeder, devices=2)
    beyond = Device(scene.home, "eth1", 81)
    alone = torrent.with_trackers(case.path("beyond.torrent"), [])
    up = seeder.seed(case, alone, content.copy(case.path("beyond")), beyond.gateway, role="-beyond")
    case.wait(up.ready, f"{seeder.name} serves", [up.process])
    peer = f"{beyond.gateway}:{namespace.PEER_PORT}"
    with Wire(beyond.far) as other, Wire(scene.eth0.far) as default:
        scene.waits("-bound", "error: no peers", "--interface", "wg0", "--no-trackers", "--peer", peer)
        none_of(other.came() + default.came(), "by other devices")
        scene.complete("-free", "--no-trackers", "--peer", peer)
        some_of(other.came(), "by the other device without the option")


def device_goes(case, content, torrent, seeder):
    """The device goes down and comes back, then is taken away and made anew: the download waits, says why, and goes on."""
    scene = Scene(case, content, torrent, seeder, devices=2, up_limit=400 * 1024)
    with Wire(scene.eth0.far) as other:
        process = scene.start("", "--interface", "wg0")
        got = lambda: max(map(float, re.findall(r"progress +([0-9.]+)%", process.output())), default=0)  # noqa: E731
        alive = [process, scene.up.process]
        case.wait(lambda: got() > 10, "a tenth is here", alive)
        scene.home.run("ip", "link", "set", "wg0", "down")
        time.sleep(2)
        scene.home.run("ip", "link", "set", "wg0", "up")
        for route in scene.wg0.routes():
            scene.home.run(*route)
        before = got()
        case.wait(lambda: got() > before + 10, "it goes on", alive)
        scene.wg0.remove()
        case.wait(lambda: process.said('waiting   there is no device "wg0"'), "it says why it waits", alive)
        scene.wg0.make()
        scene.check("", process)
        # The system itself refuses what the seeder sends again for the connection that is gone, by whatever way leads there.
        ours = [packet for packet in other.came() if packet.kind not in ("reset", "arp")]
        none_of(ours, "by the other device")


def address(case, content, torrent, seeder):
    """`--interface IP`: every packet comes from that address, not from the one that the system would take."""
    scene = Scene(case, content, torrent, seeder)
    second = scene.wg0.more(f"{scene.wg0.network}.7")
    from_first = lambda wire: [packet for packet in wire.came() if packet.kind in ("tcp", "udp") and packet.source != second]  # noqa: E731
    with Wire(scene.wg0.far) as wire:
        scene.complete("-bound", "--interface", second)
        none_of(from_first(wire), f"not from {second}")
    with Wire(scene.wg0.far) as wire:
        scene.complete("-free")
        some_of(from_first(wire), "from the first address without the option")


def offline(case, content, torrent, seeder):
    """`--offline` with a tracker on the network that names public peers, public trackers, and a name: nothing for any of them leaves."""
    scene = Scene(case, content, torrent, seeder)
    peers = [(scene.seed_address, namespace.PEER_PORT), *((public, 6881) for public in PUBLIC)]
    tracker = GenerousTracker(case, peers)
    # The one that answers comes last: whoever asks those before it has said too much.
    scene.torrent = torrent.with_trackers(case.path("offline.torrent"), [
        "udp://tracker.example:6969/announce", f"http://{PUBLIC[0]}/announce", f"udp://{PUBLIC[1]}:6969/announce", tracker.url])
    scene.home.name_server(scene.wg0.gateway)

    def outside(wire):
        local = [ipaddress.ip_network(words) for words in ("10.0.0.0/8", "239.192.152.143/32", "fe80::/10", "ff15::efc0:988f/128")]
        is_local = lambda target: any(ipaddress.ip_address(target) in network for network in local)  # noqa: E731
        return [packet for packet in wire.came() if packet.target and (packet.target_port == 53 or not is_local(packet.target))]

    with Wire(scene.wg0.far) as wire:
        scene.complete("-offline", "--offline")
        scene.waits("-waits", "error: no peers", "--offline", "--ip-filter", refusing(case, scene.seed_address))
        none_of(outside(wire), "to public addresses, or asking for names")
    with Wire(scene.wg0.far) as wire:
        process = scene.start("-free", "--stall-timeout", "5s", "--ip-filter", refusing(case, scene.seed_address))
        scene.end_of(process)
        some_of([packet for packet in outside(wire) if packet.target in PUBLIC], "to public addresses without the option")
        some_of([packet for packet in outside(wire) if packet.target_port == 53], "asking for names without the option")


def proxy(case, content, torrent, seeder, udp=False):
    """`--proxy socks5://`: peers and the tracker, over HTTP or UDP, through it alone, and not a packet anywhere else."""
    scene = Scene(case, content, torrent, seeder, url="udp_url" if udp else "http_url")
    scene.home.name_server(scene.wg0.gateway)
    server = socks(case)

    def elsewhere(wire):
        return [packet for packet in wire.came() if packet.kind in ("tcp", "udp") and packet.target != server.address]

    with Wire(scene.wg0.far) as wire:
        scene.complete("-proxy", "--proxy", f"socks5://{server.address}:{server.port}")
        none_of(elsewhere(wire), "past the proxy")
    for wanted in [("udp" if udp else "tcp", scene.tracker.address, namespace.TRACKER_PORT), ("tcp", scene.seed_address, namespace.PEER_PORT)]:
        if wanted not in server.asked:
            raise Failure(f"the proxy was not asked for {wanted}, but for {server.asked}")
    with Wire(scene.wg0.far) as wire:
        scene.complete("-free")
        some_of(elsewhere(wire), "past the proxy without the option")


def filtered(case, content, torrent, seeder):
    """`--ip-filter` with the only seeder on it: not a packet for it, and the download says why it waits."""
    scene = Scene(case, content, torrent, seeder)
    to_seeder = lambda wire: [packet for packet in wire.came() if packet.target == scene.seed_address]  # noqa: E731
    with Wire(scene.wg0.far) as wire:
        scene.waits("-filtered", "refuse every peer that is known", "--ip-filter", refusing(case, scene.seed_address))
        none_of(to_seeder(wire), "for the seeder")
    with Wire(scene.wg0.far) as wire:
        scene.complete("-free")
        some_of(to_seeder(wire), "for the seeder without the option")


def filtered_incoming(case, content, torrent):
    """`seed --ip-filter`: who is on it and comes by himself hears not a byte; another one is answered."""
    alone = torrent.with_trackers(case.path("alone.torrent"), [])
    refused, welcome = case.address(), case.address()
    host, port = namespace.endpoint_at_home(case.address()).split(":")
    up = case.start([BINARY, "--home", case.path("home"), "seed", "--no-dht", "--no-lsd", "--no-utp", "--no-port-map", "--listen", f"{host}:{port}",
                     "--encryption", "off", "--ip-filter", refusing(case, refused), "--data", content.copy(case.path("seed")), alone.path], "riverrun")
    case.wait(lambda: up.said("sharing"), "riverrun serves", [up])
    hello = b"\x13BitTorrent protocol" + bytes(8) + bytes.fromhex(torrent.v1) + b"-XX0001-012345678901"

    def answer(source):
        with socket.create_connection((host, int(port)), timeout=10, source_address=(source, 0)) as stream:
            try:
                stream.sendall(hello)
                return stream.recv(68)
            except (ConnectionResetError, BrokenPipeError):
                return b""

    if answer(refused):
        raise Failure("who is on the list is answered")
    if not answer(welcome).startswith(b"\x13BitTorrent protocol"):
        raise Failure("who is not on the list is not answered")


def refusing(case, address):
    """A list with that address."""
    path = case.path("refused.txt")
    with open(path, "w") as file:
        file.write(f"{address}\n")
    return path


def socks(case, udp=True):
    server = SocksServer(case.address(), udp=udp)
    case.closers.append(server.close)
    return server


class GenerousTracker:
    """A tracker over HTTP that names the same peers to everybody."""

    def __init__(self, case, peers):
        compact = b"".join(socket.inet_aton(host) + port.to_bytes(2, "big") for host, port in peers)
        body = bencode({"interval": 1800, "min interval": 1800, "peers": compact})

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        host = case.address()
        server = http.server.ThreadingHTTPServer((host, namespace.TRACKER_PORT), Answer)
        case.closers.append(server.server_close)
        case.closers.append(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://{host}:{namespace.TRACKER_PORT}/announce"


def plans(us):
    """The name, the content and the body of each case."""
    return [
        ("net/interface DEVICE carries everything", "short-last", lambda case, *made: device(case, *made, us)),
        ("net/interface DEVICE is kept to", "tiny", lambda case, *made: device_alone(case, *made, us)),
        ("net/interface DEVICE goes and comes back", "single", lambda case, *made: device_goes(case, *made, us)),
        ("net/interface ADDRESS", "short-last", lambda case, *made: address(case, *made, us)),
        ("net/offline", "short-last", lambda case, *made: offline(case, *made, us)),
        ("net/proxy", "short-last", lambda case, *made: proxy(case, *made, us)),
        ("net/proxy and a UDP tracker", "short-last", lambda case, *made: proxy(case, *made, us, udp=True)),
        ("net/ip-filter and the only seeder", "short-last", lambda case, *made: filtered(case, *made, us)),
        ("net/ip-filter and who comes by himself", "tiny", lambda case, *made: filtered_incoming(case, *made)),
    ]
