"""A SOCKS5 server (RFC 1928) in the harness, for connections and for datagrams, that writes down where they were to go."""
import select
import socket
import struct
import threading


class SocksServer:
    """Serves until it is closed; `asked` holds ("tcp" or "udp", host, port) of each connection and datagram."""

    def __init__(self, address, port=1080, udp=True):
        self.address, self.port, self.udp = address, port, udp
        self.asked = []
        self._listener = socket.create_server((address, port))
        self._open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._open = False
        self._listener.close()

    def _accept(self):
        while self._open:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        try:
            with client:
                count = _exactly(client, 2)[1]
                _exactly(client, count)
                client.sendall(b"\x05\x00")
                command = _exactly(client, 3)[1]
                host, port = _target(lambda length: _exactly(client, length))
                if command == 1:
                    self._connect(client, host, port)
                elif command == 3 and self.udp:
                    self._associate(client)
                else:
                    client.sendall(b"\x05\x07\x00\x01" + bytes(6))
        except OSError:
            pass                                                     # either side may go at any time

    def _connect(self, client, host, port):
        self.asked.append(("tcp", host, port))
        try:
            target = socket.create_connection((host, port), timeout=5)
        except OSError:
            client.sendall(b"\x05\x05\x00\x01" + bytes(6))
            return
        with target:
            target.settimeout(None)
            client.sendall(b"\x05\x00\x00" + _head(target.getsockname()))
            ends = {client: target, target: client}
            while self._open:
                for end in select.select(list(ends), [], [], 0.2)[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)

    def _associate(self, client):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            near.bind((self.address, 0))
            far.bind((self.address, 0))
            client.sendall(b"\x05\x00\x00" + _head(near.getsockname()))
            home = None
            while self._open:
                ready = select.select([client, near, far], [], [], 0.2)[0]
                if client in ready and not client.recv(1):
                    return
                if near in ready:
                    packet, home = near.recvfrom(65536)
                    rest = memoryview(packet)[3:]

                    def take(length):
                        nonlocal rest
                        taken, rest = bytes(rest[:length]), rest[length:]
                        return taken
                    host, port = _target(take)
                    self.asked.append(("udp", host, port))
                    far.sendto(rest, (host, port))
                if far in ready:
                    packet, source = far.recvfrom(65536)
                    if home:
                        near.sendto(b"\x00\x00\x00" + _head(source) + packet, home)


def _exactly(stream, length):
    data = b""
    while len(data) < length:
        more = stream.recv(length - len(data))
        if not more:
            raise OSError("closed")
        data += more
    return data


def _target(take):
    kind = take(1)[0]
    if kind == 3:
        host = take(take(1)[0]).decode()
    else:
        family, length = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
        host = socket.inet_ntop(family, take(length))
    return host, struct.unpack("!H", take(2))[0]


def _head(end):
    return b"\x01" + socket.inet_aton(end[0]) + struct.pack("!H", end[1])
