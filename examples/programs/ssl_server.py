"""An HTTPS server by hand: every handshake and every client has a coroutine. Arguments: certificate, key, port."""
import socket
import ssl
import sys

import syncless


def serve(sock, context):
    try:
        with syncless.Timeout(30, TimeoutError), context.wrap_socket(sock, server_side=True) as tls:
            request = tls.makefile("rb")
            while request.readline().strip():
                pass
            page = f"You speak {tls.version()} with {tls.cipher()[0]}.\n".encode()
            tls.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + page)
    except OSError as error:
        print("a client failed:", error, file=sys.stderr)


if __name__ == "__main__":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    listener = socket.create_server(("127.0.0.1", int(sys.argv[3]) if len(sys.argv) > 3 else 44433))
    print("https at port", listener.getsockname()[1], flush=True)
    while True:
        syncless.spawn(serve, listener.accept()[0], context)
