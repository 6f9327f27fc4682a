"""Processes under measurement, what they cost, and the noise gauge."""
import hashlib
import os
import signal
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
NCPU = os.cpu_count()
now = time.perf_counter


class Proc:
    """One child process whose CPU time and memory are followed until it ends."""

    def __init__(self, argv, log, cwd=None, env=None):
        self.t0 = now()
        self.log = log
        with open(log, "ab") as out:
            self.p = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, cwd=cwd,
                                      stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})},
                                      start_new_session=True)
        self.pid = self.p.pid
        self.rc = None
        self.t_exit = None
        self.usage = None
        self.peak_rss = self.peak_anon = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        while self.rc is None:
            self.sample()
            time.sleep(0.02)

    def status(self):
        try:
            with open(f"/proc/{self.pid}/status") as f:
                return {k: v for k, v in (line.split(":", 1) for line in f if ":" in line)}
        except (OSError, ValueError):
            return {}

    def sample(self):
        s = self.status()
        if "VmHWM" in s:
            self.peak_rss = max(self.peak_rss, int(s["VmHWM"].split()[0]))
            self.peak_anon = max(self.peak_anon, int(s["RssAnon"].split()[0]))
        return s

    def poll(self):
        with self._lock:
            if self.rc is None:
                pid, st, usage = os.wait4(self.pid, os.WNOHANG)
                if pid:
                    self.t_exit = now()
                    self.usage = usage
                    self.p.returncode = self.rc = os.waitstatus_to_exitcode(st)
        return self.rc

    def cpu(self):
        """CPU seconds (user, system) so far, the whole life once it has ended."""
        if self.poll() is None:
            try:
                with open(f"/proc/{self.pid}/stat") as f:
                    rest = f.read().rsplit(")", 1)[1].split()
                return int(rest[11]) / TICK, int(rest[12]) / TICK
            except OSError:
                self.poll()
        return self.usage.ru_utime, self.usage.ru_stime

    def stop(self, grace=20):
        end = now() + grace
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            while self.poll() is None and now() < end:
                time.sleep(0.005)
            if self.poll() is None:
                os.kill(self.pid, signal.SIGKILL)
                while self.poll() is None:
                    time.sleep(0.005)

    def said(self, word):
        try:
            with open(self.log, "rb") as f:
                return word.encode() in f.read()
        except OSError:
            return False


def machine():
    """CPU seconds the whole machine has been busy, and those the hypervisor withheld from it."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:]]
    return (sum(v[:3]) + sum(v[5:7])) / TICK, v[7] / TICK


def yardstick(mib=96):
    """MiB of SHA-1 per second of wall time, now, on one core: how fast the machine is at the moment."""
    block = bytes(1 << 20)
    t = now()
    h = hashlib.sha1()
    for _ in range(mib):
        h.update(block)
    h.digest()
    return mib / (now() - t)


class Counts:
    """System calls, page faults and context switches of a program and its threads, by perf."""

    EVENTS = {"raw_syscalls:sys_enter": "syscalls", "minor-faults": "faults", "context-switches": "switches"}

    def __init__(self, out):
        self.out = out
        self.words = ["perf", "stat", "-x", ",", "-o", out, "-e", ",".join(self.EVENTS)]

    def before(self):
        """What stands before the command line of a program that ends by itself."""
        return (*self.words, "--")

    def attach(self, pid):
        """Counts a running process, until `detach`."""
        self.perf = Proc([*self.words, "-p", str(pid)], self.out + ".log")
        time.sleep(0.3)

    def detach(self):
        if self.perf.poll() is None:
            os.kill(self.perf.pid, signal.SIGINT)
            while self.perf.poll() is None:
                time.sleep(0.005)

    def per_gib(self, size):
        found = {}
        with open(self.out) as f:
            for line in f:
                words = line.split(",")
                if len(words) > 2 and words[2] in self.EVENTS:
                    found[self.EVENTS[words[2]] + "_gib"] = int(words[0]) * (1 << 30) / size
        return found


class Noise:
    """What others took of the machine while a measurement ran, and how fast it was just before."""

    def __init__(self):
        self.yard = yardstick()
        self.t, (self.busy, self.steal), self.own = now(), machine(), time.process_time()

    def figures(self, known_cpu):
        """Shares of the machine: used by neither the given CPU seconds nor this harness; stolen."""
        wall = now() - self.t
        busy, steal = machine()
        used = busy - self.busy - known_cpu - (time.process_time() - self.own)
        return {"foreign": round(max(0.0, used / (wall * NCPU)), 3),
                "stolen": round((steal - self.steal) / (wall * NCPU), 3), "yard": round(self.yard)}
