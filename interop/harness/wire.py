"""What goes over a device, as the kernel sees it."""
import socket
import threading
from typing import NamedTuple

_EVERYTHING = 0x0003
# How the kernel marks a frame that leaves by the device; all others have come over it.
_OUTGOING = 4
_TCP, _UDP = 6, 17
_RESET = 0x04
# The system's own words on a device that comes up: multicast membership, neighbours, routers.
_HOP_BY_HOP, _IGMP, _ICMPV6 = 0, 2, 58


class Packet(NamedTuple):
    """One packet; `kind` is "tcp", "reset" (of TCP), "udp", "arp" or a number. Ports are 0 where there are none."""
    kind: str
    source: str
    target: str
    source_port: int
    target_port: int


class Wire:
    """Listens to a device of this namespace while the block lasts."""

    def __init__(self, device):
        self._device = device

    def __enter__(self):
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING))
        self._socket.bind((self._device, 0))
        self._socket.settimeout(0.1)
        self._frames = []
        self._open = True
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._open = False
        self._thread.join()
        self._socket.close()

    def _listen(self):
        while self._open:
            try:
                frame, (_, _, mark, *_) = self._socket.recvfrom(65536)
                self._frames.append((mark, frame))
            except TimeoutError:
                pass
            except OSError:
                return                                               # the device is gone

    def frames(self):
        return [frame for _, frame in list(self._frames)]

    def came(self):
        """The packets that came from the other end, without the system's own."""
        packets = [_packet(frame) for mark, frame in list(self._frames) if mark != _OUTGOING]
        return [packet for packet in packets if packet]


def _packet(frame):
    kind, data = frame[12:14], frame[14:]
    if kind == b"\x08\x00":
        protocol, ends, rest = data[9], (data[12:16], data[16:20]), data[(data[0] & 15) * 4:]
        if protocol == _IGMP:
            return None
        source, target = (socket.inet_ntop(socket.AF_INET, end) for end in ends)
    elif kind == b"\x86\xdd":
        protocol, rest = data[6], data[40:]
        if protocol in (_HOP_BY_HOP, _ICMPV6):
            return None
        source, target = (socket.inet_ntop(socket.AF_INET6, end) for end in (data[8:24], data[24:40]))
    else:
        return Packet("arp" if kind == b"\x08\x06" else f"frame {kind.hex()}", "", "", 0, 0)
    name = {_TCP: "tcp", _UDP: "udp"}.get(protocol)
    if not name:
        return Packet(f"protocol {protocol}", source, target, 0, 0)
    if protocol == _TCP and rest[13] & _RESET:
        name = "reset"
    return Packet(name, source, target, int.from_bytes(rest[:2], "big"), int.from_bytes(rest[2:4], "big"))
