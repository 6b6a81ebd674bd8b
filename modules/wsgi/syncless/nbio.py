"""Names of Syncless of 2010, for sockets that did not block. Now those of the standard library do not."""
from __future__ import annotations

import socket
import ssl


class NonBlockingSocket(socket.socket):
    """socket.socket under its old name."""


def NonBlockingSslSocket(sock: socket.socket, *, keyfile: str | None = None, certfile: str | None = None,
                         server_side: bool = False, cert_reqs: ssl.VerifyMode = ssl.CERT_NONE,
                         ca_certs: str | None = None, do_handshake_on_connect: bool = True,
                         suppress_ragged_eofs: bool = True, ciphers: str | None = None,
                         server_hostname: str | None = None) -> ssl.SSLSocket:
    """TLS over a socket, with the arguments that ssl.SSLSocket had in 2010. New code makes an ssl.SSLContext."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = not server_side and cert_reqs != ssl.CERT_NONE and server_hostname is not None
    context.verify_mode = cert_reqs
    if certfile:
        context.load_cert_chain(certfile, keyfile)
    if ca_certs:
        context.load_verify_locations(ca_certs)
    if ciphers:
        context.set_ciphers(ciphers)
    return context.wrap_socket(sock, server_side=server_side, do_handshake_on_connect=do_handshake_on_connect,
                               suppress_ragged_eofs=suppress_ragged_eofs, server_hostname=server_hostname)
