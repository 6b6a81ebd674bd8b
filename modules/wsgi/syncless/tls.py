"""TLS in front of a server: Python's ssl decrypts the connection, and the server gets one end of a socket pair.

Two coroutines copy the two directions of a connection. OpenSSL does not allow two threads in one connection at the same
time. But the socket has a timeout, and so Python's ssl waits outside of OpenSSL, and only one coroutine is ever in it.
"""
from __future__ import annotations

import errno
import logging
import socket
import ssl
import time
from typing import Any


from ._inside import _syncless
from .coroutine import spawn

HANDSHAKE_TIMEOUT = 60    # seconds
IDLE_TIMEOUT = 24 * 3600  # seconds: the server has shorter timeouts of its own
CLOSE_TIMEOUT = 5         # seconds for the client to answer close_notify
CHUNK = 65536             # bytes


def make_context(tls: Any) -> ssl.SSLContext:
    """Return the SSLContext for the argument tls of serve()."""
    if isinstance(tls, ssl.SSLContext):
        return tls
    if isinstance(tls, dict):
        certfile, keyfile = tls["certfile"], tls.get("keyfile")
    elif isinstance(tls, tuple) and len(tls) == 2:
        certfile, keyfile = tls
    else:
        raise TypeError(f"tls must be an ssl.SSLContext, (certfile, keyfile) or a dict with these, not {tls!r}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certfile, keyfile)
    return context


class Front:
    """Accepts connections on a listen socket, and hands them over decrypted.

    plain: the server for clients that do not speak TLS; None: there are to be none.
    """

    def __init__(self, listener: socket.socket, context: ssl.SSLContext, server: _syncless._Server,
                 plain: _syncless._Server | None) -> None:
        self.listener, self.context, self.server, self.plain = listener, context, server, plain
        listener.setblocking(True)
        self.acceptor = spawn(self.accept)
        self.acceptor.name = "tls-accept"

    def close(self) -> None:
        if self.acceptor.alive:
            self.acceptor.kill()
            self.acceptor.join(1)

    def accept(self) -> None:
        while True:
            try:
                sock, peer = self.listener.accept()
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED):
                    raise
                time.sleep(0.1)
            else:
                spawn(self.run, sock, (peer[0], peer[1]) if isinstance(peer, tuple) else ("", 0))

    def run(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        try:
            sock.settimeout(HANDSHAKE_TIMEOUT)
            if peer[0]:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.plain and self.is_plain(sock):
                sock.setblocking(False)
                _syncless.serve_connection(self.plain, sock.detach(), peer[0], peer[1])
                return
            tls = self.context.wrap_socket(sock, server_side=True)
        except OSError as error:
            logging.getLogger("syncless").info("TLS handshake with %s failed: %s", peer[0], error)
            sock.close()
            return
        with tls:
            self.forward(tls, peer)

    @staticmethod
    def is_plain(sock: socket.socket) -> bool:
        """Whether the client does not begin with a TLS handshake, whose records have this type (RFC 8446)."""
        return sock.recv(1, socket.MSG_PEEK) not in (b"\x16", b"")

    def forward(self, tls: ssl.SSLSocket, peer: tuple[str, int]) -> None:
        near, far = socket.socketpair()
        far.setblocking(False)
        _syncless.serve_connection(self.server, far.detach(), peer[0], peer[1])
        tls.settimeout(IDLE_TIMEOUT)
        with near:
            inward = spawn(copy_in, tls, near)
            try:
                copy_out(near, tls)
            finally:
                if inward.alive:
                    inward.kill()
                    inward.join(CLOSE_TIMEOUT)


def copy_in(tls: ssl.SSLSocket, near: socket.socket) -> None:
    """Copy from the client to the server, until either ends."""
    try:
        while data := tls.recv(CHUNK):
            near.sendall(data)
        near.shutdown(socket.SHUT_WR)
    except OSError:
        try:
            near.shutdown(socket.SHUT_RDWR)  # so that the server sees that its client is gone
        except OSError:
            pass


def copy_out(near: socket.socket, tls: ssl.SSLSocket) -> None:
    """Copy from the server to the client, then close TLS."""
    try:
        while data := near.recv(CHUNK):
            tls.sendall(data)
        tls.settimeout(CLOSE_TIMEOUT)
        tls.unwrap()
    except (OSError, ValueError):
        pass
