"""TLS by hand: get a page from HOST PORT, trusting the certificates in a FILE, with a ticker."""
import socket
import ssl
import sys

from ticker import ticking

if __name__ == "__main__":
    host, port, trusted = sys.argv[1:]
    context = ssl.create_default_context(cafile=trusted)
    with ticking(), socket.create_connection((host, int(port))) as sock, \
            context.wrap_socket(sock, server_hostname=host) as tls:
        subject = tls.getpeercert()["subject"]
        tls.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        answer = tls.makefile("rb").read()
    print(answer.decode().split("\r\n\r\n", 1)[1], subject)
