"""The whole matrix: `interop/run [--list] [--only TEXT] [--us CLIENT] [--jobs N] [--keep]`."""
import argparse
import itertools
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from . import announce, crash, dht, discovery, encryption, files, limits, magnet, makers, namespace, net, stream, superseed, swarm, v2, webseed
from .case import Outcome, run_case, say
from .clients import OTHERS, RIVERRUN
from .content import KIB, MIB, Content, contents
from .exchange import exchange
from .torrent import make

LIMIT_ALL = 30 * 60
# Who makes the torrent of which content; with these every client exchanges torrents of every maker.
MAKER = {"single": "riverrun-v1", "short-last": "transmission", "tiny": "mktorrent", "many": "mktorrent", "edges": "libtorrent-v1",
         "names": "libtorrent-v1", "awkward": "riverrun-v1", "large": "mktorrent"}
# Contents that only some clients exchange, with the reason.
ONLY = {
    "large": ("aria2c", "libtorrent"),                               # time
    "awkward": ("aria2c", "libtorrent", "qbittorrent", "rtorrent"),  # Transmission changes such names
}


# So many pieces that their hashes fill one run of 512, go a little over, or need a short last one.
LAYERS = {f"{pieces:04} pieces.bin": pieces * 16 * KIB - 9 for pieces in (1, 2, 3, 511, 513, 1025)}


class Plan:
    """One case to run: `heavy` ones run alone."""

    def __init__(self, name, limit, body, heavy=False):
        self.name, self.limit, self.body, self.heavy = name, limit, body, heavy


