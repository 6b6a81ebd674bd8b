"""Unix sockets: files that were left behind, and who is at the other end."""
import os
import socket
import stat
import struct


def remove_stale(path):
    """Remove the file of a Unix socket that nobody serves any more. Of one that is served, or is no socket, nothing."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except FileNotFoundError:
        pass
    except ConnectionRefusedError:
        os.unlink(path)


def peer_uid(sock):
    """The user who has connected."""
    return struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[1]
