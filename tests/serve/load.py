"""Constant load on a server, whose every failed request is counted."""
import socket
import threading

from conftest import TIMEOUT


class Load:
    """Threads that send request after request, on connections kept alive until the server says that it closes. Used as
    `with Load(server) as load`; `answers` counts whole answers, `errors` holds what went wrong."""

    def __init__(self, server, threads=4, target="/", path=None):
        self.server, self.path = server, path
        self.request = f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        self.answers, self.errors, self.bodies = 0, [], set()
        self._stopping = threading.Event()
        self._grown = threading.Condition()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait(10)
        return self

    def __exit__(self, *exception):
        self._stopping.set()
        for thread in self._threads:
            thread.join(TIMEOUT)

    def wait(self, more):
        """Until so many more requests were answered."""
        with self._grown:
            goal = self.answers + more
            assert self._grown.wait_for(lambda: self.answers >= goal, TIMEOUT), (self.answers, self.errors[:5])

    def _run(self):
        while not self._stopping.is_set():
            try:
                self._serve_connection()
            except OSError as error:
                self.errors.append(repr(error))

    def _connect(self):
        if self.path or self.server.path:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(TIMEOUT)
            sock.connect(self.path or self.server.path)
            return sock
        return socket.create_connection((self.server.host, self.server.port), TIMEOUT)

    def _serve_connection(self):
        with self._connect() as sock:
            while not self._stopping.is_set():
                sock.sendall(self.request)
                head, body = self._receive(sock)
                with self._grown:
                    self.answers += 1
                    self.bodies.add(body)
                    self._grown.notify_all()
                if not head.startswith(b"HTTP/1.1 200 "):
                    self.errors.append(head[:40])
                if b"\r\nConnection: close" in head:
                    return

    @staticmethod
    def _receive(sock):
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = sock.recv(65536)
            if not chunk:
                raise ConnectionError(f"closed after {len(data)} bytes of an answer")
            data += chunk
        head, body = data.split(b"\r\n\r\n", 1)
        size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < size:
            chunk = sock.recv(65536)
            if not chunk:
                raise ConnectionError("closed within a body")
            body += chunk
        return head, body