def plans(us, made, everything):
    """All cases. `made(name)` gives (content, torrent), made when first asked for."""
    planned = []

    def add(name, body, limit=60, heavy=False):
        planned.append(Plan(name, limit, body, heavy))

    for content in everything.values():
        if content.name not in MAKER:
            continue
        heavy = content.name == "large"
        for client in OTHERS:
            if client is us or client.name not in ONLY.get(content.name, [client.name]):
                continue
            for direction in ("seeds", "downloads"):
                def cell(case, name=content.name, client=client, direction=direction):
                    pair = (client, us) if direction == "seeds" else (us, client)
                    return exchange(case, *made(name), *pair)
                add(f"{client.name}/{direction}/{content.name}", cell, content.limit, heavy)

    libtorrent = next(client for client in OTHERS if client.name == "libtorrent")
    aria2c = next(client for client in OTHERS if client.name == "aria2c")
    add("swarm/all", lambda case: swarm.all_together(case, *made("swarm"), [c for c in OTHERS if c is not us], us), 90)
    add("swarm/one to all", lambda case: swarm.one_to_all(case, *made("swarm"), us, [c for c in OTHERS if c is not us]), 90)
    add("swarm/fast and slow", lambda case: limits.fast_and_slow(case, *made("swarm"), aria2c, libtorrent, us), 90, heavy=True)
    for client in (aria2c, libtorrent):
        add(f"limits/{client.name} downloads", lambda case, client=client: limits.kept(case, *made("swarm"), us, client), 90, heavy=True)
    add("crash/libtorrent seeds and is killed", lambda case: crash.kill_seeder(case, *made("crash"), libtorrent, us))
    add(f"crash/{us.name} seeds to libtorrent and is killed", lambda case: crash.kill_seeder(case, *made("crash"), us, libtorrent))
    add(f"crash/{us.name} downloads and is killed", lambda case: crash.kill_downloader(case, *made("crash"), libtorrent, us))
    for content, kind, bare in itertools.product(("layers", "edges"), v2.KINDS, (False, True)):
        for up, down in [(libtorrent, us), (us, libtorrent)]:
            name = f"v2/{kind}/{content}/{up.name} to {down.name}" + (" without layers" if bare else "")
            add(name, lambda case, c=content, k=kind, up=up, down=down, b=bare: v2.transfer(case, made(c)[0], k, up, down, b))
    for content, kind in itertools.product(("layers", "edges"), v2.KINDS):
        for up, down in [(libtorrent, us), (us, libtorrent)]:
            name = f"v2/{kind}/{content}/{up.name} to {down.name} by magnet"
            add(name, lambda case, c=content, k=kind, up=up, down=down: v2.by_magnet(case, made(c)[0], k, up, down))
    # rtorrent takes links only through its own session folder.
    for client, content in itertools.product([c for c in OTHERS if c is not us and c.name != "rtorrent"], ("many", "single")):
        add(f"magnet/{client.name} gives {content}",
            lambda case, c=content, up=client: magnet.from_peer(case, *made(c), up, us))
        add(f"magnet/{client.name} gets {content}",
            lambda case, c=content, down=client: magnet.through_tracker(case, *made(c), us, down))
    if us is not RIVERRUN:
        return planned

    for up, down, up_udp, down_udp in [
        (us, us, False, False), (us, us, True, True), (us, us, True, False),
        (aria2c, us, False, True), (us, aria2c, True, False),
    ]:
        name = f"opentracker/{up.name} {'UDP' if up_udp else 'HTTP'} to {down.name} {'UDP' if down_udp else 'HTTP'}"
        add(name, lambda case, up=up, down=down, a=up_udp, b=down_udp: exchange(case, *made("short-last"), up, down, a, b))
    for client in [us, *(client for client in OTHERS if client is not us)]:
        for udp in (False, True):
            if client is aria2c and udp:
                continue                                             # it uses UDP trackers only with DHT on
            word = "UDP" if udp else "HTTP"
            # Each finds libtorrent, and is found by it.
            for up, down in [(client, libtorrent), (libtorrent, client)][:1 if client is libtorrent else 2]:
                add(f"tracker/{up.name} to {down.name} over {word}",
                    lambda case, up=up, down=down, udp=udp: exchange(case, *made("short-last"), up, down, udp, udp, ours=True))
    for udp in (False, True):
        add(f"tracker/libtorrent to libtorrent over IPv6 and {'UDP' if udp else 'HTTP'}",
            lambda case, udp=udp: exchange(case, *made("short-last"), libtorrent, libtorrent, udp, udp, ours=True, v6=True))
    for udp in (False, True):
        word = "UDP" if udp else "HTTP"
        add(f"opentracker/peers and scrape over {word}", lambda case, udp=udp: announce.peers_and_scrape(case, *made("tiny"), udp))
        add(f"opentracker/refuses over {word}", lambda case, udp=udp: announce.refused(case, *made("tiny"), udp))
    add("crash/riverrun seeds to riverrun and is killed", lambda case: crash.kill_seeder(case, *made("crash"), us, us))
    for name, body in encryption.plans(us, OTHERS, libtorrent):
        add(name, lambda case, body=body: body(case, *made("short-last")))
    add("magnet/riverrun gives riverrun", lambda case: magnet.through_tracker(case, *made("many"), us, us))
    for client, content in itertools.product((libtorrent, aria2c), ("many", "edges")):
        add(f"files/{client.name} seeds some of {content}, then the rest", lambda case, c=content, up=client: files.chosen(case, *made(c), up, us))
    for content in ("single", "many", "edges", "names"):
        add(f"webseed/alone/{content}", lambda case, c=content: webseed.alone(case, *made(c), us))
    add("webseed/alone/single by --web-seed", lambda case: webseed.alone(case, *made("single"), us, by_user=True))
    add("webseed/with libtorrent/single", lambda case: webseed.with_peer(case, *made("single"), libtorrent, us))
    for client, content in itertools.product((libtorrent, aria2c), ("single", "names")):
        add(f"webseed/ours to {client.name}/{content}", lambda case, c=content, down=client: webseed.ours(case, made(c)[0], down))
    slow = [libtorrent, libtorrent, aria2c, aria2c]
    add("stream/ranges of one file", lambda case: stream.ranges(case, *made("swarm"), slow, us), 90, heavy=True)
    for content in ("edges", "names"):
        add(f"stream/every file of {content}", lambda case, c=content: stream.every_file(case, *made(c), slow, us), 90)
    for client in (libtorrent, aria2c):
        add(f"superseed/{client.name} alone", lambda case, client=client: superseed.alone(case, *made("short-last"), us, client), 90)
    add("superseed/libtorrent and aria2c", lambda case: superseed.spread(case, *made("swarm"), us, slow), 90, heavy=True)
    add("superseed/four libtorrents", lambda case: superseed.spread(case, *made("swarm"), us, [libtorrent] * 4, copies=1.5), 90, heavy=True)
    add("peer/by address", lambda case: announce.by_address(case, *made("edges"), libtorrent, us))
    transmission, qbittorrent = (next(c for c in OTHERS if c.name == name) for name in ("transmission", "qbittorrent"))
    for down, middle, up in [
        (us, libtorrent, libtorrent), (libtorrent, libtorrent, us), (libtorrent, us, libtorrent), (us, us, us),
        (us, libtorrent, us), (us, us, transmission), (transmission, us, us), (transmission, us, libtorrent),
        (us, libtorrent, transmission), (qbittorrent, us, us), (us, us, qbittorrent),
    ]:
        add(f"pex/{down.name} by {middle.name} to {up.name}",
            lambda case, d=down, m=middle, u=up: discovery.by_exchange(case, *made("swarm"), d, m, u), 180)
    for name, content, body in net.plans(us):
        add(name, lambda case, c=content, body=body: body(case, *made(c)))
    # One at a time: whoever is on the network hears everybody.
    for client in (libtorrent, transmission, qbittorrent):
        add(f"lsd/{client.name} seeds first", lambda case, c=client: discovery.on_the_network(case, *made("single"), c, us, "seeder"), heavy=True)
        add(f"lsd/{client.name} seeds last", lambda case, c=client: discovery.on_the_network(case, *made("single"), c, us, "downloader"), heavy=True)
        add(f"lsd/{client.name} downloads first", lambda case, c=client: discovery.on_the_network(case, *made("single"), us, c, "downloader"), heavy=True)
        add(f"lsd/{client.name} downloads last", lambda case, c=client: discovery.on_the_network(case, *made("single"), us, c, "seeder"), heavy=True)
        add(f"lsd/peers names {client.name}", lambda case, c=client: discovery.asked(case, *made("tiny"), c), heavy=True)
    add("lsd/riverrun to riverrun", lambda case: discovery.on_the_network(case, *made("single"), us, us, "seeder"), heavy=True)
    add("lsd/pex and lsd are silent for private torrents",
        lambda case: discovery.private_is_silent(case, *made("tiny"), libtorrent, us), heavy=True)
    for client in (libtorrent, transmission, aria2c):
        add(f"dht/{client.name} to riverrun", lambda case, c=client: dht.alone(case, *made("single"), c, us), 150)
        add(f"dht/riverrun to {client.name}", lambda case, c=client: dht.alone(case, *made("single"), us, c), 150)
    add("dht/libtorrent to riverrun by info-hash", lambda case: dht.alone(case, *made("single"), libtorrent, us, link=True), 120)
    add("dht/riverrun to libtorrent by info-hash", lambda case: dht.alone(case, *made("single"), us, libtorrent, link=True), 120)
    add("dht/riverrun to riverrun", lambda case: dht.alone(case, *made("single"), us, us), 120)
    add("dht/peers names libtorrent", lambda case: dht.asked(case, *made("tiny"), libtorrent), 120)
    add("dht/silent for private torrents", lambda case: dht.private_is_silent(case, *made("tiny"), libtorrent, us), 120, heavy=True)
    for name in ("single", "short-last", "tiny", "many", "edges", "names", "awkward"):
        for maker in makers.OTHER_MAKERS:
            add(f"made by/{maker}/{name}", lambda case, m=maker, n=name: makers.ours_reads(case, m, made(n)[0]))
        for maker in makers.OUR_MAKERS:
            add(f"made by/{maker}/{name}", lambda case, m=maker, n=name: makers.others_accept(case, m, made(n)[0]))
    return planned


