"""aria2c."""
import os

from ..measure import Proc
from .base import Client, Session, tool


class Aria2(Client):
    name = "aria2"
    binary = tool("aria2c", "ARIA2C")

    def version(self):
        return os.popen(f"{self.binary} --version").readline().strip()

    def run(self, job, *words):
        return Proc([*job.prefix, self.binary, "--no-conf", "--enable-dht=false", "--enable-dht6=false",
                     "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--bt-max-peers=0",
                     "--file-allocation=none", "--disk-cache=64M", "--bt-max-open-files=6000",
                     "--console-log-level=warn", "--summary-interval=0", "--show-console-readout=false",
                     "--bt-tracker-connect-timeout=5",
                     f"--listen-port={job.port}", *words, job.torrent.path], job.log)

    def download(self, job):
        return Session(self.run(job, "--seed-time=0", f"--dir={job.out}"))

    def seed(self, job):
        p = self.run(job, "--seed-ratio=0.0", "--bt-seed-unverified=true", f"--dir={job.torrent.data_dir}")
        return Session(p)

    def check(self, job):
        return Session(self.run(job, "--check-integrity=true", "--hash-check-only=true",
                                "--seed-time=0", f"--dir={job.torrent.data_dir}"))
