"""qbittorrent-nox, over its web API."""
import http.client
import json
import os
import subprocess

from .. import namespace
from ..torrent import is_link
from .base import Client, Running


class QBittorrent(Client):
    name = "qbittorrent"

    def version(self):
        return subprocess.run(["qbittorrent-nox", "--version"], capture_output=True, text=True).stdout.strip()

    def start(self, case, torrent, folder, address, role="", up_limit=None):
        profile = case.new_folder(f"qbittorrent{role}.profile")
        control = namespace.control_address(address)
        config = os.path.join(profile, "qBittorrent", "config")
        os.makedirs(config)
        with open(os.path.join(config, "qBittorrent.conf"), "w") as file:
            file.write(
                "[LegalNotice]\nAccepted=true\n"
                "[BitTorrent]\n"
                f"Session\\InterfaceAddress={address}\nSession\\Port={namespace.PEER_PORT}\nSession\\BTProtocol=TCP\n"
                f"Session\\DHTEnabled=false\nSession\\PeXEnabled={has(case, 'pex')}\nSession\\LSDEnabled={has(case, 'lsd')}\n"
                f"Session\\Encryption={1 if self.encryption == 'require' else 2}\n"
                "Session\\QueueingSystemEnabled=false\nSession\\MultiConnectionsPerIp=true\nSession\\RefreshInterval=100\n"
                "Session\\AddTorrentPaused=false\n"
                f"Session\\GlobalUPSpeedLimit={(up_limit or 0) // 1024}\n"
                "[Network]\nPortForwardingEnabled=false\n"
                "[Preferences]\n"
                f"WebUI\\Address={control}\nWebUI\\Port={namespace.CONTROL_PORT}\nWebUI\\LocalHostAuth=false\n"
                "WebUI\\CSRFProtection=false\nWebUI\\HostHeaderValidation=false\nWebUI\\UseUPnP=false\n")
        process = case.start(["qbittorrent-nox", f"--profile={profile}"], f"qbittorrent{role}", 
                             env={"HOME": profile, "TMPDIR": profile})
        api = Api(control)
        case.wait(api.answers, "qbittorrent-nox takes commands", [process])
        api.add(torrent, folder)

        def state():
            torrents = json.loads(api.call("torrents/info"))
            return torrents[0] if torrents else {"state": "checkingResumeData", "progress": 0}

        def ready():
            now = state()["state"]
            if now in ("error", "missingFiles"):
                raise RuntimeError(f"qbittorrent-nox says {now}")
            return not now.startswith(("checking", "queued", "moving", "allocating", "metaDL")) and now != "unknown"

        return Running(process, ready, lambda: ready() and state()["progress"] == 1)


def has(case, way):
    return "true" if way in case.ways else "false"


class Api:
    """qBittorrent's web API."""

    def __init__(self, address):
        self.address = address

    def call(self, path, body=b"", content_type="application/x-www-form-urlencoded"):
        connection = http.client.HTTPConnection(self.address, namespace.CONTROL_PORT, timeout=20)
        try:
            connection.request("POST", "/api/v2/" + path, body, {"Content-Type": content_type})
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {answer[:200]}")
        return answer

    def answers(self):
        try:
            self.call("app/version")
            return True
        except (OSError, http.client.HTTPException):
            return False

    def add(self, torrent, folder):
        edge = "--------riverrun-interop"
        fields = {"savepath": folder, "root_folder": "true", "contentLayout": "Original"}
        if is_link(torrent):
            fields["urls"] = torrent.path
        body = b"".join(
            f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items())
        if not is_link(torrent):
            with open(torrent.path, "rb") as file:
                body += (f'--{edge}\r\nContent-Disposition: form-data; name="torrents"; filename="a.torrent"\r\n'
                         "Content-Type: application/x-bittorrent\r\n\r\n").encode() + file.read() + b"\r\n"
        body += f"--{edge}--\r\n".encode()
        answer = self.call("torrents/add", body, f"multipart/form-data; boundary={edge}")
        if answer.strip() != b"Ok.":
            raise RuntimeError(f"torrents/add: {answer!r}")
