"""libtorrent, through lt_driver.py and its Python binding, with its defaults and with fast settings."""
import os

from ..measure import Proc
from .base import HERE, Client, Session


class Libtorrent(Client):
    """lt_driver.py over libtorrent's Python binding; the environment names the Python that has it."""

    def __init__(self, name, fast, python):
        self.name, self.fast, self.binary = name, fast, python

    def available(self):
        return bool(self.binary) and os.system(f"{self.binary} -c 'import libtorrent' 2>/dev/null") == 0

    def version(self):
        return os.popen(f"{self.binary} -c 'import libtorrent as l; print(l.__version__)'").read().strip()

    def run(self, job, *words):
        return Proc([*job.prefix, self.binary, os.path.join(HERE, "lt_driver.py"), *(["--fast"] if self.fast else []),
                     *(["--utp"] if job.utp else []), "--port", str(job.port), *words], job.log)

    def download(self, job):
        p = self.run(job, "download", job.torrent.path, job.out)
        return Session(p)

    def seed(self, job):
        p = self.run(job, "seed", job.torrent.path, job.torrent.data_dir)
        return Session(p, ready=lambda: p.said("ready"))

    def check(self, job):
        return Session(self.run(job, "check", job.torrent.path, job.torrent.data_dir))

    def create(self, job):
        return Session(self.run(job, "create", job.torrent.flat, os.path.join(job.work, "made.torrent"),
                                str(job.torrent.piece_len)))

    def many(self, job):
        resume = os.path.join(job.data, "..", "resume-" + self.name)
        os.makedirs(resume, exist_ok=True)
        first = not os.listdir(resume)
        p = self.run(job, "many", job.torrents, job.data, resume)
        return Session(p, ready=lambda: p.said("saved" if first else "ready"))
