"""Unix sockets: files that were left behind, and who is at the other end."""
from __future__ import annotations

import os
import socket
import stat
import struct


def remove_stale(path: str) -> None:
    """Remove the file of a Unix socket on which nobody listens any more. Leave any other file alone."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except FileNotFoundError:
        pass
    except ConnectionRefusedError:
        os.unlink(path)


def peer_uid(sock: socket.socket) -> int:
    """Return the id of the user who has connected."""
    uid: int = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[1]
    return uid
