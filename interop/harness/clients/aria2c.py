"""aria2c."""
import os
import subprocess

from .. import namespace
from .base import Client, Running


class Aria2c(Client):
    name = "aria2c"

    def version(self):
        return subprocess.run(["aria2c", "--version"], capture_output=True, text=True).stdout.split("\n")[0]

    @staticmethod
    def dht(case, role):
        if not case.router:
            return ["--enable-dht=false"]
        return ["--enable-dht=true", f"--dht-entry-point={case.router}", f"--dht-listen-port={namespace.PEER_PORT}",
                f"--dht-file-path={case.path(f'aria2c{role}.dht')}"]

    def start(self, case, torrent, folder, address, role="", up_limit=None):
        mark = case.path(f"aria2c{role}.complete")
        hook = case.path(f"aria2c{role}.hook")
        with open(hook, "w") as file:
            file.write(f"#!/bin/sh\n: > '{mark}'\n")
        os.chmod(hook, 0o755)
        process = case.start([
            "aria2c", "--no-conf", *self.dht(case, role), "--enable-dht6=false", "--bt-enable-lpd=false",
            "--enable-peer-exchange=false", "--disable-ipv6=true", "--check-integrity=true", "--file-allocation=none",
            "--allow-overwrite=true", "--seed-ratio=0.0", f"--interface={address}", f"--listen-port={namespace.PEER_PORT}",
            "--bt-tracker-connect-timeout=5", "--bt-tracker-timeout=5", "--console-log-level=notice", "--summary-interval=0",
            "--show-console-readout=false", "--bt-max-peers=0", "--bt-hash-check-seed=true",
            f"--on-bt-download-complete={hook}", "--bt-enable-hook-after-hash-check=true",
            *(["--bt-force-encryption=true", "--bt-min-crypto-level=arc4"] if self.encryption == "require" else []),
            *([f"--max-upload-limit={up_limit}"] if up_limit else []), f"--dir={folder}", torrent.path,
        ], f"aria2c{role}")
        return Running(process, complete=lambda: os.path.exists(mark))
