"""A machine of riverrun's own, in a network namespace that it shares with nobody, with as many devices as a case likes.

The other end of every device is in the namespace of the harness, where the other clients and their trackers are, and where all that
riverrun says can be heard.
"""
import itertools
import os
import subprocess
import time

from .clients.riverrun import BINARY

_numbers = itertools.count(1)
# All addresses of the harness's namespace.
OTHERS = "10.77.0.0/16"


class Home:
    """The machine. It goes with the case."""

    def __init__(self, case):
        self.case = case
        self.number = next(_numbers)
        process = case.start(["unshare", "--net", "--mount", "--", "sleep", "infinity"], "machine")
        case.wait(lambda: self._is_apart(process.pid), "a namespace of its own", [process])
        self.inside = ["nsenter", f"--net=/proc/{process.pid}/ns/net", f"--mount=/proc/{process.pid}/ns/mnt"]
        self._pid = process.pid
        self.run("ip", "link", "set", "lo", "up")

    @staticmethod
    def _is_apart(pid):
        return all(os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt"))

    def run(self, *words):
        subprocess.run([*self.inside, *map(str, words)], check=True)

    def name_server(self, address):
        """Names are asked for there."""
        path = self.case.path("resolv.conf")
        with open(path, "w") as file:
            file.write(f"nameserver {address}\noptions timeout:1 attempts:1\n")
        self.run("mount", "--bind", path, "/etc/resolv.conf")

    def start(self, role, *words):
        """Starts riverrun there."""
        home = self.case.path(f"riverrun{role}.home")
        return self.case.start([*self.inside, BINARY, "--home", home, *words], f"riverrun{role}")


class Device:
    """A device `name` of the machine in the network 10.`network`.N.0/24, at .1 and other ends; the harness has .254."""

    def __init__(self, home, name, network):
        self.home, self.name = home, name
        self.far = f"{name}-{home.number}"
        self.network = f"10.{network}.{home.number}"
        self.address, self.gateway = f"{self.network}.1", f"{self.network}.254"
        self._routes = []
        self.make()

    def make(self):
        """Makes it, or makes it anew under the same name: to the system it is another one then."""
        pid = self.home._pid
        subprocess.run(["ip", "link", "add", self.far, "type", "veth", "peer", "name", self.name, "netns", str(pid)], check=True)
        subprocess.run(["ip", "address", "add", f"{self.gateway}/24", "dev", self.far], check=True)
        # The others are reached by the routes alone: the system would answer for any of their addresses on any device.
        with open(f"/proc/sys/net/ipv4/conf/{self.far}/arp_ignore", "w") as file:
            file.write("1")
        subprocess.run(["ip", "link", "set", self.far, "up"], check=True)
        self.home.run("ip", "address", "add", f"{self.address}/24", "dev", self.name)
        self.home.run("ip", "link", "set", self.name, "up")
        for route in self._routes:
            self.home.run(*route)
        # Nothing is lost for want of a carrier.
        while not self._is_up():
            time.sleep(0.01)

    def _is_up(self):
        return "state UP" in subprocess.run(["ip", "-o", "link", "show", self.far], check=True, capture_output=True, text=True).stdout

    def remove(self):
        subprocess.run(["ip", "link", "delete", self.far], check=True)

    def route(self, to, metric):
        """Leads there, unless a way with a lower number does."""
        words = ("ip", "route", "add", to, "via", self.gateway, "dev", self.name, "metric", metric)
        self._routes.append(words)
        self.home.run(*words)

    def routes(self):
        """The words that lay its routes again, which the system drops with a device that goes down."""
        return list(self._routes)

    def more(self, address):
        """A second address on it."""
        self.home.run("ip", "address", "add", f"{address}/24", "dev", self.name)
        return address
