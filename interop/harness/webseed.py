"""Web seeds (BEP 19): nginx has the files and nobody knows any peer, or one besides."""
import socket
import time

from .case import Failure
from .clients.riverrun import BINARY
from .exchange import compare
from .process import run
from .torrent import TorrentFile
from .tracker import OpenTracker

PORT = 8080
_CONFIG = """\
daemon off; master_process off; user root; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{ listen {address}:{port}; root {folder}/www; }}
}}
"""


class Nginx:
    """A web server with the content under its own name."""

    def __init__(self, case, content):
        self.address = case.address()
        self.url = f"http://{self.address}:{PORT}/"
        self._log = case.path("access.log")
        content.copy(case.path("www"))
        config = case.path("nginx.conf")
        with open(config, "w") as file:
            file.write(_CONFIG.format(folder=case.folder, address=self.address, port=PORT))
        self.process = case.start(["nginx", "-c", config, "-p", case.folder], "nginx")
        case.wait(self._answers, "nginx serves", [self.process])

    def _answers(self):
        try:
            socket.create_connection((self.address, PORT), timeout=1).close()
            return True
        except OSError:
            return False

    def requests(self):
        with open(self._log) as file:
            return [line for line in file if '"GET ' in line]


def alone(case, content, torrent, downloader, by_user=False):
    """The torrent names the server and no tracker; or names nobody, and our own user names the server."""
    server = Nginx(case, content)
    named = torrent.with_web_seeds(case.path("web.torrent"), [] if by_user else [server.url])
    return _download(case, content, named, server, downloader, ["--web-seed", server.url] if by_user else [])


def with_peer(case, content, torrent, seeder, downloader):
    """The server and one peer, each of which gives some."""
    server = Nginx(case, content)
    tracker = OpenTracker(case, torrent.wire_hashes)
    announced = torrent.with_trackers(case.path("http.torrent"), [tracker.http_url])
    up = seeder.seed(case, announced, content.copy(case.path("seed")), case.address(), role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process])
    case.wait(tracker.knows(torrent.wire_hashes[0], 1), f"{seeder.name} has announced itself", [up.process, tracker.process])
    both = announced.with_web_seeds(case.path("both.torrent"), [server.url])
    # Slow enough that neither has given everything before the other is known.
    seconds = _download(case, content, both, server, downloader, ["-D", "2Mi"])
    case.wait(lambda: up.uploaded() > 0, f"{seeder.name} says that it gave something", [up.process])
    return seconds


def ours(case, content, downloader):
    """`riverrun create -w` makes the torrent, and another client downloads from the server with it."""
    server = Nginx(case, content)
    path = case.path("ours.torrent")
    status, output = run([BINARY, "create", content.path, "-o", path, "--v1", "--hidden", "-w", server.url], case.path("create.log"))
    if status:
        raise Failure(f"riverrun create ended with {status}: {output}")
    return _download(case, content, TorrentFile(path), server, downloader, [])


def _download(case, content, torrent, server, downloader, more):
    out = case.new_folder("out")
    begin = time.monotonic()
    words = {"more": more} if more else {}
    down = downloader.download(case, torrent, out, case.address(), role="-downloader", **words)
    case.wait(down.complete, f"{downloader.name} completes", [down.process, server.process])
    seconds = time.monotonic() - begin
    compare(case, content, out, downloader)
    if not server.requests():
        raise Failure("nothing was asked of the web server")
    return seconds
