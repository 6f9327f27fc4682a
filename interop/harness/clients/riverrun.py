"""riverrun itself. Unless bound its announces and connections come from the namespace's first address, so it listens there, on a port of its own."""
import os
import subprocess

from .. import namespace
from .base import Client, Running

BINARY = os.environ.get("RIVERRUN_BINARY", "riverrun")


class Riverrun(Client):
    name = "riverrun"
    encryption = None           # as it is by default

    def version(self):
        return subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.strip()

    def words(self, case, address, role, up_limit, peers):
        on_lan = "lsd" in case.ways
        # Who hears of peers by others must not take two programs at home for one.
        bound = ["--interface", address] if case.ways else []
        listen = f"{address}:{namespace.PEER_PORT}" if bound else namespace.endpoint_at_home(address)
        return ["--home", case.path(f"riverrun{role}.home"), *(["--dht-router", case.router] if case.router else ["--no-dht"]), *([] if on_lan else ["--no-lsd"]),
                *([] if "pex" in case.ways else ["--no-pex"]), "--no-utp", "--no-port-map", "--listen", listen, *bound,
                *(["--encryption", self.encryption] if self.encryption else []), *(["-U", str(up_limit)] if up_limit else []),
                *(word for peer in peers for word in ("--peer", peer))]

    def download(self, case, torrent, folder, address, role="", peers=(), more=()):
        """The one-shot download, which ends when it is complete."""
        process = case.start(
            [*namespace.inside(address), BINARY, "download", *self.words(case, address, role, None, peers), *more, "-d", folder, torrent.path],
            f"riverrun{role}")
        return Running(process, complete=lambda: process.poll() == 0)

    def seed(self, case, torrent, folder, address, role="", up_limit=None, more=()):
        words = self.words(case, address, role, up_limit, ())
        process = case.start([*namespace.inside(address), BINARY, "seed", *words, *more, "--data", folder, torrent.path], f"riverrun{role}")
        return Running(process, ready=lambda: process.said("sharing"), complete=lambda: process.said("sharing"))

    def stream(self, case, torrent, folder, address, role="", more=()):
        """The download that serves its files over HTTP meanwhile, and shares them until it is stopped."""
        process = case.start(
            [BINARY, "stream", *self.words(case, address, role, None, ()), *more, "-d", folder, torrent.path], f"riverrun{role}")
        return Running(process, ready=lambda: process.said("http://127.0.0.1:"), complete=lambda: process.said("Downloaded "))

    def start(self, case, torrent, folder, address, role="", up_limit=None, peers=()):
        process = case.start(
            [BINARY, "download", "--seed", *self.words(case, address, role, up_limit, peers), "-d", folder, torrent.path],
            f"riverrun{role}")
        return Running(process, complete=lambda: process.said("Downloaded "))
