"""riverrun: this tree's, and one made earlier to compare with."""
import os

from ..measure import Proc
from .base import Client, Session


class Riverrun(Client):
    """The binary that an environment variable names; another names its example `fleet`, a session of many torrents."""

    def __init__(self, name, binary, fleet):
        self.name, self.binary, self.fleet = name, os.environ.get(binary), os.environ.get(fleet)

    def version(self):
        return os.popen(f"{self.binary} --version").readline().strip()

    def can(self, what):
        return bool(self.fleet) if what == "many" else super().can(what)

    def run(self, job, *words):
        return Proc([*job.prefix, self.binary, *words], job.log, env={"HOME": job.work, "XDG_STATE_HOME": job.work})

    def quiet(self, job):
        return ["--no-dht", "--no-lsd", "--encryption", "off", "--listen", f"0.0.0.0:{job.port}", "--max-peers", str(job.most)]

    def download(self, job):
        return Session(self.run(job, "download", *self.quiet(job), "-d", job.out, job.torrent.path))

    def seed(self, job):
        p = self.run(job, "seed", *self.quiet(job), "--data", job.torrent.data_dir, job.torrent.path)
        return Session(p, ready=lambda: p.said("sharing"))

    def check(self, job):
        return Session(self.run(job, "verify", job.torrent.path, job.torrent.data_dir))

    def create(self, job):
        return Session(self.run(job, "create", job.torrent.flat, "--v1", "--piece-length", str(job.torrent.piece_len),
                                "-o", os.path.join(job.work, "made.torrent")))

    def many(self, job):
        p = Proc([self.fleet, job.torrents, job.data, os.path.join(job.data, "..", "riverrun-state"), *(["--at-once"] if job.at_once else [])],
                 job.log)
        return Session(p, ready=lambda: p.said("ready"))
