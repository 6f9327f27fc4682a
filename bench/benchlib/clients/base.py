"""What every adapter is made of: the job, the process that does it, and how to tell that it is done."""
import os
import shutil
from dataclasses import dataclass

HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclass
class Job:
    """What a client is asked to do, and where it may scribble."""
    torrent: object            # torrents.Torrent, or None
    work: str                  # a fresh directory for configuration and logs
    out: str = ""              # where a download goes
    port: int = 7000           # the client's listening port
    most: int = 1000           # connections it may have
    utp: bool = False
    peers: tuple = ()          # who has the payload, for who asks no tracker
    partner: str = ""          # the program at the other end
    prefix: tuple = ()         # what stands before the program's name, for one-shot programs
    torrents: str = ""         # many(): directory of .torrent files
    data: str = ""             # many(): directory of their payloads
    at_once: bool = False      # many(): add all before any is waited for

    @property
    def log(self):
        return os.path.join(self.work, "log")


class Session:
    """A client at work. `started` is when the work was asked for: the spawn of a one-shot program, the call that added the torrent."""

    def __init__(self, proc, done=None, ready=None, started=None, close=None):
        self.proc, self._done, self._ready, self._close = proc, done, ready, close
        self.started = proc.t0 if started is None else started

    def done(self):
        """True once the job is finished; raises if the client has failed."""
        if self._done and self._done():
            return True
        rc = self.proc.poll()
        if rc is None:
            return False
        if rc == 0:
            return True
        raise RuntimeError(f"exit status {rc}")

    def ready(self):
        if self.proc.poll() is not None:
            raise RuntimeError(f"exit status {self.proc.rc}")
        return self._ready() if self._ready else True

    def close(self):
        if self._close:
            try:
                self._close()
            except Exception:
                pass
        self.proc.stop()


def flag(path):
    return lambda: os.path.exists(path)


def tool(name, env):
    return os.environ.get(env) or shutil.which(name)


class Client:
    """Subclass it and give it the jobs that the client can do: download, seed, check, create, many."""

    name = "?"
    one_shot = True      # the program exits by itself when a download is done
    binary = None

    def available(self):
        return bool(self.binary)

    def version(self):
        return ""

    def payload(self, job):
        """Where the finished payload lies after download()."""
        return os.path.join(job.out, job.torrent.name)

    def can(self, what):
        return hasattr(self, what)
