"""One child process: started with a log of its own, stopped by its id, never left behind."""
import ctypes
import os
import signal
import subprocess
import threading
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A running program whose output goes to `log`."""

    def __init__(self, argv, log, env=None, cwd=None):
        self.argv = [str(word) for word in argv]
        self.log = log
        self.name = os.path.basename(self.argv[0])
        self.started = time.monotonic()
        self._lock = threading.Lock()
        self.usage = None
        self.status = None
        with open(log, "ab") as out:
            out.write(("+ " + " ".join(self.argv) + "\n").encode("utf-8", "surrogateescape"))
            out.flush()
            self._child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=cwd,
                env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent)
        self.pid = self._child.pid

    def poll(self):
        """The exit status (negative: the signal), or None while it runs."""
        with self._lock:
            if self.status is None:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
                if pid:
                    self.usage = usage
                    self.status = self._child.returncode = os.waitstatus_to_exitcode(status)
        return self.status

    def kill(self):
        """SIGKILL, as after a crash."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        while self.poll() is None:
            time.sleep(0.005)

    def stop(self, grace=5.0):
        """SIGTERM, then after `grace` seconds SIGKILL."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + grace
        while self.poll() is None:
            if time.monotonic() > end:
                self.kill()
                return
            time.sleep(0.01)

    def output(self):
        with open(self.log, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def said(self, words):
        return words in self.output()

    def tail(self, lines=25):
        return "\n".join("    | " + line for line in self.output().splitlines()[-lines:])


def run(argv, log, limit=60, env=None, cwd=None):
    """Runs a program to its end; returns (exit status, output)."""
    process = Process(argv, log, env, cwd)
    end = time.monotonic() + limit
    while process.poll() is None:
        if time.monotonic() > end:
            process.kill()
            raise TimeoutError(f"{process.name} took more than {limit} s\n{process.tail()}")
        time.sleep(0.005)
    return process.status, process.output()
