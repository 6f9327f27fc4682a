"""A first comparison: one file from one libtorrent seeder, by several clients in turn.

Wall time runs from the start of the program to its end, CPU is user and system of the program alone (its start included), memory is
the largest RssAnon seen (what it holds itself: no file pages). Rounds go round the clients in alternating order. Quote
medians, and ratios within one batch; the last column says how much of the machine others used meanwhile.
"""
import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time

from . import namespace
from .case import Case, Failure
from .clients import RIVERRUN
from .clients.libtorrent import Libtorrent
from .content import MIB, Content
from .exchange import compare
from .torrent import make
from .tracker import OpenTracker

TICK = os.sysconf("SC_CLK_TCK")


def riverrun(case, torrent, out, address):
    return RIVERRUN.download(case, torrent, out, address).process


def aria2c(case, torrent, out, address):
    return case.start([
        "aria2c", "--no-conf", "--enable-dht=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--disable-ipv6=true",
        "--file-allocation=none", "--seed-time=0", "--disk-cache=64M", "--console-log-level=warn", "--summary-interval=0",
        "--show-console-readout=false", f"--interface={address}", f"--listen-port={namespace.PEER_PORT}", f"--dir={out}", torrent.path,
    ], "aria2c")


def libtorrent(*how):
    return lambda case, torrent, out, address: Libtorrent("once", *how).download(case, torrent, out, address).process


CLIENTS = {"riverrun": riverrun, "aria2c": aria2c, "libtorrent": libtorrent(), "libtorrent-fast": libtorrent("fast")}


def busy():
    """CPU seconds that the machine has been busy."""
    with open("/proc/stat") as file:
        fields = [int(word) for word in file.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:7])) / TICK


def used(pid):
    """CPU seconds of a running process."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def anonymous(pid):
    """RssAnon in MiB; 0 when the process is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def measure(name, content, torrent, seeder_pid, root, limit):
    """One download: MiB/s, CPU seconds per GiB, peak MiB, share of the machine that others used."""
    case = Case(name, root, limit)
    try:
        out = case.new_folder("out")
        before, seeder_before, own_before = busy(), used(seeder_pid), time.process_time()
        process = CLIENTS[name](case, torrent, out, case.address())
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, anonymous(process.pid))
            if case.left() < 0:
                raise Failure(f"{name} took more than {limit} s\n{process.tail()}")
            time.sleep(0.01)
        wall = time.monotonic() - process.started
        if process.status != 0:
            raise Failure(f"{name} ended with {process.status}\n{process.tail()}")
        cpu = process.usage.ru_utime + process.usage.ru_stime
        foreign = busy() - before - cpu - (used(seeder_pid) - seeder_before) - (time.process_time() - own_before)
        compare(case, content, out, RIVERRUN)
        return content.length / MIB / wall, cpu * 1024 * MIB / content.length, peak, max(0.0, foreign) / wall / os.cpu_count()
    finally:
        case.close()
        shutil.rmtree(case.folder)


def main():
    parser = argparse.ArgumentParser(prog="interop/compare", description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1024, help="MiB of the file (1024)")
    parser.add_argument("--rounds", type=int, default=5, help="downloads by each client (5)")
    parser.add_argument("--piece", type=int, default=1024, help="KiB of a piece (1024)")
    parser.add_argument("--clients", default=",".join(CLIENTS), help="which, by commas")
    parser.add_argument("--dir", default="/dev/shm", help="where files go; tmpfs leaves the disk out (/dev/shm)")
    options = parser.parse_args()
    names = options.clients.split(",")
    namespace.enter()
    root = tempfile.mkdtemp(prefix="riverrun-compare-", dir=options.dir)
    os.chmod(root, 0o755)
    home = Case("seeder", root, 24 * 3600)
    try:
        content = Content("compare", options.piece << 10, {"": options.size * MIB}, "compare.bin").make(home.path("content"))
        made = make("mktorrent", content, home.path("made.torrent"), home.path("make.log"))
        tracker = OpenTracker(home, [made.v1])
        torrent = made.with_trackers(home.path("a.torrent"), [tracker.http_url])
        address = home.address()
        seeder = Libtorrent("fast").seed(home, torrent, home.path("content"), address)
        home.wait(seeder.ready, "the seeder serves", [seeder.process])
        home.wait(tracker.knows(made.v1, 1), "the seeder has announced itself", [seeder.process])
        results = {name: [] for name in names}
        for number in range(options.rounds):
            for name in names if number % 2 == 0 else names[::-1]:
                figures = measure(name, content, torrent, seeder.process.pid, root, 300)
                results[name].append(figures)
                print("round %d  %-16s %7.0f MiB/s  %6.3f CPU s/GiB  %6.1f MiB peak  %3.0f %% others" % (
                    number + 1, name, figures[0], figures[1], figures[2], 100 * figures[3]), flush=True)
        table(results, options)
    finally:
        home.close()
        shutil.rmtree(root, ignore_errors=True)
    return 0


def table(results, options):
    medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in results.items()}
    first = next(iter(medians))
    print(f"\nmedians of {options.rounds}, {options.size} MiB in pieces of {options.piece} KiB, one libtorrent seeder, {options.dir}, "
          f"{os.cpu_count()} cores; in brackets the ratio to {first}\n")
    print(f"{'client':16}  {'MiB/s':>14}  {'CPU s/GiB':>16}  {'peak MiB':>16}  {'others':>6}")
    for name, (speed, cpu, peak, others) in medians.items():
        base = medians[first]
        print(f"{name:16}  {speed:6.0f} ({speed / base[0]:4.2f})  {cpu:8.3f} ({cpu / base[1]:4.2f})  "
              f"{peak:8.1f} ({peak / base[2]:4.2f})  {100 * others:4.0f} %")


sys.exit(main())
