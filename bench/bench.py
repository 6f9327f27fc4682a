#!/usr/bin/env python3
"""Whole programs side by side on the same work. See README.md.

  bench.py list
  bench.py run [CASE...]       (none: those with a goal; `scale`: how cost grows)
  bench.py report RESULTS... [--goals | --plot CASE --to FILE]
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time

from benchlib import plot, report, scenarios, torrents
from benchlib.cases import ALL, CASES, GOALS, SCALE
from benchlib.clients import BOUND, CLIENTS, DEBIAN, OURS
from benchlib.measure import Proc
from benchlib.tracker import Tracker

HERE = os.path.dirname(os.path.abspath(__file__))
TRACKER = ("10.77.0.2", 6969)
MIB = 1 << 20


class Bench:
    """Where payloads lie, the tracker and the other ends of every transfer."""

    def __init__(self, base):
        self.base, self.runs = base, 0
        os.makedirs(base, exist_ok=True)
        self.shm = f"/dev/shm/riverrun-bench-{os.getpid()}"
        self.tracker = Tracker(*TRACKER)
        self.partner, self.linkemu = self.built("btpartner"), self.built("linkemu")
        self.lt_seeder = [DEBIAN, os.path.join(HERE, "lt_driver.py"), "--fast"]

    def built(self, name):
        source, path = os.path.join(HERE, "partners", name + ".rs"), os.path.join(self.base, name)
        if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(source):
            subprocess.run(["rustc", "-O", "--edition", "2024", source, "-o", path], check=True)
        return path

    def torrent(self, label, size, piece, files=0):
        return torrents.make(self.base, label, size, piece, self.tracker.url, files)

    def work_dir(self):
        self.runs += 1
        path = os.path.join(self.base, "runs", f"{os.getpid()}-{self.runs}")
        os.makedirs(path)
        return path

    def out_dir(self, where):
        path = self.shm if where == "shm" else os.path.join(self.base, "out")
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def settle(self, torrent):
        """Dirty pages written back, the payload in the page cache."""
        os.sync()
        with open(torrent.flat, "rb", buffering=0) as f:
            while f.read(8 * MIB):
                pass

    def partner_seed(self, torrent, addrs):
        log = os.path.join(self.work_dir(), "partner.log")
        p = Proc([self.partner, "seed", ",".join(f"{a}:{n}" for a, n in addrs), torrent.infohash,
                  str(torrent.piece_len), str(torrent.total), torrent.flat], log)
        while not p.said("ready"):
            if p.poll() is not None:
                raise scenarios.Failed("partner did not start")
            time.sleep(0.005)
        return p


def able(case, names):
    for client in CLIENTS:
        asked = client.name in names if names else not case.ours_only or client.name in OURS
        bounded = case.bounded or client.name != BOUND
        if asked and bounded and client.available() and client.can(case.job):
            yield client


def run(args):
    bench = Bench(args.dir)
    names = [n for case in args.case or GOALS for n in (SCALE if case == "scale" else [case])]
    for name in names:
        case, broken = CASES[name], {}
        clients = list(able(case, args.clients))
        # The first start with many torrents makes the state that the measured ones begin with.
        for number in range(-1 if case.job == "many" else 0, args.rounds):
            warm_up = number < 0
            for client in clients:
                if broken.get(client.name, 0) >= 2:
                    continue
                record = {"case": name, "client": client.name, "at": time.strftime("%Y-%m-%dT%H:%M:%S")}
                try:
                    record.update(case.cell(bench, client, number), ok=True)
                except Exception as e:
                    record.update(ok=False, error=f"{type(e).__name__}: {e}")
                    broken[client.name] = broken.get(client.name, 0) + 1
                print(report.line(record) + (" (warm-up)" if warm_up else ""), flush=True)
                if not warm_up:
                    with open(args.results, "a") as f:
                        f.write(json.dumps(record) + "\n")
            clients.reverse()
    shutil.rmtree(bench.shm, ignore_errors=True)
    shutil.rmtree(os.path.join(bench.base, "runs"), ignore_errors=True)
    return show([args.results], False)


def show(files, goals):
    records = report.read(files)
    print("\n" + (report.goals(records) if goals else report.tables(records)))
    return 0 if all(r["ok"] for r in records if r["client"] in OURS) else 1


def enter_namespace():
    """10.77.0.0/16 on the loopback of a network of our own: several clients refuse peers in 127.0.0.0/8, and take those that share an
    address for one."""
    os.environ["BENCH_NETNS"] = "1"
    setup = ("ip link set lo up; ip addr add 10.77.0.1/16 dev lo; echo %s > /proc/sys/net/ipv4/tcp_congestion_control; "
             "exec \"$@\"" % os.environ.get("BENCH_CC", "reno"))
    os.execvp("unshare", ["unshare", "--net", "sh", "-ec", setup, "sh", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest="what", required=True)
    sub.add_parser("list")
    r = sub.add_parser("run")
    r.add_argument("case", nargs="*", metavar="CASE", help="one of `list`, or scale")
    r.add_argument("--clients", type=lambda s: s.split(","), default=[])
    r.add_argument("--rounds", type=int, default=5)
    r.add_argument("--dir", default=os.environ.get("BENCH_DIR", "/var/tmp/riverrun-bench"), help="payloads and logs, 20 GB")
    r.add_argument("--results", help="where records are added (DIR/results-TIME.jsonl)")
    p = sub.add_parser("report")
    p.add_argument("files", nargs="+")
    p.add_argument("--goals", action="store_true", help="the table of goals in place of every case")
    p.add_argument("--plot", metavar="CASE", choices=CASES, help="bars of a case in place of tables")
    p.add_argument("--to", default="/dev/stdout", help="the SVG")
    args = parser.parse_args()
    if args.what == "report" and args.plot:
        with open(args.to, "w") as f:
            f.write(plot.bars(args.plot, report.read(args.files)))
        return 0
    if args.what == "report":
        return show(args.files, args.goals)
    if args.what == "list":
        for case in ALL:
            print(f"{case.name:16} {case.work}")
        for client in CLIENTS:
            print(f"{client.name:16} {client.version() if client.available() else 'not found'}")
        return 0
    unknown = [case for case in args.case if case not in CASES and case != "scale"]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}")
    args.results = args.results or os.path.join(args.dir, time.strftime("results-%Y%m%d-%H%M%S.jsonl"))
    return run(args) if os.environ.get("BENCH_NETNS") == "1" else enter_namespace()


sys.exit(main())
