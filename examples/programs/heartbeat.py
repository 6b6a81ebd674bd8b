"""An echo server that says "heart-beat" after a client was silent for three seconds. Arguments: port, seconds."""
import socket
import sys

import syncless


def serve(sock, silence):
    with sock:
        while True:
            try:
                with syncless.Timeout(silence, TimeoutError):
                    data = sock.recv(4096)
            except TimeoutError:
                sock.sendall(b"heart-beat\n")
                continue
            if not data:
                return
            sock.sendall(data)


if __name__ == "__main__":
    port, silence = (sys.argv[1:] + ["5454", "3"][len(sys.argv) - 1:])[:2]
    listener = socket.create_server(("127.0.0.1", int(port)))
    print("echo at port", listener.getsockname()[1], flush=True)
    while True:
        syncless.spawn(serve, listener.accept()[0], float(silence))
