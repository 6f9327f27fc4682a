"""What is measured: a case is a job that a client must be able to do, and how one cell of it is measured."""
from . import scenarios as S
from . import torrents
from .torrents import KIB, MIB


class Case:
    """`goal` judges (our median record, best other's median record or None) and gives (text, whether it is met). `bounded`: `bound` can do it."""

    def __init__(self, name, work, job, cell, goal=None, ours_only=False, bounded=True):
        self.name, self.work, self.job, self.cell, self.goal, self.ours_only, self.bounded = name, work, job, cell, goal, ours_only, bounded


def faster(times, cpu):
    """So many times as fast as the fastest other, on so many CPU seconds per GiB."""
    def judge(ours, best):
        met = ours["cpu_per_gib"] <= cpu and (best is None or ours["mib_s"] >= times * best["mib_s"])
        return f"≥ {times:g} × the fastest, ≤ {cpu:g} CPU s/GiB", met
    return judge


def within(seconds):
    return lambda ours, best: (f"≤ {seconds:g} s", ours["wall"] <= seconds)


def idle(mib, ready, percent):
    def judge(ours, best):
        met = ours["anon_kib"] / 1024 <= mib and ours["wall"] <= ready and ours["idle_cpu_pct"] <= percent
        return f"≤ {mib:g} MiB, ≤ {ready:g} s, ≤ {percent:g} %", met
    return judge


def link(share, mbit):
    return lambda ours, best: (f"≥ {100 * share:g} % of the link", ours["mib_s"] * MIB * 8 / 1e6 >= share * mbit)


def small(mib):
    return lambda ours, best: (f"peak ≤ {mib:g} MiB", ours["peak_anon_kib"] / 1024 <= mib)


def single(bench, mib, piece=MIB):
    return bench.torrent(f"single-{mib}m", mib * MIB, piece)


def download(mib, piece=MIB, **how):
    return lambda b, c, r: S.download(b, c, single(b, mib, piece), r, **how)


def files(count, where):
    return lambda b, c, r: S.download(b, c, b.torrent(f"files-{count}", count * 64 * KIB, 256 * KIB, count), r, where=where)


def fleet(count, size=64 * KIB, piece=16 * KIB, **how):
    return lambda b, c, r: S.fleet(b, c, torrents.make_fleet(b.base, count, size, piece), r, **how)


ALL = [
    Case("download", "download, 1 seeder, 2 GiB, 1 MiB pieces, tmpfs", "download", download(2048), faster(2, 0.95)),
    Case("download-disk", "the same to disk", "download", download(2048, where="disk")),
    Case("seeders-8", "download, 8 seeders, 2 GiB", "download", download(2048, seeders=8), faster(2, 0.95)),
    Case("files", "download 5,000 files of 64 KiB", "download", files(5000, "shm"), faster(2, 1.8)),
    Case("files-disk", "the same to disk", "download", files(5000, "disk")),
    Case("seed", "seed 2 GiB to 1", "seed", lambda b, c, r: S.seed(b, c, single(b, 2048), r, 1), faster(1.5, 0.35)),
    Case("seed-8", "seed 512 MiB to each of 8", "seed", lambda b, c, r: S.seed(b, c, single(b, 512), r, 8)),
    Case("seed-crowd", "seed 2 GiB to 1 among 4,999 who want nothing", "seed",
         lambda b, c, r: S.seed(b, c, single(b, 2048), r, 1, crowd=4999), ours_only=True),
    Case("check", "hash check, 4 GiB, cached", "check", lambda b, c, r: S.check(b, c, single(b, 4096), r), faster(3, 0.5)),
    Case("create", "create a .torrent of 4 GiB", "create", lambda b, c, r: S.create(b, c, single(b, 4096), r), faster(3, 0.5)),
    Case("first", "start to end of a 1 MiB download", "download", download(1, 64 * KIB), within(0.05)),
    Case("fleet", "1,000 idle seeding torrents", "many", fleet(1000), idle(12, 0.15, 0.1)),
    Case("fleet-10000", "10,000 idle seeding torrents", "many", fleet(10_000), idle(60, 1.2, 0.5), ours_only=True),
    Case("fleet-at-once", "10,000 torrents added at once", "many", fleet(10_000, at_once=True), ours_only=True),
    Case("fleet-long", "1,000 idle seeding torrents of 4,096 pieces, 64 bytes each", "many", fleet(1000, size=256 * KIB, piece=64)),
    Case("idle-peers", "200 leechers at once, a block each 2 s while unchoked", "seed", lambda b, c, r: S.idle_peers(b, c, single(b, 512), r)),
    Case("idle-peers-5000", "5,000 leechers at once, a block each 2 s while unchoked", "seed",
         lambda b, c, r: S.idle_peers(b, c, single(b, 512), r, conns=5000, secs=30), ours_only=True),
    Case("wan", "500 Mbit/s, 50 ms RTT, TCP", "download", lambda b, c, r: S.wan(b, c, single(b, 256), r, 25, 0.0), link(0.95, 500), bounded=False),
    Case("wan-long", "the same for 1 GiB", "download", lambda b, c, r: S.wan(b, c, single(b, 1024), r, 25, 0.0), link(0.95, 500), bounded=False),
    Case("line-100", "100 Mbit/s, 50 ms RTT, 256 MiB", "download",
         lambda b, c, r: S.wan(b, c, single(b, 256), r, 25, 0.0, mbit=100), small(24), bounded=False),
    Case("wan-loss", "the same, 1 % of packets lost", "download", lambda b, c, r: S.wan(b, c, single(b, 256), r, 25, 0.01), bounded=False),
    Case("counts-download", "system calls and faults, download of 2 GiB", "download", download(2048, count=True)),
    Case("counts-seed", "system calls and faults, seed 2 GiB to 1", "seed", lambda b, c, r: S.seed(b, c, single(b, 2048), r, 1, count=True)),
    *(Case(f"peers-{count}", f"download from {count} at once, 1 GiB", "download", download(1024, seeders=count), ours_only=True)
      for count in (1, 8, 64, 512)),
    *(Case(f"piece-{name}", f"download, pieces of {name}, 1 GiB", "download", download(1024, piece), ours_only=True)
      for name, piece in (("16k", 16 * KIB), ("256k", 256 * KIB), ("1m", MIB), ("16m", 16 * MIB))),
]
CASES = {case.name: case for case in ALL}
# What a plain run measures: the table of goals.
GOALS = [case.name for case in ALL if case.goal]
SCALE = [case.name for case in ALL if case.name.startswith(("peers-", "piece-"))] + ["files"]
