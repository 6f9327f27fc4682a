"""How one cell is measured: each is a function (bench, client, torrent, repetition, …) that gives a record (dict)."""
import json
import os
import shutil
import subprocess
import threading
import time

from .clients import Job
from .measure import Counts, Noise, Proc, now
from .torrents import MIB

GIB = 1 << 30
PATIENCE = 40        # seconds a transfer may take; after that what it has moved is what counts
LIMIT = 75           # seconds a job may take before it counts as failed


class Failed(Exception):
    pass


def wait(test, limit, what, step=0.002):
    end = now() + limit
    while not test():
        if now() > end:
            raise Failed(f"{what}: not within {limit} s")
        time.sleep(step)


def figures(proc, wall, cpu, size, noise, others=0.0):
    total = sum(cpu)
    return {
        "wall": wall, "mib_s": size / MIB / wall if size and wall else None,
        "cpu": total, "user": cpu[0], "sys": cpu[1],
        "cpu_per_gib": total / (size / GIB) if size else None,
        "peak_rss_kib": proc.peak_rss, "peak_anon_kib": proc.peak_anon,
        **noise.figures(total + others),
    }


def received(device):
    """Bytes that a network device of ours has received."""
    with open("/proc/net/dev") as f:
        return next(int(line.split()[1]) for line in f if line.strip().startswith(device + ":"))


class Wire(threading.Thread):
    """What comes through a device while a transfer goes on, four times a second."""

    def __init__(self, device):
        super().__init__(daemon=True)
        self.device, self.over, self.course = device, threading.Event(), []
        self.start()

    def run(self):
        while not self.over.is_set():
            self.course.append((now(), received(self.device)))
            self.over.wait(0.25)

    def steady(self, first=2.0, last=0.5):
        """Mbit/s on the wire once the transfer has got going; None for one that is too short."""
        self.over.set()
        begun = next((t for (t, n), (_, m) in zip(self.course, self.course[1:]) if m - n > 65536), None)
        inner = [(t, n) for t, n in self.course if begun and begun + first <= t <= self.course[-1][0] - last]
        if len(inner) < 2:
            return None
        (t, n), (u, m) = inner[0], inner[-1]
        return (m - n) * 8 / (u - t) / 1e6


def same(torrent, payload):
    """Compare a finished payload with its source, byte by byte."""
    src = os.path.join(torrent.data_dir, torrent.name)
    names = torrent.files or [""]
    for n in names:
        a, b = (os.path.join(d, n) if n else d for d in (src, payload))
        if subprocess.run(["cmp", "-s", a, b]).returncode:
            raise Failed(f"wrong data in {n or torrent.name}")


def download(bench, client, torrent, rep, seeders=1, where="shm", count=False):
    out = bench.out_dir(where)
    addrs = [(f"10.77.{1 + i // 250}.{1 + i % 250}", 7001) for i in range(seeders)]
    bench.tracker.peers = addrs
    partner = bench.partner_seed(torrent, addrs)
    job = Job(torrent, bench.work_dir(), out=out, peers=addrs)
    counts = Counts(os.path.join(job.work, "counts"))
    if count and client.one_shot:
        job.prefix = counts.before()
    bench.settle(torrent)
    noise = Noise()
    p0 = sum(partner.cpu())
    b0 = received("lo")
    s = None
    try:
        s = client.download(job)
        whole, size = True, torrent.total
        try:
            wait(s.done, PATIENCE, client.name)
        except Failed:
            whole, size = False, received("lo") - b0
            if size < MIB:
                raise
        end = s.proc.t_exit or now()
        others = sum(partner.cpu()) - p0
        cpu = s.proc.cpu()
        r = figures(s.proc, end - s.started, cpu, size, noise, others)
        r["complete"] = int(whole)
        r["partner_cpu"] = others
        r["wall_from_spawn"] = end - s.proc.t0
        s.close()
        r["cpu_to_exit"] = sum(s.proc.cpu())
        if whole:
            same(torrent, client.payload(job))
        if count and client.one_shot:
            r.update(counts.per_gib(size))
        return r
    finally:
        if s:
            s.close()
        partner.stop()
        shutil.rmtree(out, ignore_errors=True)


def leech(bench, job, conns, base, *how):
    """A partner that leeches over so many connections, from as many addresses counted up from `base`; its log ends with a line of JSON."""
    torrent, log = job.torrent, os.path.join(job.work, f"partner-{base}.log")
    return Proc([bench.partner, "leech", f"10.77.0.1:{job.port}", torrent.infohash, str(torrent.piece_len), str(torrent.total),
                 "--conns", str(conns), "--bind", base, *how], log), log