class Made:
    """Contents and their torrents, each made once, when first asked for."""

    def __init__(self, folder, everything, us):
        self.folder, self.everything, self.us = folder, everything, us
        self._done = {}
        self._locks = {name: threading.Lock() for name in everything}

    def __call__(self, name):
        with self._locks[name]:
            if name not in self._done:
                # mktorrent makes no pieces of 16 KiB.
                maker = MAKER.get(name, "libtorrent-hybrid" if name == "layers" else "mktorrent")
                if maker.startswith("riverrun") and self.us is not RIVERRUN:
                    maker = "mktorrent"
                folder = os.path.join(self.folder, "contents", name)
                os.makedirs(folder, exist_ok=True)
                content = self.everything[name].make(os.path.join(folder, "content"))
                torrent = make(maker, content, os.path.join(folder, "made.torrent"), os.path.join(folder, "make.log"), RIVERRUN_BINARY)
                self._done[name] = content, torrent
            return self._done[name]


RIVERRUN_BINARY = os.environ.get("RIVERRUN_BINARY", "riverrun")


def print_matrix(outcomes):
    """Client x direction x torrent, then everything else, one line each."""
    cells = {outcome.name: outcome for outcome in outcomes}
    columns = list(MAKER)
    rows = dict.fromkeys("/".join(name.split("/")[:2]) for name in cells if name.split("/")[1] in ("seeds", "downloads"))
    if rows:
        print(f"\n{'':24}" + "".join(f"{column:>12}" for column in columns))
        for row in sorted(rows):
            line = f"{row.replace('/', ' '):24}"
            for column in columns:
                outcome = cells.get(f"{row}/{column}")
                line += f"{'' if outcome is None else f'ok {outcome.seconds:.1f} s' if outcome.ok else 'FAIL':>12}"
            print(line)
        print("(seeds: the client seeds, we download; downloads: we seed. Seconds from the downloader's start to its last verified byte.)\n")
    for outcome in outcomes:
        if "/".join(outcome.name.split("/")[:2]) not in rows:
            note = f"  {outcome.note}" if outcome.note else ""
            print(f"{'ok  ' if outcome.ok else 'FAIL'}  {outcome.seconds:6.1f} s  {outcome.name}{note}")


