"""The clients. A job a client cannot do is left out and its cell is skipped; so is a client that is not on this machine."""
import os
import sys

from .aria2 import Aria2
from .base import Job
from .bound import Bound
from .libtorrent import Libtorrent
from .makers import Imdl, Mktorrent
from .qbittorrent import QBittorrent
from .riverrun import Riverrun
from .rqbit import Rqbit
from .rtorrent import Rtorrent
from .transmission import Transmission

DEBIAN, PYPI = os.environ.get("LT_PYTHON") or sys.executable, os.environ.get("LT21_PYTHON")
CLIENTS = [
    Riverrun("riverrun", "RIVERRUN_BINARY", "RIVERRUN_FLEET"), Riverrun("previous", "RIVERRUN_PREVIOUS", "RIVERRUN_PREVIOUS_FLEET"),
    Libtorrent("lt-fast", True, DEBIAN), Libtorrent("lt-default", False, DEBIAN),
    Libtorrent("lt21-fast", True, PYPI), Libtorrent("lt21-default", False, PYPI),
    Aria2(), Rqbit(), Transmission(), QBittorrent(), Rtorrent(), Mktorrent(), Imdl(),
    Bound(),
]
OURS = ("riverrun", "previous")
# What no client is: a bound to compare with.
BOUND = Bound.name

__all__ = ["BOUND", "CLIENTS", "OURS", "Job"]
