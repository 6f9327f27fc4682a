"""Programs that only make or check .torrent files."""
import os

from ..measure import Proc
from .base import Client, Session, tool


class Mktorrent(Client):
    name = "mktorrent"
    binary = tool("mktorrent", "MKTORRENT")

    def create(self, job):
        return Session(Proc([self.binary, "-l", str(job.torrent.piece_len.bit_length() - 1), "-t",
                             str(os.cpu_count()), "-o", os.path.join(job.work, "made.torrent"),
                             job.torrent.flat], job.log))


class Imdl(Client):
    name = "imdl"
    binary = tool("imdl", "IMDL")

    def version(self):
        return os.popen(f"{self.binary} --version").read().strip()

    def create(self, job):
        return Session(Proc([self.binary, "torrent", "create", "--piece-length", str(job.torrent.piece_len),
                             "--input", job.torrent.flat, "--output",
                             os.path.join(job.work, "made.torrent")], job.log))

    def check(self, job):
        return Session(Proc([self.binary, "torrent", "verify", "--input", job.torrent.path, "--content",
                             job.torrent.flat], job.log))
