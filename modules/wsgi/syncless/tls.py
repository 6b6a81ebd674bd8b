"""TLS in front of a server: the connection is decrypted by Python's ssl, here, and handed to the server as a pair of sockets.

Both directions of a connection are copied side by side. OpenSSL does not allow that two threads are inside of one connection
at once; the socket has a time-out, by which Python's ssl never waits inside of OpenSSL, so two coroutines never are.
"""
import errno
import logging
import socket
import ssl
import time

import _syncless

from .coroutine import spawn

HANDSHAKE = 60    # seconds
IDLE = 24 * 3600  # seconds: the server's own time-outs are shorter
GOODBYE = 5       # seconds for the client to say that it has seen the end
CHUNK = 65536     # bytes


def make_context(tls):
    """An SSLContext of what serve() takes for one."""
    if isinstance(tls, ssl.SSLContext):
        return tls
    if isinstance(tls, dict):
        files = tls["certfile"], tls.get("keyfile")
    elif isinstance(tls, tuple) and len(tls) == 2:
        files = tls
    else:
        raise TypeError(f"tls must be an ssl.SSLContext, (certfile, keyfile) or a dict with these, not {tls!r}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


class Front:
    """Accepts connections from a listening socket, and hands them over decrypted."""

    def __init__(self, listener, context, server):
        self.listener, self.context, self.server = listener, context, server
        listener.setblocking(True)
        self.acceptor = spawn(self.accept)
        self.acceptor.name = "tls-accept"

    def close(self):
        if self.acceptor.alive:
            self.acceptor.kill()
            self.acceptor.join(1)

    def accept(self):
        while True:
            try:
                sock, peer = self.listener.accept()
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED):
                    raise
                time.sleep(0.1)
            else:
                spawn(self.run, sock, peer if isinstance(peer, tuple) else ("", 0))

    def run(self, sock, peer):
        try:
            sock.settimeout(HANDSHAKE)
            if peer[0]:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tls = self.context.wrap_socket(sock, server_side=True)
        except OSError as error:
            logging.getLogger("syncless").info("TLS handshake with %s failed: %s", peer[0], error)
            sock.close()
            return
        with tls:
            self.join_up(tls, peer)

    def join_up(self, tls, peer):
        near, far = socket.socketpair()
        far.setblocking(False)
        _syncless.serve_connection(self.server, far.detach(), peer[0], peer[1])
        tls.settimeout(IDLE)
        with near:
            inward = spawn(copy_in, tls, near)
            try:
                copy_out(near, tls)
            finally:
                if inward.alive:
                    inward.kill()
                    inward.join(GOODBYE)


def copy_in(tls, near):
    """From the client to the server, until either ends."""
    try:
        while data := tls.recv(CHUNK):
            near.sendall(data)
        near.shutdown(socket.SHUT_WR)
    except OSError:
        try:
            near.shutdown(socket.SHUT_RDWR)  # the server sees that its client is gone
        except OSError:
            pass


def copy_out(near, tls):
    """From the server to the client; its end is told."""
    try:
        while data := near.recv(CHUNK):
            tls.sendall(data)
        tls.settimeout(GOODBYE)
        tls.unwrap()
    except (OSError, ValueError):
        pass
