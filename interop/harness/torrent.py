"""Torrent files, read and made without riverrun, so that nothing here repeats a mistake of its own."""
import hashlib
import os
import urllib.parse

from .process import run


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def bdecode(data):
    value, end = _decode(data, 0)
    if end != len(data):
        raise ValueError("bytes after the end")
    return value


def _decode(data, at):
    kind = data[at:at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = _decode(data, at)
            items.append(item)
        return (items if kind == b"l" else dict(zip(items[::2], items[1::2]))), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1:end], end


class TorrentFile:
    """A .torrent on disk."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            data = file.read()
        self.top = bdecode(data)
        self.info = self.top[b"info"]
        raw = bencode(self.info)
        if raw not in data:
            raise ValueError(f"{path}: the info dictionary is not in canonical form")
        self.v1 = hashlib.sha1(raw).hexdigest() if b"pieces" in self.info else None
        self.v2 = hashlib.sha256(raw).hexdigest() if self.info.get(b"meta version") == 2 else None

    @property
    def wire_hashes(self):
        """What peers and trackers call it: the v1 hash, the first 20 bytes of the v2 hash, or either."""
        return [wire for wire in (self.v1, self.v2 and self.v2[:40]) if wire]

    def bare(self, path):
        """A copy without its piece layers; the info-hash stays."""
        return self._copy(path, {key: value for key, value in self.top.items() if key != b"piece layers"})

    def with_trackers(self, path, urls):
        """A copy with these trackers; the info-hash stays."""
        top = {key: value for key, value in self.top.items() if key not in (b"announce", b"announce-list", b"nodes")}
        if urls:
            top[b"announce"] = urls[0]
        if len(urls) > 1:
            top[b"announce-list"] = [[url] for url in urls]
        return self._copy(path, top)

    def with_web_seeds(self, path, urls):
        """A copy with these web seeds (BEP 19); the info-hash stays."""
        top = {key: value for key, value in self.top.items() if key != b"url-list"}
        if urls:
            top[b"url-list"] = urls
        return self._copy(path, top)

    @staticmethod
    def _copy(path, top):
        with open(path, "wb") as file:
            file.write(bencode(top))
        return TorrentFile(path)


class Link:
    """A magnet link that stands in for a torrent file: `path` is the link."""

    def __init__(self, uri):
        self.path = uri

    @classmethod
    def to(cls, torrent, parameters):
        """A link with all hashes of a torrent."""
        topics = ([f"xt=urn:btih:{torrent.v1}"] if torrent.v1 else []) + ([f"xt=urn:btmh:1220{torrent.v2}"] if torrent.v2 else [])
        words = [f"{key}={urllib.parse.quote(value, safe=':')}" for key, value in parameters.items()]
        return cls("magnet:?" + "&".join(topics + words))


def is_link(torrent):
    return torrent.path.startswith("magnet:")


_LIBTORRENT = """
import os, sys, libtorrent
path, out, piece_length, kind = sys.argv[1:]
storage = libtorrent.file_storage()
libtorrent.add_files(storage, path)
flags = {"v1": libtorrent.create_torrent.v1_only, "v2": libtorrent.create_torrent.v2_only, "hybrid": 0}[kind]
torrent = libtorrent.create_torrent(storage, int(piece_length), flags)
torrent.add_tracker("http://tracker.invalid/announce")
libtorrent.set_piece_hashes(torrent, os.path.dirname(os.path.abspath(path)))
open(out, "wb").write(libtorrent.bencode(torrent.generate()))
"""


def make(maker, content, out, log, riverrun=None):
    """Makes a .torrent of `content` with `maker`: mktorrent, transmission, libtorrent-KIND or riverrun-KIND."""
    tracker = "http://tracker.invalid/announce"
    tool, _, kind = maker.partition("-")
    argv = {
        "mktorrent": ["mktorrent", "-a", tracker, "-l", content.piece_length.bit_length() - 1, "-o", out, content.path],
        "transmission": ["transmission-create", "-t", tracker, "-s", content.piece_length >> 10, "-o", out, content.path],
        "libtorrent": ["/usr/bin/python3", "-c", _LIBTORRENT, content.path, out, content.piece_length, kind],
        "riverrun": [riverrun, "create", content.path, f"--{kind}", "--piece-length", content.piece_length, "-t", tracker,
                     "--hidden", "-o", out],
    }[tool]
    status, output = run(argv, log, limit=120)
    if status != 0 or not os.path.exists(out):
        raise RuntimeError(f"{maker} ended with {status}: {output[-2000:]}")
    return TorrentFile(out)
