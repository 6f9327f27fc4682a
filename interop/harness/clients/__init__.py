"""The clients of the matrix, one module each."""
from .aria2c import Aria2c
from .libtorrent import Libtorrent
from .qbittorrent import QBittorrent
from .riverrun import Riverrun
from .rtorrent import Rtorrent
from .transmission import Transmission

OTHERS = [Aria2c(), Libtorrent(), QBittorrent(), Rtorrent(), Transmission()]
RIVERRUN = Riverrun()