def told(log):
    with open(log) as f:
        return json.loads(f.read().strip().splitlines()[-1])


def seed(bench, client, torrent, rep, leechers=1, depth=500, count=False, crowd=0):
    """`crowd`: so many others are connected and want nothing."""
    bench.tracker.peers = []
    job = Job(torrent, bench.work_dir(), most=max(1000, crowd + leechers + 10), partner=bench.partner)
    bench.settle(torrent)
    s, others = client.seed(job), None
    try:
        wait(s.ready, LIMIT, "ready", 0.02)
        if crowd:
            others, _ = leech(bench, job, crowd, "10.77.120.1", "--idle", "600", "--silent", "--give-up", "600")
            wait(lambda: others.said("all in"), LIMIT, "all others are connected", 0.02)
        time.sleep(1.0)
        counts = Counts(os.path.join(job.work, "counts"))
        if count:
            counts.attach(s.proc.pid)
        noise = Noise()
        before = s.proc.cpu()
        verify = ["--verify", torrent.flat] if rep == 0 else []
        p, log = leech(bench, job, leechers, "10.77.100.1", "--depth", str(depth), "--give-up", str(PATIENCE), *verify)
        wait(lambda: p.poll() is not None, LIMIT, "leech", 0.001)
        after = s.proc.cpu()
        got = told(log)
        if not got["bytes"]:
            raise Failed("nothing received")
        cpu = (after[0] - before[0], after[1] - before[1])
        s.proc.sample()
        r = figures(s.proc, got["end"] - got["connected"], cpu, got["bytes"], noise, sum(p.cpu()))
        if count:
            counts.detach()
            r.update(counts.per_gib(got["bytes"]))
        r.update(partner=got, complete=got["complete"], first_block=got["first"] - got["connected"], spread=got["end"] - got["end_first_conn"])
        return r
    finally:
        if others:
            others.stop()
        s.close()


def check(bench, client, torrent, rep):
    bench.tracker.peers = []
    job = Job(torrent, bench.work_dir())
    bench.settle(torrent)
    noise = Noise()
    s = client.check(job)
    try:
        wait(s.done, LIMIT, client.name)
        if s.proc.poll() is None:
            end, cpu = now(), s.proc.cpu()
        else:
            end, cpu = s.proc.t_exit, s.proc.cpu()
        return figures(s.proc, end - s.started, cpu, torrent.total, noise)
    finally:
        s.close()


def create(bench, client, torrent, rep):
    job = Job(torrent, bench.work_dir())
    bench.settle(torrent)
    noise = Noise()
    s = client.create(job)
    try:
        wait(s.done, LIMIT, client.name)
        end = s.proc.t_exit or now()
        cpu = s.proc.cpu()
        return figures(s.proc, end - s.started, cpu, torrent.total, noise)
    finally:
        s.close()


def fleet(bench, client, dirs, rep, idle=30, at_once=False):
    """Start with 1,000 torrents whose state was saved by an earlier run; then idle."""
    tdir, ddir = dirs
    job = Job(None, bench.work_dir(), torrents=tdir, data=ddir, out=ddir, at_once=at_once)
    bench.tracker.peers = []
    noise = Noise()
    s = client.many(job)
    try:
        wait(s.ready, LIMIT, "ready", 0.01)
        wall, cpu = now() - s.proc.t0, s.proc.cpu()
        time.sleep(3)
        before = sum(s.proc.cpu())
        t = now()
        time.sleep(idle)
        after = sum(s.proc.cpu())
        st = s.proc.sample()
        r = figures(s.proc, wall, cpu, 0, noise)
        r.update(idle_cpu_pct=100 * (after - before) / (now() - t), threads=int(st["Threads"]),
                 rss_kib=int(st["VmRSS"].split()[0]), anon_kib=int(st["RssAnon"].split()[0]))
        return r
    finally:
        s.close()


