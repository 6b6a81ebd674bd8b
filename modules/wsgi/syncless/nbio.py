"""The names by which the Syncless of 2010 offered what needs no other name today: stock sockets do not block."""
import socket
import ssl
from typing import Optional


class NonBlockingSocket(socket.socket):
    """socket.socket, in which only the coroutine waits."""


def NonBlockingSslSocket(sock: socket.socket, *, keyfile: Optional[str] = None, certfile: Optional[str] = None,
                         server_side: bool = False, cert_reqs: ssl.VerifyMode = ssl.CERT_NONE, ca_certs: Optional[str] = None,
                         do_handshake_on_connect: bool = True, suppress_ragged_eofs: bool = True,
                         ciphers: Optional[str] = None, server_hostname: Optional[str] = None) -> ssl.SSLSocket:
    """TLS over a socket, with the arguments that ssl.SSLSocket once had. New code makes an ssl.SSLContext."""
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
