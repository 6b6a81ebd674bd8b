"""Subclasses of the standard library's BaseHTTPRequestHandler as WSGI applications.

The handler writes a whole HTTP response to wfile. Its head is parsed and given to start_response; the body is passed on
as it is written, so a handler that writes slowly streams. Fields about the connection are left out, since the server
sets them.
"""
from __future__ import annotations

import email.message
import http
import io
import re
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any

SERVER_FIELDS = {"connection", "transfer-encoding", "date", "server", "keep-alive"}


class _Response(io.BufferedIOBase):
    """The handler's wfile."""

    def __init__(self, start_response: Callable[..., Callable[[bytes], object]]) -> None:
        super().__init__()
        self.start_response = start_response
        self.head = b""
        self.write_body: Callable[[bytes], object] | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
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

    def start(self) -> None:
        status, *lines = self.head.decode("latin-1").split("\r\n")
        if not re.match(r"HTTP/\S+ \d\d\d( |$)", status):
            raise ValueError(f"the handler's response does not begin with an HTTP status line: {status!r}")
        if status.split(" ", 2)[1].startswith("1"):  # 100 Continue and the like, which the server sends
            self.head = b""
            return
        fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
        self.write_body = self.start_response(status.split(" ", 1)[1],
                                              [field for field in fields if field[0].lower() not in SERVER_FIELDS])


def _fields(environ: dict[str, Any], kind: type[email.message.Message]) -> email.message.Message:
    message = kind()
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            message[name[5:].replace("_", "-").title()] = value
        elif name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            message[name.replace("_", "-").title()] = value
    return message


def application(handler_class: type[BaseHTTPRequestHandler]) -> Callable[..., Iterable[bytes]]:
    """Return a WSGI application that makes a handler for each request, without the usual socket to read from."""

    class Handler(handler_class):  # type: ignore[misc, valid-type]
        def __init__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> None:
            self.command = environ["REQUEST_METHOD"]
            self.path = environ.get("REQUEST_URI") or environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            self.request_version = environ["SERVER_PROTOCOL"]
            self.requestline = f"{self.command} {self.path} {self.request_version}"
            self.raw_requestline = self.requestline.encode("latin-1") + b"\r\n"
            self.client_address = (environ.get("REMOTE_ADDR", ""), int(environ.get("REMOTE_PORT") or 0))
            self.server, self.connection, self.request, self.close_connection = None, None, None, True
            self.headers = _fields(environ, getattr(handler_class, "MessageClass", email.message.Message))
            self.rfile, self.wfile = environ["wsgi.input"], _Response(start_response)

        def respond(self) -> None:
            method = getattr(self, "do_" + self.command, None)
            if method is None:
                self.send_error(http.HTTPStatus.NOT_IMPLEMENTED, f"Unsupported method ({self.command!r})")
            else:
                method()
            if self.wfile.write_body is None:
                raise RuntimeError(f"{handler_class.__name__} did not write the head of a response")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        Handler(environ, start_response).respond()
        return []

    return app
