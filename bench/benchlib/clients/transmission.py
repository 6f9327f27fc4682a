"""Transmission's daemon."""
import glob
import http.client
import json
import os
import time

from ..measure import Proc, now
from .base import Client, Session, flag, tool


class Transmission(Client):
    name = "transmission"
    one_shot = False
    binary = tool("transmission-daemon", "TRANSMISSION_DAEMON")
    rpc_port = 9191
    session_id = ""

    def version(self):
        return os.popen(f"{self.binary} --version 2>&1").read().strip()

    def rpc(self, method, **arguments):
        for _ in range(2):
            c = http.client.HTTPConnection("127.0.0.1", self.rpc_port, timeout=120)
            c.request("POST", "/transmission/rpc", json.dumps({"method": method, "arguments": arguments}),
                      {"X-Transmission-Session-Id": self.session_id})
            r = c.getresponse()
            body = r.read()
            c.close()
            if r.status != 409:
                return json.loads(body)
            self.session_id = r.getheader("X-Transmission-Session-Id")
        raise RuntimeError("rpc")

    def daemon(self, job, config=None):
        cfg = config or os.path.join(job.work, "cfg")
        os.makedirs(cfg, exist_ok=True)
        script = os.path.join(job.work, "done.sh")
        with open(script, "w") as f:
            f.write(f"#!/bin/sh\n: > {job.work}/flag\n")
        os.chmod(script, 0o755)
        with open(os.path.join(cfg, "settings.json"), "w") as f:
            json.dump({
                "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False, "utp-enabled": job.utp,
                "port-forwarding-enabled": False, "encryption": 0, "peer-port": job.port,
                "rpc-port": self.rpc_port, "rpc-whitelist-enabled": False, "message-level": 1,
                "download-queue-enabled": False, "seed-queue-enabled": False,
                "queue-stalled-enabled": False, "speed-limit-down-enabled": False,
                "speed-limit-up-enabled": False, "upload-slots-per-torrent": 1000,
                "peer-limit-global": 2000, "peer-limit-per-torrent": 1000, "cache-size-mb": 64,
                "preallocation": 0, "download-dir": job.out or job.work,
                "script-torrent-done-enabled": True, "script-torrent-done-filename": script,
            }, f)
        p = Proc([self.binary, "-f", "-g", cfg], job.log)
        end = now() + 60
        while True:
            try:
                self.rpc("session-get")
                return p
            except OSError:
                if p.poll() is not None or now() > end:
                    raise RuntimeError("transmission-daemon did not start")
                time.sleep(0.005)

    def states(self):
        return [t["status"] for t in self.rpc("torrent-get", fields=["status"])["arguments"]["torrents"]]

    def add(self, path, directory):
        return self.rpc("torrent-add", **{"filename": path, "download-dir": directory, "paused": False})

    def download(self, job):
        p = self.daemon(job)
        t = now()
        self.add(job.torrent.path, job.out)
        return Session(p, done=flag(os.path.join(job.work, "flag")), started=t)

    def seed(self, job):
        p = self.daemon(job)
        t = now()
        self.add(job.torrent.path, job.torrent.data_dir)

        def up():
            time.sleep(0.03)
            return self.states() == [6]
        return Session(p, ready=up, done=up, started=t)

    check = seed

    def create(self, job):
        return Session(Proc([tool("transmission-create", "TRANSMISSION_CREATE"), "-s",
                             str(job.torrent.piece_len >> 10), "-o",
                             os.path.join(job.work, "made.torrent"), job.torrent.flat], job.log))

    def many(self, job):
        cfg = os.path.join(job.data, "..", "transmission-cfg")
        first = not os.path.isdir(os.path.join(cfg, "resume"))
        p = self.daemon(job, cfg)
        files = sorted(glob.glob(os.path.join(job.torrents, "*.torrent")))
        if first:
            for f in files:
                self.add(f, job.data)

        def up():
            time.sleep(0.05)
            s = self.states()
            return len(s) == len(files) and all(x == 6 for x in s)
        return Session(p, ready=up)
