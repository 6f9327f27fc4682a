"""What the machine allows: the same work by a program that does nothing else, and for uploads the partner at both ends."""
import os

from ..measure import Proc
from .base import Client, Session


class Bound(Client):
    """The example `bound` of crates/storage. It trusts its peers and asks no tracker."""

    name = "bound"
    binary = os.environ.get("RIVERRUN_BOUND")

    def run(self, job, what, folder, *peers):
        return Session(Proc([*job.prefix, self.binary, what, job.torrent.path, folder, *peers], job.log))

    def download(self, job):
        return self.run(job, "download", job.out, *(f"{ip}:{port}" for ip, port in job.peers))

    def check(self, job):
        return self.run(job, "check", job.torrent.data_dir)

    create = check

    def seed(self, job):
        torrent = job.torrent
        p = Proc([job.partner, "seed", f"10.77.0.1:{job.port}", torrent.infohash, str(torrent.piece_len), str(torrent.total), torrent.flat,
                  "--mode", "writev"], job.log)
        return Session(p, ready=lambda: p.said("ready"))
