"""transmission-daemon, over its RPC."""
import base64
import http.client
import json
import os
import subprocess

from .. import namespace
from ..torrent import is_link
from .base import Client, Running


class Transmission(Client):
    name = "transmission"
    creates_empty_files = False

    def version(self):
        return subprocess.run(["transmission-daemon", "--version"], capture_output=True, text=True).stderr.strip()

    def start(self, case, torrent, folder, address, role="", up_limit=None):
        config = case.new_folder(f"transmission{role}.config")
        control = namespace.control_address(address)
        with open(os.path.join(config, "settings.json"), "w") as file:
            json.dump({
                "bind-address-ipv4": address, "bind-address-ipv6": "::1", "peer-port": namespace.PEER_PORT,
                "rpc-bind-address": control, "rpc-port": namespace.CONTROL_PORT, "rpc-whitelist-enabled": False,
                "rpc-host-whitelist-enabled": False, "dht-enabled": "dht" in case.ways, "lpd-enabled": "lsd" in case.ways, "pex-enabled": "pex" in case.ways,
                "utp-enabled": False, "port-forwarding-enabled": False, "encryption": 2 if self.encryption == "require" else 0,
                "message-level": 2,
                "download-queue-enabled": False, "seed-queue-enabled": False, "download-dir": folder,
                "rename-partial-files": True, "preallocation": 0, "watch-dir-enabled": False,
                "speed-limit-up-enabled": bool(up_limit), "speed-limit-up": (up_limit or 0) // 1000,
            }, file)
        if case.router:
            with open(os.path.join(config, "dht.bootstrap"), "w") as file:
                file.write(case.router.replace(":", " ") + "\n")
        process = case.start(["transmission-daemon", "--foreground", "--config-dir", config], f"transmission{role}",
                             env={"HOME": config, "TR_CURL_PROXY": ""})
        rpc = Rpc(control)
        case.wait(rpc.answers, "transmission-daemon takes commands", [process])
        if is_link(torrent):
            rpc.call("torrent-add", filename=torrent.path, paused=False)
        else:
            with open(torrent.path, "rb") as file:
                rpc.call("torrent-add", metainfo=base64.b64encode(file.read()).decode(), paused=False)

        def state():
            (torrent_state,) = rpc.call("torrent-get", fields=["status", "percentDone", "leftUntilDone", "errorString", "metadataPercentComplete"])["torrents"]
            return torrent_state

        def ready():
            return state()["status"] in (4, 6)

        def complete():
            now = state()
            return now["status"] == 6 and now["leftUntilDone"] == 0 and now["metadataPercentComplete"] == 1

        return Running(process, ready, complete)


class Rpc:
    """Transmission's commands."""

    def __init__(self, address):
        self.address = address
        self.session_id = ""

    def call(self, method, **arguments):
        for _ in range(2):
            connection = http.client.HTTPConnection(self.address, namespace.CONTROL_PORT, timeout=20)
            try:
                connection.request("POST", "/transmission/rpc", json.dumps({"method": method, "arguments": arguments}),
                                   {"X-Transmission-Session-Id": self.session_id})
                response = connection.getresponse()
                body = response.read()
            finally:
                connection.close()
            if response.status != 409:
                answer = json.loads(body)
                if answer["result"] != "success":
                    raise RuntimeError(f"{method}: {answer['result']}")
                return answer["arguments"]
            self.session_id = response.getheader("X-Transmission-Session-Id")
        raise RuntimeError(f"{method}: no session id")

    def answers(self):
        try:
            self.call("session-get")
            return True
        except (OSError, http.client.HTTPException):
            return False
