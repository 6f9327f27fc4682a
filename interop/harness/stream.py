"""`riverrun stream`, read by curl while the content comes from several slow seeders."""
import html
import os
import re
import time
import urllib.parse

from .case import Failure
from .content import KIB, MIB, file_hash
from .exchange import compare
from .tracker import OpenTracker

# Each of the seeders: together slow enough that every range is asked for long before it would have come by itself.
RATE = MIB


def ranges(case, content, torrent, seeders, us):
    """The start, the end, what curl calls a suffix, pieces in the middle; then all of it, with more ranges beside."""
    begin, down, url, out = _start(case, content, torrent, seeders, us)
    length = content.length
    _part(case, content, url, "0-65535", 0, 65536)
    first_after = time.monotonic() - begin
    middle = length // 2 - 777
    for words, start, end in (
        (f"{length - 100_000}-", length - 100_000, length),
        ("-12345", length - 12345, length),
        (f"{middle}-{middle + 2 * content.piece_length}", middle, middle + 2 * content.piece_length + 1),
        (f"{length // 4}-{length // 4}", length // 4, length // 4 + 1),
        (f"{length - 10}-{length + 10}", length - 10, length),
    ):
        _part(case, content, url, words, start, end)
    if down.complete():
        raise Failure("it was complete before the ranges were read: this shows nothing")
    whole = Curl(case, url)
    # Others go elsewhere meanwhile.
    beside = [(at, Curl(case, url, "--range", f"{at}-{at + 300 * KIB - 1}")) for at in (length * 3 // 4, length // 3)]
    for at, curl in beside:
        case.wait(curl.done, "a range beside the whole", [down.process])
        curl.check(206, content, at, at + 300 * KIB)
    case.wait(whole.done, "the whole", [down.process])
    whole.check(200, content, 0, length)
    beyond = Curl(case, url, "--range", f"{length}-")
    case.wait(beyond.done, "a range beyond the end", [down.process])
    if beyond.status() != 416:
        raise Failure(f"a range beyond the end is answered with {beyond.status()}")
    _complete(case, content, down, out, us)
    return None, f"the first 64 KiB {first_after:.1f} s after the start"


def every_file(case, content, torrent, seeders, us):
    """The page links to every file, and each of them is read by its link while the rest comes."""
    _, down, url, out = _start(case, content, torrent, seeders, us, rate=60 * KIB)
    page = Curl(case, urllib.parse.urljoin(url, "/"))
    case.wait(page.done, "the page", [down.process])
    with open(page.out, encoding="utf-8") as file:
        links = re.findall(r'href="(/\d+/[^"]*)"', file.read())
    urls = [urllib.parse.urljoin(url, html.unescape(link)) for link in links]
    names = [urllib.parse.unquote(each.rsplit("/", 1)[1]) for each in urls]
    if sorted(names) != sorted(name.rsplit("/", 1)[-1] for name in content.files):
        raise Failure(f"the page has {names}")
    # From the last to the first: not the order in which they come by themselves.
    readers = [Curl(case, each) for each in reversed(urls)]
    for reader in readers:
        case.wait(reader.done, f"all of {reader.url}", [down.process])
    found = sorted(file_hash(reader.out) for reader in readers if reader.status() == 200)
    if found != sorted(content.hashes.values()):
        raise Failure("the files have other bytes")
    _complete(case, content, down, out, us)
    return None, f"{len(urls)} files"


def _start(case, content, torrent, seeders, us, rate=RATE):
    """Starts the seeders and `stream`: (when, it, its URL, its folder)."""
    tracker = OpenTracker(case, [torrent.v1])
    over_http = torrent.with_trackers(case.path("http.torrent"), [tracker.http_url])
    ups = []
    for number, seeder in enumerate(seeders):
        data = content.copy(case.path(f"seed{number}"))
        ups.append(seeder.seed(case, over_http, data, case.address(), role=f"-seeder{number}", up_limit=rate))
    alive = [up.process for up in ups]
    for up in ups:
        case.wait(up.ready, "a seeder serves", alive)
    case.wait(tracker.knows(torrent.v1, len(ups)), "all have announced themselves", alive)
    out = case.new_folder("out")
    begin = time.monotonic()
    down = us.stream(case, over_http, out, case.address())
    case.wait(down.ready, "a URL is printed", [down.process, *alive])
    return begin, down, re.search(r"^http://\S+$", down.process.output(), re.MULTILINE)[0], out


def _part(case, content, url, words, start, end):
    curl = Curl(case, url, "--range", words)
    case.wait(curl.done, f"bytes {words}")
    curl.check(206, content, start, end)
    wanted = f"content-range: bytes {start}-{end - 1}/{content.length}"
    if wanted not in curl.head().lower():
        raise Failure(f"bytes {words}: {wanted!r} is not in the head\n{curl.head()}")


def _complete(case, content, down, out, us):
    case.wait(down.complete, "the download completes", [down.process])
    compare(case, content, out, us)


class Curl:
    """One request."""

    def __init__(self, case, url, *more):
        self.url = url
        number = sum(process.name == "curl" for process in case.processes)
        self.out, self._head = case.path(f"curl{number}.out"), case.path(f"curl{number}.head")
        words = ["curl", "--disable", "--silent", "--show-error", "--max-time", "60", "--dump-header", self._head, "--output", self.out]
        self._process = case.start([*words, *more, url], f"curl{number}")

    def done(self):
        status = self._process.poll()
        if status:
            raise Failure(f"curl ended with {status}: {self._process.tail()}")
        return status == 0

    def head(self):
        with open(self._head) as file:
            return file.read()

    def status(self):
        return int(self.head().split()[1])

    def check(self, status, content, start, end):
        """Compares the body with this part of a single file."""
        with open(content.path, "rb") as file:
            file.seek(start)
            right = file.read(end - start)
        got = b""
        if os.path.exists(self.out):
            with open(self.out, "rb") as file:
                got = file.read()
        if self.status() != status or got != right:
            raise Failure(f"{' '.join(self._process.argv)}: status {self.status()}, {len(got)} bytes for {start} to {end}, or others")
