"""rqbit."""
import glob
import http.client
import json
import os
import time
import urllib.parse

from ..measure import Proc, now
from .base import Client, Session, tool


class Rqbit(Client):
    name = "rqbit"
    binary = tool("rqbit", "RQBIT")
    api_port = 9393

    def version(self):
        return os.popen(f"{self.binary} --version").read().strip()

    def run(self, job, *words, http=None):
        return Proc([*job.prefix, self.binary, "-v", "error", "--disable-dht", "--disable-dht-persistence",
                     "--disable-lsd", "--disable-upnp-port-forward", "--ipv4-only", "--listen-ip", "0.0.0.0",
                     *(["--experimental-enable-utp-listen", "--disable-tcp-connect", "--disable-tcp-listen"]
                       if job.utp else []),
                     *(["--http-api-listen-addr", f"127.0.0.1:{http}"] if http else []),
                     "--listen-port", str(job.port), *words], job.log, env={"HOME": job.work})

    def download(self, job):
        return Session(self.run(job, "download", "-e", "--disable-http-api", "-o", job.out, job.torrent.path))

    def seed(self, job):
        p = self.run(job, "download", "--overwrite", "-o", job.torrent.data_dir, job.torrent.path,
                     http=self.api_port)
        return Session(p, ready=self.up(1))

    def check(self, job):
        return Session(self.run(job, "download", "-e", "--overwrite", "--disable-http-api", "-o",
                                job.torrent.data_dir, job.torrent.path))

    def create(self, job):
        p = self.run(job, "share", job.torrent.flat)
        return Session(p, done=lambda: p.said("share this magnet"))

    def get(self, path, method="GET", body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=120)
        c.request(method, path, body)
        r = c.getresponse()
        data = r.read()
        c.close()
        if r.status != 200:
            raise RuntimeError(f"{path}: {r.status} {data[:200]}")
        return json.loads(data)

    def up(self, count):
        def check():
            time.sleep(0.05)
            try:
                t = self.get("/torrents?with_stats=true")["torrents"]
            except OSError:
                return False
            return len(t) == count and all(x.get("stats", {}).get("finished") and
                                           x["stats"]["state"] == "live" for x in t)
        return check

    def many(self, job):
        state = os.path.join(job.data, "..", "rqbit-state")
        first = not os.path.isdir(state)
        p = self.run(job, "--disable-trackers", "server", "start", "--fastresume", "--persistence-location",
                     state, job.data, http=self.api_port)
        files = sorted(glob.glob(os.path.join(job.torrents, "*.torrent")))
        end = now() + 60
        while now() < end:
            try:
                self.get("/torrents")
                break
            except OSError:
                time.sleep(0.01)
        if first:
            where = urllib.parse.quote(os.path.abspath(job.data))
            for path in files:
                with open(path, "rb") as f:
                    self.get(f"/torrents?overwrite=true&output_folder={where}", "POST", f.read())
        return Session(p, ready=self.up(len(files)))
