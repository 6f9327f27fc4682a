"""Some files of a torrent: only these appear, whole, and the rest comes when it is asked for."""
import json
import os
import subprocess

from .case import Failure
from .clients.riverrun import BINARY
from .exchange import compare
from .tracker import OpenTracker


def chosen(case, content, torrent, seeder, us):
    """Every third file, then the others, then all: each time from the same seeder, into the same folder."""
    tracker = OpenTracker(case, torrent.wire_hashes)
    over_http = torrent.with_trackers(case.path("http.torrent"), [tracker.http_url])
    data = content.copy(case.path("seed"))
    up = seeder.seed(case, over_http, data, case.address(), role="-seeder")
    case.wait(up.ready, f"{seeder.name} serves", [up.process, tracker.process])
    case.wait(tracker.knows(torrent.wire_hashes[0], 1), f"{seeder.name} has announced itself", [up.process, tracker.process])
    out = case.new_folder("out")
    some = sorted(content.files)[::3]
    run(case, us, over_http, out, some, "-some", up)
    found = visible(out, content)
    if found != set(some):
        raise Failure(f"{sorted(found ^ set(some))[:5]} are there or not, unlike what was chosen")
    for name in some:
        with open(os.path.join(content.path, name), "rb") as right, open(os.path.join(out, content.root_name, name), "rb") as ours:
            if right.read() != ours.read():
                raise Failure(f"{name} is not right")
    run(case, us, over_http, out, [], "-rest", up)
    compare(case, content, out, us)
    left = [name for name in os.listdir(os.path.join(out, content.root_name)) if name.endswith(".parts")]
    if left:
        raise Failure(f"{left} are left")


def run(case, us, torrent, out, names, role, up):
    listed = subprocess.run([BINARY, "download", "--list", "--json", torrent.path], capture_output=True, check=True).stdout
    numbers = [str(file["number"]) for file in json.loads(listed)["files"] if file["path"] in names]
    if len(numbers) != len(names):
        raise Failure(f"--list has {len(numbers)} of {len(names)} files")
    more = ["--files", ",".join(numbers)] if names else []
    down = us.download(case, torrent, out, case.address(), role=role, more=more)
    case.wait(down.complete, "the download completes", [down.process, up.process])


def visible(folder, content):
    root = os.path.join(folder, content.root_name)
    paths = (os.path.join(at, name) for at, _, names in os.walk(root) for name in names)
    return {path for path in (os.path.relpath(path, root) for path in paths) if not path.endswith(".parts")}
