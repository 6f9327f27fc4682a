"""rtorrent."""
import os
import subprocess

from .. import namespace
from .base import Client, Running

ENCRYPTION = {"off": "none", "require": "allow_incoming,try_outgoing,require,require_RC4"}


class Rtorrent(Client):
    name = "rtorrent"

    def version(self):
        return subprocess.run(["rtorrent", "-h"], capture_output=True, text=True).stdout.split("\n")[0].rstrip(".")

    def start(self, case, torrent, folder, address, role="", up_limit=None):
        home = case.new_folder(f"rtorrent{role}.home")
        checked, finished = os.path.join(home, "checked"), os.path.join(home, "finished")
        session = os.path.join(home, "session")
        os.makedirs(session)
        rc = os.path.join(home, "rtorrent.rc")
        with open(rc, "w") as file:
            file.write(
                "system.daemon.set = true\n"
                f"session.path.set = {session}\ndirectory.default.set = {folder}\n"
                f"network.bind_address.set = {address}\nnetwork.local_address.set = {address}\n"
                f"network.port_range.set = {namespace.PEER_PORT}-{namespace.PEER_PORT}\nnetwork.port_random.set = no\n"
                "dht.mode.set = disable\nprotocol.pex.set = no\ntrackers.use_udp.set = yes\n"
                f"protocol.encryption.set = {ENCRYPTION[self.encryption]}\n"
                "pieces.hash.on_completion.set = no\n"
                f"throttle.global_up.max_rate.set_kb = {(up_limit or 0) // 1024}\n"
                f'method.set_key = event.download.hash_done, seen, "execute.nothrow=touch,{checked}"\n'
                f'method.set_key = event.download.finished, seen, "execute.nothrow=touch,{finished}"\n'
                f'schedule2 = load, 0, 0, "load.start=\\"{torrent.path}\\""\n')
        process = case.start(["rtorrent", "-n", "-o", f"import={rc}"], f"rtorrent{role}", env={"TERM": "xterm", "HOME": home})
        return Running(process, lambda: os.path.exists(checked), lambda: os.path.exists(finished))