def main():
    parser = argparse.ArgumentParser(prog="interop/run", description="Runs riverrun against other clients, over loopback.")
    parser.add_argument("--only", default="", help="only the cases in whose name a word begins with this")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.add_argument("--us", default="riverrun", help="a client to stand in for riverrun: shows whether a fault is ours")
    parser.add_argument("--jobs", type=int, default=2 + 2 * (os.cpu_count() or 2), help="cases at once")
    parser.add_argument("--keep", action="store_true", help="keep the folders of all cases")
    options = parser.parse_args()
    clients = {client.name: client for client in [RIVERRUN, *OTHERS]}
    us = clients[options.us]
    everything = contents()
    everything["swarm"] = Content("swarm", 128 * KIB, {"": 40 * MIB}, "swarm.bin")
    everything["layers"] = Content("layers", 16 * KIB, LAYERS, "layers")
    everything["crash"] = Content("crash", 256 * KIB, {"": 96 * MIB + 77}, "crash.bin")

    folder = tempfile.mkdtemp(prefix="riverrun-interop-")
    os.chmod(folder, 0o755)
    planned = [plan for plan in plans(us, Made(folder, everything, us), everything) if re.search(r"(?<!\w)" + re.escape(options.only), plan.name)]
    if options.list or not planned:
        os.rmdir(folder)
        print("\n".join(plan.name for plan in planned))
        return 0 if planned else 1
    namespace.enter()
    for client in [us, *[client for client in OTHERS if client is not us]]:
        print(f"{client.name}: {client.version()}")

    begin = time.monotonic()

    def run(plan):
        if time.monotonic() - begin > LIMIT_ALL:
            outcome = Outcome(plan.name, 0.0, f"not run: the whole took more than {LIMIT_ALL} s")
        else:
            outcome = run_case(plan.name, folder, plan.limit, plan.body, options.keep)
        say(f"{'ok  ' if outcome.ok else 'FAIL'}  {outcome.seconds:6.1f} s  {plan.name}  {outcome.note}"
            + ("" if outcome.ok else f"\n{outcome.error}"))
        return outcome

    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(run, [plan for plan in planned if not plan.heavy]))
    outcomes += [run(plan) for plan in planned if plan.heavy]
    print_matrix(outcomes)
    failed = [outcome for outcome in outcomes if not outcome.ok]
    print(f"\n{len(outcomes)} cases, {len(failed)} failed, {time.monotonic() - begin:.0f} s")
    if failed or options.keep:
        print(f"logs are in {folder}")
    if failed and not options.keep:
        shutil.rmtree(os.path.join(folder, "contents"), ignore_errors=True)
    elif not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


sys.exit(main())
