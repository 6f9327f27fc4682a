"""opentracker, one for each case that needs a tracker; and our own."""
import http.client
import os
import urllib.parse

from . import namespace
from .torrent import bdecode

BINARY = os.environ.get("RIVERRUN_BINARY", "riverrun")


class Tracker:
    """What the cases ask of a tracker at `address`, which may be IPv6."""

    def __init__(self, address):
        self.address = address
        self.host = f"[{address}]" if ":" in address else address

    @property
    def http_url(self):
        return f"http://{self.host}:{namespace.TRACKER_PORT}/announce"

    @property
    def udp_url(self):
        return f"udp://{self.host}:{namespace.TRACKER_PORT}/announce"

    def _answers(self):
        try:
            return self.scrape("00" * 20) == (0, 0)
        except OSError:
            return False

    def scrape(self, info_hash):
        """(seeds, downloaders) of a torrent."""
        connection = http.client.HTTPConnection(self.address, namespace.TRACKER_PORT, timeout=5)
        try:
            connection.request("GET", "/scrape?info_hash=" + urllib.parse.quote(bytes.fromhex(info_hash), safe=""))
            answer = bdecode(connection.getresponse().read())
        finally:
            connection.close()
        counts = answer[b"files"].get(bytes.fromhex(info_hash), {})
        return counts.get(b"complete", 0), counts.get(b"incomplete", 0)

    def knows(self, info_hash, count):
        """Whether at least `count` peers have announced themselves."""
        return lambda: sum(self.scrape(info_hash)) >= count


class RiverrunTracker(Tracker):
    """`riverrun tracker`, which serves these torrents alone."""

    def __init__(self, case, info_hashes, address=None):
        super().__init__(address or case.address())
        allowed = [word for info_hash in info_hashes for word in ("--allow", info_hash)]
        listen = ["--listen", f"{self.host}:{namespace.TRACKER_PORT}"]
        self.process = case.start(
            [BINARY, "--home", case.path("tracker.home"), "tracker", *listen, "--progress-interval", "1s", *allowed],
            "riverrun-tracker")
        case.wait(self._answers, "riverrun tracker answers", [self.process])


class OpenTracker(Tracker):
    """Debian's opentracker serves only the info-hashes on its list."""

    def __init__(self, case, info_hashes):
        super().__init__(case.address())
        home = case.new_folder(f"opentracker-{self.address}")
        with open(os.path.join(home, "list"), "w") as file:
            file.write("".join(f"{info_hash}\n" for info_hash in info_hashes))
        for path in (case.folder, home):
            os.chmod(path, 0o755)
        port = namespace.TRACKER_PORT
        self.process = case.start(
            ["opentracker", "-i", self.address, "-p", port, "-P", port, "-d", home, "-u", "nobody", "-w", "list"],
            f"opentracker-{self.address}")
        case.wait(self._answers, "opentracker answers", [self.process])
