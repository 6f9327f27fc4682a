"""qBittorrent without a window."""
import glob
import http.client
import json
import os
import time
import urllib.parse

from ..measure import Proc, now
from .base import Client, Session, flag, tool


class QBittorrent(Client):
    name = "qbittorrent"
    one_shot = False
    binary = tool("qbittorrent-nox", "QBITTORRENT_NOX")
    web_port = 9292

    def version(self):
        return os.popen(f"{self.binary} --version 2>&1").read().strip()

    def api(self, path, **form):
        c = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=120)
        c.request("POST", "/api/v2/" + path, urllib.parse.urlencode(form),
                  {"Content-Type": "application/x-www-form-urlencoded"})
        r = c.getresponse()
        body = r.read()
        c.close()
        if r.status != 200:
            raise RuntimeError(f"{path}: {r.status} {body[:200]}")
        return body

    def add(self, paths, directory):
        edge = "----bench"
        body = b""
        for path in paths:
            with open(path, "rb") as f:
                body += (f"--{edge}\r\nContent-Disposition: form-data; name=\"torrents\"; filename=\""
                         f"{os.path.basename(path)}\"\r\nContent-Type: application/x-bittorrent\r\n\r\n"
                         ).encode() + f.read() + b"\r\n"
        body += (f"--{edge}\r\nContent-Disposition: form-data; name=\"savepath\"\r\n\r\n{directory}\r\n"
                 f"--{edge}--\r\n").encode()
        c = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=120)
        c.request("POST", "/api/v2/torrents/add", body,
                  {"Content-Type": f"multipart/form-data; boundary={edge}"})
        r = c.getresponse()
        if r.status != 200:
            raise RuntimeError(f"add: {r.status}")
        r.read()
        c.close()

    def daemon(self, job, profile=None):
        profile = profile or os.path.join(job.work, "profile")
        conf = os.path.join(profile, "qBittorrent", "config")
        os.makedirs(conf, exist_ok=True)
        mark = os.path.join(job.work, "flag")
        protocol = "UTP" if job.utp else "TCP"
        with open(os.path.join(conf, "qBittorrent.conf"), "w") as f:
            f.write(
                f"[AutoRun]\nenabled=true\nprogram=touch {mark}\n[LegalNotice]\nAccepted=true\n"
                "[BitTorrent]\nSession\\DHTEnabled=false\nSession\\PeXEnabled=false\n"
                "Session\\LSDEnabled=false\nSession\\Encryption=2\nSession\\QueueingSystemEnabled=false\n"
                f"Session\\BTProtocol={protocol}\nSession\\Port={job.port}\nSession\\MultiConnectionsPerIp=true\n"
                "Session\\RefreshInterval=100\nSession\\MaxConnections=-1\nSession\\MaxConnectionsPerTorrent=-1\n"
                "Session\\MaxUploads=-1\nSession\\MaxUploadsPerTorrent=-1\nSession\\AddTorrentPaused=false\n"
                "Session\\AsyncIOThreadsCount=4\nSession\\HashingThreadsCount=2\n"
                "Session\\SendBufferWatermark=3000\nSession\\SendBufferLowWatermark=1000\n"
                "Session\\RequestQueueSize=1500\nSession\\MaxActiveCheckingTorrents=5\n"
                "[Network]\nPortForwardingEnabled=false\n"
                f"[Preferences]\nWebUI\\LocalHostAuth=false\nWebUI\\Port={self.web_port}\n"
                "WebUI\\CSRFProtection=false\nWebUI\\UseUPnP=false\nConnection\\UPnP=false\n")
        p = Proc([self.binary, f"--profile={profile}"], job.log, env={"HOME": job.work})
        end = now() + 90
        while True:
            try:
                self.api("app/version")
                return p
            except OSError:
                if p.poll() is not None or now() > end:
                    raise RuntimeError("qbittorrent-nox did not start")
                time.sleep(0.01)

    def download(self, job):
        p = self.daemon(job)
        t = now()
        self.add([job.torrent.path], job.out)
        return Session(p, done=flag(os.path.join(job.work, "flag")), started=t)

    def up(self, count):
        def check():
            time.sleep(0.1)
            t = json.loads(self.api("torrents/info"))
            return len(t) == count and all(x["state"] in ("stalledUP", "uploading") for x in t)
        return check

    def seed(self, job):
        p = self.daemon(job)
        t = now()
        self.add([job.torrent.path], job.torrent.data_dir)
        return Session(p, ready=self.up(1), done=self.up(1), started=t)

    check = seed

    def many(self, job):
        profile = os.path.join(job.data, "..", "qbt-profile")
        first = not glob.glob(os.path.join(profile, "qBittorrent", "data", "BT_backup", "*.torrent"))
        p = self.daemon(job, profile)
        files = sorted(glob.glob(os.path.join(job.torrents, "*.torrent")))
        if first:
            for i in range(0, len(files), 50):
                self.add(files[i:i + 50], job.data)
        up = self.up(len(files))
        return Session(p, ready=up)
