"""An unmodified asyncore HTTP server (CPython up to 3.11), with a ticker. Arguments: port, number of requests."""
import socket
import sys
import warnings

import syncless
from ticker import ticking

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import asyncore

served = 0


class Client(asyncore.dispatcher):
    answer = b""

    def handle_read(self):
        if self.recv(4096):
            self.answer = b"HTTP/1.0 200 OK\r\n\r\nHello from asyncore!\n"

    def writable(self):
        return bool(self.answer)

    def handle_write(self):
        global served
        self.answer = self.answer[self.send(self.answer):]
        if not self.answer:
            self.close()
            served += 1


class Server(asyncore.dispatcher):
    def __init__(self, port):
        super().__init__()
        self.create_socket(socket.AF_INET)
        self.set_reuse_addr()
        self.bind(("127.0.0.1", port))
        self.listen(5)

    def handle_accepted(self, sock, address):
        Client(sock)


if __name__ == "__main__":
    port, requests = (int(word) for word in (sys.argv[1:] + ["8080", "0"][len(sys.argv) - 1:])[:2])
    server = Server(port)
    print("asyncore at port", server.socket.getsockname()[1], flush=True)
    with ticking():
        while not requests or served < requests:
            asyncore.loop(timeout=1, count=1)
    print("served", served)
