"""Torrents made by others are read and verified here; ours are accepted by them."""
import json
import os

from .case import Failure
from .clients.libtorrent import Libtorrent
from .clients.riverrun import BINARY
from .process import run
from .torrent import make

OTHER_MAKERS = ["mktorrent", "transmission", "libtorrent-v1", "libtorrent-v2", "libtorrent-hybrid"]
OUR_MAKERS = ["riverrun-v1", "riverrun-v2", "riverrun-hybrid"]


def ours_reads(case, maker, content):
    """`riverrun info` says what the file says; `riverrun verify` finds good data good and damaged data damaged."""
    torrent = make(maker, content, case.path("made.torrent"), case.path("make.log"))
    said = json.loads(_ours(case, 0, "info", "--json", torrent.path))
    expected = {"info_hash": torrent.v1, "info_hash_v2": torrent.v2, "length": _length(torrent.info),
                "name": content.root_name, "piece_length": torrent.info[b"piece length"]}
    # transmission-create leaves out files whose names begin with a dot.
    if maker != "transmission" and expected["length"] != content.length:
        raise Failure(f"{maker} made a torrent of {expected['length']} bytes of {content.length}")
    wrong = {key: (said.get(key), value) for key, value in expected.items() if said.get(key) != value}
    if wrong:
        raise Failure(f"riverrun info (said, expected): {wrong}")
    _ours(case, 0, "verify", torrent.path, content.path)
    data = os.path.join(content.copy(case.path("damaged")), content.root_name)
    name = max(content.files, key=content.files.get)
    path = os.path.join(data, name) if name else data
    with open(path, "r+b") as file:
        file.seek(content.files[name] // 2)
        byte = file.read(1)
        file.seek(content.files[name] // 2)
        file.write(bytes([byte[0] ^ 1]))
    _ours(case, 5, "verify", torrent.path, data)
    os.remove(path)
    # A path that the user names and that is not there is another mistake than a file missing in a folder.
    _ours(case, 3 if content.is_single else 5, "verify", torrent.path, data)


def others_accept(case, maker, content):
    """What riverrun makes: libtorrent checks all data with it; for v1 transmission-show and aria2c read it too."""
    torrent = make(maker, content, case.path("made.torrent"), case.path("make.log"), riverrun=BINARY)
    kind = maker.partition("-")[2]
    if (torrent.v1 is not None, torrent.v2 is not None) != (kind != "v2", kind != "v1"):
        raise Failure(f"not a {kind} torrent: v1 {torrent.v1}, v2 {torrent.v2}")
    running = Libtorrent().seed(case, torrent, content.copy(case.path("seed")), case.address())
    case.wait(running.complete, "libtorrent finds all data right by our torrent", [running.process])
    # Transmission does not even read a name of dots alone.
    if kind == "v1" and content.name != "awkward":
        for words in (["transmission-show", torrent.path], ["aria2c", "--no-conf", "--show-files", torrent.path]):
            status, output = run(words, case.path(f"{words[0]}.log"))
            if status != 0 or torrent.v1 not in output.lower():
                raise Failure(f"{words[0]} ended with {status} and does not name {torrent.v1}: {output[-500:]}")


def _length(info):
    """Bytes of content, pad files not counted."""
    if b"file tree" in info:
        return _tree_length(info[b"file tree"])
    if b"length" in info:
        return info[b"length"]
    return sum(file[b"length"] for file in info[b"files"] if b"p" not in file.get(b"attr", b""))


def _tree_length(tree):
    return sum(node[b""][b"length"] if b"" in node else _tree_length(node) for node in tree.values())


def _ours(case, expected, *words):
    log = case.path(f"riverrun-{words[0]}-{expected}-{len(os.listdir(case.folder))}.log")
    status, output = run([BINARY, "--home", case.path("home"), *words], log, limit=case.left())
    if status != expected:
        raise Failure(f"riverrun {' '.join(words)} ended with {status}, not {expected}: {output[-1500:]}")
    # The first line of a log is the command.
    return output.split("\n", 1)[1]
