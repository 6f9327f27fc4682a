"""rtorrent."""
import os

from ..measure import Proc
from .base import Client, Session, flag, tool


class Rtorrent(Client):
    name = "rtorrent"
    one_shot = False
    binary = tool("rtorrent", "RTORRENT")

    def version(self):
        return os.popen(f"{self.binary} -h | head -1").read().strip()

    def run(self, job, directory, event):
        rc = os.path.join(job.work, "rtorrent.rc")
        session = os.path.join(job.work, "session")
        os.makedirs(session, exist_ok=True)
        with open(rc, "w") as f:
            f.write(
                f"system.daemon.set = true\nsession.path.set = {session}\n"
                f"directory.default.set = {directory}\nnetwork.port_range.set = {job.port}-{job.port}\n"
                "network.port_random.set = no\ndht.mode.set = disable\nprotocol.pex.set = no\n"
                "trackers.use_udp.set = no\nprotocol.encryption.set = none\n"
                "pieces.hash.on_completion.set = no\npieces.memory.max.set = 2048M\n"
                "pieces.preload.type.set = 0\nthrottle.max_uploads.set = 1000\n"
                "throttle.max_uploads.global.set = 1000\nthrottle.max_peers.normal.set = 1000\n"
                "throttle.max_peers.seed.set = 1000\nnetwork.max_open_files.set = 4096\n"
                "network.max_open_sockets.set = 2048\nnetwork.http.max_open.set = 64\n"
                f"method.set_key = event.download.{event}, bench, \"execute.nothrow=touch,{job.work}/flag\"\n"
                f"schedule2 = bench_load, 0, 0, \"load.start=\\\"{job.torrent.path}\\\"\"\n")
        p = Proc([self.binary, "-n", "-o", f"import={rc}"], job.log, env={"TERM": "xterm", "HOME": job.work})
        return p

    def download(self, job):
        p = self.run(job, job.out, "finished")
        return Session(p, done=flag(os.path.join(job.work, "flag")))

    def seed(self, job):
        p = self.run(job, job.torrent.data_dir, "hash_done")
        up = flag(os.path.join(job.work, "flag"))
        return Session(p, ready=up, done=up)

    check = seed
