"""The private network: 10.77.0.0/16 on the namespace's loopback.

Transmission refuses peers in 127.0.0.0/8, and several clients take all peers on one address for one peer. So every process
gets an address of its own: its ports are free by construction, whatever else runs.
"""
import itertools
import subprocess
import threading

# Where a program that binds no address of its own comes from.
HOME = "10.77.0.1"
PEER_PORT = 6881
TRACKER_PORT = 6969
CONTROL_PORT = 9091

_next = itertools.count(1)
_lock = threading.Lock()


def enter():
    """Prepares loopback; refuses to run where there is another network interface."""
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout.splitlines()
    real = [line for line in links if "state UP" in line and ": lo:" not in line]
    if real:
        raise SystemExit("this needs a network namespace of its own: start it with interop/run")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{HOME}/16", "dev", "lo"], check=True)


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
