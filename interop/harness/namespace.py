"""The private network: 10.77.0.0/16 on the namespace's loopback.

Transmission refuses peers in 127.0.0.0/8, and several clients take all peers on one address for one peer. So every process
gets an address of its own: its ports are free by construction, whatever else runs.
"""
import itertools
import os
import subprocess
import threading
import time

from .process import Process

# Where a program that binds no address of its own comes from.
HOME = "10.77.0.1"
PEER_PORT = 6881
TRACKER_PORT = 6969
CONTROL_PORT = 9091

# The two ends of a network with multicast: ours, and that of a second namespace.
LAN_NEAR = "10.78.0.1"
LAN_FAR = "10.78.0.2"
LAN_DEVICE = "lan0"

_next = itertools.count(1)
_far = None
_lock = threading.Lock()


def enter():
    """Prepares loopback; refuses to run where there is another network interface."""
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout.splitlines()
    real = [line for line in links if "state UP" in line and ": lo:" not in line]
    if real:
        raise SystemExit("this needs a network namespace of its own: start it with interop/run")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{HOME}/16", "dev", "lo"], check=True)


def lan():
    """A second namespace and a network between it and this one, made when first asked for. It goes with the harness."""
    global _far
    with _lock:
        if _far:
            return
        far = Process(["unshare", "--net", "--", "sleep", "infinity"], os.devnull)
        while os.readlink(f"/proc/{far.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        there = ["nsenter", f"--net=/proc/{far.pid}/ns/net"]
        for words in (
            ["ip", "link", "add", LAN_DEVICE, "type", "veth", "peer", "name", "lan1"],
            ["ip", "link", "set", "lan1", "netns", str(far.pid)],
            [*there, "ip", "link", "set", "lo", "up"],
            *(words for at, device, end in (([], LAN_DEVICE, 1), (there, "lan1", 2)) for words in (
                [*at, "ip", "address", "add", f"10.78.0.{end}/24", "dev", device],
                [*at, "ip", "address", "add", f"fd00:78::{end}/64", "dev", device, "nodad"],
                [*at, "ip", "link", "set", device, "up"],
                [*at, "ip", "route", "add", "239.0.0.0/8", "dev", device],
            )),
        ):
            subprocess.run(words, check=True)
        _far = far


def inside(peer_address):
    """The words before a command that put it where this address is."""
    return ["nsenter", f"--net=/proc/{_far.pid}/ns/net"] if _far and peer_address == LAN_FAR else []


def address():
    """An address that no other process has."""
    with _lock:
        number = next(_next)
    if number > 30000:
        raise RuntimeError("out of addresses")
    return f"10.77.{1 + number // 250}.{1 + number % 250}"


def address6():
    """The same for IPv6, where an address must be there before something can listen on it."""
    with _lock:
        number = next(_next)
    made = f"fd77::{number:x}"
    subprocess.run(["ip", "-6", "address", "add", f"{made}/128", "dev", "lo"], check=True)
    return made


def control_address(peer_address):
    """Where the process with that address takes commands: programs trust 127.0.0.0/8."""
    return "127." + peer_address.split(".", 1)[1]


def endpoint_at_home(peer_address):
    """HOST:PORT for a program that listens where its own connections come from, in place of that address."""
    high, low = (int(word) for word in peer_address.split(".")[2:])
    return f"{HOME}:{1024 + (high - 1) * 250 + low}"
