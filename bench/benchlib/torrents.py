"""Payloads and .torrent files for the scenarios, made once and kept."""
import hashlib
import json
import os
from dataclasses import dataclass

KIB, MIB = 1 << 10, 1 << 20


def bencode(v):
    if isinstance(v, int):
        return b"i%de" % v
    if isinstance(v, str):
        v = v.encode()
    if isinstance(v, bytes):
        return b"%d:%s" % (len(v), v)
    if isinstance(v, list):
        return b"l" + b"".join(map(bencode, v)) + b"e"
    return b"d" + b"".join(bencode(k) + bencode(v[k]) for k in sorted(v)) + b"e"


@dataclass
class Torrent:
    path: str        # the .torrent
    name: str        # its info name
    data_dir: str    # where the payload lies: data_dir/name
    flat: str        # the payload as one flat file, for the partner
    total: int
    piece_len: int
    infohash: str
    files: list      # relative paths below data_dir/name; empty for a single file


def random_file(path, size):
    if os.path.exists(path) and os.path.getsize(path) == size:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        while size:
            n = min(size, 4 * MIB)
            f.write(os.urandom(n))
            size -= n


def make(base, label, size, piece_len, announce, files=0):
    """A torrent of `size` random bytes, as one file or as `files` equal ones."""
    stem = f"{label}-{piece_len >> 10}k"
    meta = os.path.join(base, "torrents", stem + ".json")
    if os.path.exists(meta):
        with open(meta) as f:
            return Torrent(**json.load(f))
    data = os.path.join(base, "data")
    names = []
    if files:
        flat = os.path.join(data, label + ".flat")
        random_file(flat, size)
        each = size // files
        with open(flat, "rb") as f:
            for i in range(files):
                rel = os.path.join(f"d{i // 100:03}", f"f{i:05}.bin")
                names.append(rel)
                out = os.path.join(data, label, rel)
                os.makedirs(os.path.dirname(out), exist_ok=True)
                with open(out, "wb") as g:
                    g.write(f.read(each))
        name = label
    else:
        name = label + ".bin"
        flat = os.path.join(data, name)
        random_file(flat, size)
    pieces = bytearray()
    with open(flat, "rb") as f:
        while chunk := f.read(piece_len):
            pieces += hashlib.sha1(chunk).digest()
    info = {"name": name, "piece length": piece_len, "pieces": bytes(pieces)}
    if files:
        info["files"] = [{"length": size // files, "path": n.split(os.sep)} for n in names]
    else:
        info["length"] = size
    path = os.path.join(base, "torrents", stem + ".torrent")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    doc = {"info": info}
    if announce:
        doc["announce"] = announce
    with open(path, "wb") as f:
        f.write(bencode(doc))
    t = Torrent(path, name, data, flat, size, piece_len,
                hashlib.sha1(bencode(info)).hexdigest(), names)
    with open(meta, "w") as f:
        json.dump(t.__dict__, f)
    return t


def make_fleet(base, count, size, piece=16384):
    """`count` single-file torrents without trackers; returns (torrent dir, data dir)."""
    home = os.path.join(base, f"fleet-{count}" if piece == 16384 else f"fleet-{count}-{size // piece}-pieces")
    tdir, ddir = os.path.join(home, "torrents"), os.path.join(home, "data")
    if not os.path.exists(os.path.join(tdir, f"t{count - 1:05}.torrent")):
        os.makedirs(tdir, exist_ok=True)
        os.makedirs(ddir, exist_ok=True)
        for i in range(count):
            body = os.urandom(size)
            with open(os.path.join(ddir, f"t{i:05}"), "wb") as f:
                f.write(body)
            pieces = b"".join(hashlib.sha1(body[o:o + piece]).digest() for o in range(0, size, piece))
            info = {"name": f"t{i:05}", "piece length": piece, "length": size, "pieces": pieces}
            with open(os.path.join(tdir, f"t{i:05}.torrent"), "wb") as f:
                f.write(bencode({"info": info}))
    return tdir, ddir