class Link:
    """A second network namespace behind linkemu: we are 10.99.0.1, the far side 10.99.0.2."""

    def __init__(self, bench, delay_ms, loss, mbit=500, queue_kib=4096, cc="bbr"):
        work = bench.work_dir()
        self.holder = Proc(["unshare", "--net", "sleep", "infinity"], os.path.join(work, "holder"))
        log = os.path.join(work, "linkemu")
        self.emu = Proc([bench.linkemu, "lnkA", "lnkB", "--delay-ms", str(delay_ms), "--loss", str(loss),
                         "--mbit", str(mbit), "--queue-kib", str(queue_kib)], log)
        self.into = ["nsenter", "-t", str(self.holder.pid), "-n"]
        try:
            wait(lambda: self.emu.said("ready"), 5, "linkemu")
            time.sleep(0.2)
            here = "ip addr add 10.99.0.1/24 dev lnkA && ip link set lnkA up mtu 1500 txqueuelen 10000"
            there = (f"ip link set lo up && ip addr add 10.99.0.2/24 dev lnkB && "
                     f"ip link set lnkB up mtu 1500 txqueuelen 10000 && "
                     f"echo {cc} > /proc/sys/net/ipv4/tcp_congestion_control")
            subprocess.run(["ip", "link", "set", "lnkB", "netns", str(self.holder.pid)], check=True)
            subprocess.run(["sh", "-c", here], check=True)
            subprocess.run([*self.into, "sh", "-c", there], check=True)
        except Exception:
            self.close()
            raise

    def close(self):
        self.emu.stop()
        self.holder.stop()


def wan(bench, client, torrent, rep, delay_ms, loss, utp=False, mbit=500):
    """One libtorrent seeder at the far side of a slow, lossy link."""
    link = Link(bench, delay_ms, loss, mbit)
    seeder = s = None
    out = bench.out_dir("shm")
    try:
        words = [*link.into, *bench.lt_seeder, *(["--utp"] if utp else []), "--port", "7001", "seed", torrent.path,
                 torrent.data_dir]
        seeder = Proc(words, os.path.join(bench.work_dir(), "seeder.log"))
        wait(lambda: seeder.said("ready"), 60, "seeder", 0.02)
        addrs = [("10.99.0.2", 7001)]
        bench.tracker.peers = addrs
        job = Job(torrent, bench.work_dir(), out=out, utp=utp)
        noise = Noise()
        p0 = sum(seeder.cpu()) + sum(link.emu.cpu())
        wire = Wire("lnkA")
        s = client.download(job)
        wait(s.done, LIMIT, client.name)
        end = s.proc.t_exit if s.proc.poll() is not None else now()
        others = sum(seeder.cpu()) + sum(link.emu.cpu()) - p0
        r = figures(s.proc, end - s.started, s.proc.cpu(), torrent.total, noise, others)
        r["wire_mbit"] = wire.steady()
        s.close()
        same(torrent, client.payload(job))
        return r
    finally:
        for x in (s, seeder):
            if x:
                x.close() if hasattr(x, "close") else x.stop()
        link.close()
        shutil.rmtree(out, ignore_errors=True)


def idle_peers(bench, client, torrent, rep, conns=200, secs=20):
    """A seeder with many leechers, who all come at once; each that is unchoked asks for one block every two seconds."""
    bench.tracker.peers = []
    job = Job(torrent, bench.work_dir(), most=conns + 10)
    s = client.seed(job)
    try:
        wait(s.ready, LIMIT, "ready", 0.02)
        time.sleep(1.0)
        rss0 = s.proc.sample()
        noise = Noise()
        start, before = now(), sum(s.proc.cpu())
        p, log = leech(bench, job, conns, "10.77.100.1", "--idle", str(secs), "--give-up", str(secs + 5))
        try:
            wait(lambda: p.said("all in"), secs / 2, "all connected")
        except Failed:
            pass
        time.sleep(1.0)
        in_cpu, t = sum(s.proc.cpu()), now()
        time.sleep(secs - 1 - (t - start))
        st, out_cpu, wall = s.proc.sample(), sum(s.proc.cpu()), now() - t
        wait(lambda: p.poll() is not None, 60, "leech", 0.01)
        time.sleep(1.0)
        cpu, got = sum(s.proc.cpu()) - before, told(log)
        r = figures(s.proc, now() - start, (cpu, 0), 0, noise, sum(p.cpu()))
        r.update(idle_cpu_pct=100 * (out_cpu - in_cpu) / wall, connected=got["finished"], blocks=got["bytes"] // 16384,
                 all_in=got["all_in"], in_cpu=in_cpu - before, out_cpu=cpu - (out_cpu - before), tries=got["tries"],
                 anon_growth_kib=int(st["RssAnon"].split()[0]) - int(rss0["RssAnon"].split()[0]),
                 rss_kib=int(st["VmRSS"].split()[0]))
        return r
    finally:
        s.close()
