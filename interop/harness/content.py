"""What is shared: contents with known bytes, and the comparison after a transfer."""
import hashlib
import os
import random
import shutil
from dataclasses import dataclass, field

KIB, MIB = 1 << 10, 1 << 20


@dataclass
class Content:
    """A file or folder with known bytes."""
    name: str                 # of the case, and of the content's folder
    piece_length: int
    files: dict               # path inside the content -> length; the one key "" for a single file
    root_name: str = ""       # the torrent's name
    limit: int = 60           # seconds that one exchange may take
    path: str = ""            # where it lies, once made
    hashes: dict = field(default_factory=dict)

    @property
    def is_single(self):
        return "" in self.files

    @property
    def length(self):
        return sum(self.files.values())

    def make(self, folder):
        """Writes the files below `folder`; the same bytes each time."""
        generator = random.Random(f"riverrun {self.name}")
        self.path = os.path.join(folder, self.root_name)
        for name, length in self.files.items():
            path = os.path.join(self.path, name) if name else self.path
            os.makedirs(os.path.dirname(path), exist_ok=True)
            digest = hashlib.sha256()
            with open(path, "wb") as file:
                left = length
                while left:
                    part = generator.randbytes(min(left, 4 * MIB))
                    file.write(part)
                    digest.update(part)
                    left -= len(part)
            self.hashes[name] = digest.hexdigest()
        return self

    def copy(self, folder):
        """A copy for one seeder, who may write beside it. Large files are linked, not copied."""
        os.makedirs(folder, exist_ok=True)
        target = os.path.join(folder, self.root_name)
        copy = os.link if self.length > 64 * MIB else shutil.copyfile
        if self.is_single:
            copy(self.path, target)
        else:
            shutil.copytree(self.path, target, copy_function=copy)
        return folder

    def partial_copy(self, folder, owns):
        """A copy of a single file in which only the pieces for which `owns(index)` are there; holes elsewhere."""
        os.makedirs(folder, exist_ok=True)
        with open(self.path, "rb") as source, open(os.path.join(folder, self.root_name), "wb") as target:
            target.truncate(self.length)
            for index in range((self.length + self.piece_length - 1) // self.piece_length):
                if owns(index):
                    source.seek(index * self.piece_length)
                    target.seek(index * self.piece_length)
                    target.write(source.read(self.piece_length))
        return folder

    def differences(self, folder, empty_files_too):
        """What is wrong with the copy in `folder`, one line each."""
        found = []
        for name, digest in self.hashes.items():
            path = os.path.join(folder, self.root_name, name) if name else os.path.join(folder, self.root_name)
            if not self.files[name] and not empty_files_too and not os.path.exists(path):
                continue
            if not os.path.isfile(path):
                found.append(f"{name or self.root_name!r} is missing")
            elif file_hash(path) != digest:
                found.append(f"{name or self.root_name!r} has other bytes ({os.path.getsize(path)} of {self.files[name]})")
        return found


def file_hash(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _many():
    generator = random.Random(7)
    files = {}
    for number in range(300):
        folder = f"disc {number % 7}/" + ("deep/er/" if number % 11 == 0 else "")
        files[f"{folder}track {number:03}.bin"] = generator.choice([3, 700, 16384, 20000, 65536, 70001])
    return files


# Names that a shell, a terminal, a sorter or a careless client might trip over.
_NAMES = [
    "with spaces.txt", "-rf", "--help", ".hidden", "naïve-composed.txt", "nai\u0308ve-decomposed.txt", "日本語/ファイル.bin",
    "кириллица.txt", "emoji 🚀🎵.ogg", "quote'quote", "$(touch x);`id`&", "100%25 %s%n", "[brackets]{braces}", "comma,semicolon;",
    "~tilde", "#hash", "@at", "L" * 200, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/deep.txt",
]
# Names that Windows forbids and Linux does not. Transmission writes other names in their place on any system.
_AWKWARD = [
    " leading space", "...", "ends with dot.", 'double"quote', "|<>", "star*question?", "colon:", "CON", "nul.txt", "trailing space ",
]


def contents():
    """All contents by name, not made yet."""
    edges = {
        "0-empty-first": 0, "a/empty": 0, "b-one-byte": 1, "c-one-byte": 1, "d-crosses.bin": 3 * 32 * KIB + 5,
        "e-one-byte": 1, "f-exact.bin": 2 * 32 * KIB, "g/empty": 0, "h-crosses-many.bin": 9 * 32 * KIB - 1,
        "i-two-bytes": 2, "z-empty-last": 0,
    }
    every = [
        Content("single", 64 * KIB, {"": 8 * MIB}, "single.bin"),
        Content("short-last", 256 * KIB, {"": 3 * MIB + 12345}, "short last piece.bin"),
        Content("tiny", 32 * KIB, {"": 100}, "tiny.txt"),
        Content("many", 64 * KIB, _many(), "many files"),
        Content("edges", 32 * KIB, edges, "edges"),
        Content("names", 32 * KIB, {name: 900 + 7777 * (at % 5) for at, name in enumerate(_NAMES)}, "names -& (that) need càre"),
        Content("awkward", 32 * KIB, {name: 900 + 7777 * (at % 5) for at, name in enumerate(_AWKWARD)}, "awkward"),
        Content("large", 1 * MIB, {"": 2048 * MIB + 5 * MIB + 123}, "large.bin", limit=240),
    ]
    return {content.name: content for content in every}
