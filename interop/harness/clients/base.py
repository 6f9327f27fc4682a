"""What the harness asks of every client."""
import copy


class Running:
    """A client at work on one torrent."""

    def __init__(self, process, ready=None, complete=None):
        self.process = process
        self._ready = ready
        self._complete = complete

    def ready(self):
        """It has checked its data and serves what it has."""
        return self._ready() if self._ready else True

    def complete(self):
        """It has every piece, verified and handed to the system."""
        return self._complete()


class Client:
    """One client. Each method starts it on `address` and returns a `Running`; peers come from the torrent's tracker.

    uTP and port mapping are off, and so are the DHT, local discovery and PEX but where `case.ways` has them, and encryption but where
    `with_encryption` says so.
    """

    name = ""
    creates_empty_files = True
    encryption = "off"

    def with_encryption(self, how):
        """The same client with encryption "off" or "require"."""
        other = copy.copy(self)
        other.encryption = how
        return other

    def version(self):
        raise NotImplementedError

    def start(self, case, torrent, folder, address, role="", up_limit=None):
        """Works on `torrent` with its content in `folder`: seeds what is there, downloads the rest, goes on seeding.

        `role` tells several processes of one case apart; `up_limit` is in bytes per second.
        """
        raise NotImplementedError

    def seed(self, case, torrent, folder, address, role="", up_limit=None):
        """Serves what is in `folder`."""
        return self.start(case, torrent, folder, address, role, up_limit)

    def download(self, case, torrent, folder, address, role=""):
        """Downloads into `folder`."""
        return self.start(case, torrent, folder, address, role)
