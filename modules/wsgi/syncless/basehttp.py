"""BaseHTTPRequestHandler subclasses of the standard library as WSGI applications.

The handler writes a whole HTTP response to wfile. Its head is read back and given to start_response; the body goes on as it
is written, so a handler that writes slowly streams. What concerns the connection is the server's, and left out.
"""
import email.message
import http
import io
import re
from typing import Callable

SERVERS_OWN = {"connection", "transfer-encoding", "date", "server", "keep-alive"}


class _Response(io.BufferedIOBase):
    """The handler's wfile."""

    def __init__(self, start_response):
        super().__init__()
        self.start_response = start_response
        self.head = b""
        self.write_body = None

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        size = len(data)
        while self.write_body is None:
            self.head, end, data = (self.head + data).partition(b"\r\n\r\n")
            if not end:
                return size
            self.start()
        if data:
            self.write_body(data)
        return size

    def start(self):
        status, *lines = self.head.decode("latin-1").split("\r\n")
        if not re.match(r"HTTP/\S+ \d\d\d( |$)", status):
            raise ValueError(f"the handler's response does not begin as one of HTTP does: {status!r}")
        if status.split(" ", 2)[1].startswith("1"):  # 100 Continue and the like are the server's
            self.head = b""
            return
        fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
        self.write_body = self.start_response(status.split(" ", 1)[1],
                                              [field for field in fields if field[0].lower() not in SERVERS_OWN])


def _fields(environ, kind):
    message = kind()
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            message[name[5:].replace("_", "-").title()] = value
        elif name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            message[name.replace("_", "-").title()] = value
    return message


def application(handler_class: type) -> Callable:
    """A WSGI application that makes one handler for each request, without the socket it would read from."""

    class Handler(handler_class):
        def __init__(self, environ, start_response):
            self.command = environ["REQUEST_METHOD"]
            self.path = environ.get("REQUEST_URI") or environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            self.request_version = environ["SERVER_PROTOCOL"]
            self.requestline = f"{self.command} {self.path} {self.request_version}"
            self.raw_requestline = self.requestline.encode("latin-1") + b"\r\n"
            self.client_address = (environ.get("REMOTE_ADDR", ""), int(environ.get("REMOTE_PORT") or 0))
            self.server, self.connection, self.request, self.close_connection = None, None, None, True
            self.headers = _fields(environ, getattr(handler_class, "MessageClass", email.message.Message))
            self.rfile, self.wfile = environ["wsgi.input"], _Response(start_response)

        def respond(self):
            method = getattr(self, "do_" + self.command, None)
            if method is None:
                self.send_error(http.HTTPStatus.NOT_IMPLEMENTED, f"Unsupported method ({self.command!r})")
            else:
                method()
            if self.wfile.write_body is None:
                raise RuntimeError(f"{handler_class.__name__} wrote no whole head of a response")

    def app(environ, start_response):
        Handler(environ, start_response).respond()
        return []

    return app
