"""libtorrent, through the driver in libtorrent_peer.py."""
import json
import os
import subprocess

from .. import namespace
from .base import Client, Running

PYTHON = "/usr/bin/python3"
_DRIVER = os.path.join(os.path.dirname(__file__), "libtorrent_peer.py")


def host(address):
    """An address as it stands before a port."""
    return f"[{address}]" if ":" in address else address


class Libtorrent(Client):
    """`how` goes to the driver."""

    name = "libtorrent"

    def __init__(self, *how):
        self.how = how

    def version(self):
        words = [PYTHON, "-c", "import libtorrent; print('libtorrent', libtorrent.__version__)"]
        return subprocess.run(words, capture_output=True, text=True).stdout.strip()

    def start(self, case, torrent, folder, address, role="", up_limit=None, peers=()):
        state = case.path(f"libtorrent{role}.state")
        process = case.start(
            [PYTHON, "-I", _DRIVER, torrent.path, folder, f"{host(address)}:{namespace.PEER_PORT}", state, up_limit or 0, *self.how, *case.ways,
             *([f"router={case.router}"] if case.router else []),
             *(["encrypted"] if self.encryption == "require" else []), *(f"peer={peer}" for peer in peers)],
            f"libtorrent{role}")
        running = Running(process, lambda: bool(self.state(state)), lambda: self.state(state).get("complete"))
        running.uploaded = lambda: self.state(state).get("uploaded", 0)
        running.downloaded = lambda: self.state(state).get("downloaded", 0)
        return running

    @staticmethod
    def state(path):
        """What the driver last wrote; empty before it has checked its data."""
        try:
            with open(path) as file:
                return json.load(file)
        except OSError:
            return {}
