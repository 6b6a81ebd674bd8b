"""HTTP servers inside a program: the server of syncless-server, for a script under syncless-python.

    import syncless.wsgi

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello\\n"]

    syncless.wsgi.serve(app, ("127.0.0.1", 8080))

The C server handles requests, each on a coroutine; the program's other coroutines run beside them. Limits and timeouts
are those of docs/limits.md.
"""
from __future__ import annotations

import importlib
import inspect
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Union


from ._inside import _syncless
from . import basehttp
from .coroutine import spawn
from .tls import Front, make_context
from .unix import remove_stale

__all__ = ["RunHttpServer", "Server", "adapt", "serve", "simple", "start"]

Address = Union[str, int, tuple[str, int], socket.socket]
Limit = Union[int, float, str]


# ---- applications ----

def _is_handler_class(app: Any) -> bool:
    return isinstance(app, type) and issubclass(app, BaseHTTPRequestHandler)


def _is_webpy(app: Any) -> bool:
    return all(callable(getattr(app, name, None)) for name in ("handle", "request", "run", "wsgifunc", "cgirun"))


def _is_cherrypy(app: Any) -> bool:
    """A class or an object that has an exposed method, and is not itself a WSGI application."""
    if not isinstance(app, type) and callable(app):
        return False
    return any(getattr(getattr(app, name, None), "exposed", False) for name in dir(app))


def _takes_two(app: Callable[..., Any]) -> bool:
    try:
        inspect.signature(app).bind({}, None)
    except TypeError:
        return False
    except ValueError:  # its signature is not known
        pass
    return True


def adapt(app: Any) -> Callable[..., Any]:
    """Return app as a WSGI application.

    app: a WSGI application (Flask, Django, Bottle, WebOb, ...), a web.py application, a CherryPy class or the root
    object of its tree, or a subclass of BaseHTTPRequestHandler. TypeError for anything else.
    """
    if _is_handler_class(app):
        return basehttp.application(app)
    adapted: Callable[..., Any]
    if _is_webpy(app):
        adapted = app.wsgifunc()
        return adapted
    if _is_cherrypy(app) or type(app).__module__.startswith("cherrypy."):
        cherrypy = importlib.import_module("cherrypy")  # so that type checkers do not look for its types
        cherrypy.config.update({"environment": "embedded"})  # no signal handlers, reloader and screen log of its own
    if _is_cherrypy(app):
        adapted = cherrypy.Application(app() if isinstance(app, type) else app, "")
        return adapted
    if callable(app) and _takes_two(app):
        adapted = app
        return adapted
    raise TypeError(f"{app!r} is not an application: expected a WSGI callable that takes (environ, start_response), a "
                    "web.py application, a CherryPy class or object, or a subclass of BaseHTTPRequestHandler")


def _default_address(app: Any) -> tuple[str, int]:
    """The default address is that of the application's own framework."""
    return ("127.0.0.1", 8080 if _is_webpy(app) or _is_cherrypy(app) else 6666)


# ---- sockets ----

def _parse(address: str | int | tuple[str, int]) -> str | tuple[str, int]:
    """Return (host, port) or the path of a Unix socket."""
    if isinstance(address, int):
        return "127.0.0.1", address
    if isinstance(address, str) and address.startswith("unix:"):
        return address[5:]
    if isinstance(address, str):
        name, colon, digits = address.rpartition(":")
        if not colon or not digits.isdigit():
            raise ValueError(f"address {address!r}: expected HOST:PORT, :PORT or unix:PATH")
        return name.strip("[]") or "0.0.0.0", int(digits)
    host, port = address
    return host, port


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    """Return the address family and the address to listen on."""
    if not 0 <= port <= 65535:
        raise ValueError(f"address {host}:{port}: the port must be from 0 to 65535")
    try:
        family, _, _, _, name = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from None
    return family, name


def _listen(address: Address, backlog: int) -> socket.socket:
    if isinstance(address, socket.socket):
        return address
    name: Any = _parse(address)
    if isinstance(name, str):
        remove_stale(name)
        sock = socket.socket(socket.AF_UNIX)
    else:
        family, name = _resolve(*name)
        sock = socket.socket(family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(name)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}") from None
    return sock


# ---- limits ----

def _limits(limits: dict[str, Limit]) -> list[tuple[str, str]]:
    """Return pairs of a key and its value, as the server's configuration has them."""
    pairs = []
    for name, value in limits.items():
        key = name.replace("_", "-")
        is_seconds = key.endswith("timeout") and isinstance(value, (int, float))
        pairs.append((key, f"{round(float(value) * 1000)}ms" if is_seconds else str(value)))
    return pairs


# ---- servers ----

class Server:
    """A server that runs; start() makes it. As a context manager it closes itself at the end.

    address: (host, port), or the path of a Unix socket. url: of its root.
    """

    def __init__(self, app: Any, address: Address, tls: Any, use_http: bool, backlog: int,
                 limits: dict[str, Limit]) -> None:
        app = adapt(app)
        pairs = _limits(limits)
        context = make_context(tls) if tls is not None else None
        self._socket = _listen(address, backlog)
        self._is_ours = self._socket is not address
        self._ended = threading.Lock()
        self._ended.acquire()
        self._pid = os.getpid()
        if not context:
            self._socket.setblocking(False)
        try:
            self._server = _syncless.serve(self._socket.fileno(), app, accepts=context is None, tls=context is not None,
                                           limits=pairs)
        except BaseException:
            self._release()
            raise
        self._plain = _syncless.serve_plain(self._server) if context and use_http else None
        self._front = Front(self._socket, context, self._server, self._plain) if context else None
        name = self._socket.getsockname()
        self.address = name if isinstance(name, str) else name[:2]
        self.url = f"{'https' if context else 'http'}://{_host(name)}/"

    def wait(self) -> None:
        """Wait until close() is called."""
        self._ended.acquire()
        self._ended.release()

    def close(self) -> None:
        """Accept no more connections. Those that are open end after their present request.

        Does nothing if it was called before. In a forked child it leaves the parent's server alone.
        """
        if not self._ended.locked():
            return
        if self._pid != os.getpid():  # a forked child, whose parent has the server
            if self._is_ours:
                self._socket.close()
            return
        if self._front:
            self._front.close()
        for server in filter(None, (self._plain, self._server)):
            if _syncless.handle() is None:  # an OS thread: a coroutine does it
                spawn(_syncless.serve_end, server).get()
            else:
                _syncless.serve_end(server)
        self._release()
        self._ended.release()

    def _release(self) -> None:
        if not self._is_ours:
            return
        name = self._socket.getsockname()
        self._socket.close()
        if isinstance(name, str) and os.path.exists(name):
            os.unlink(name)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def _host(name: Any) -> str:
    if isinstance(name, str):
        return "localhost"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def start(app: Any, address: Address, tls: Any = None, *, use_http: bool = False, backlog: int = 2048,
          **limits: Limit) -> Server:
    """Serve an application (see adapt) beside what the program does, and return at once. On a coroutine.

    address: (host, port), where port 0 is any; "HOST:PORT"; ":PORT" for all addresses; "unix:PATH"; or a listen socket.
    tls: an ssl.SSLContext, or (certfile, keyfile), or {"certfile": ..., "keyfile": ...}.
    use_http: with tls, clients that do not begin with a TLS handshake are served on the same port, by plain HTTP.
    limits: the keys of the section [limits] in docs/configuration.md, with underscores. Values are numbers (of bytes or
    seconds), or text as in the configuration. max_body_size="20m", request_timeout=2.5, on_disconnect="cancel" hold for
    this server. Those of connections (header_timeout, max_connections, ...) hold for the process, and only its first
    server takes them.

    TypeError if app is no application; OSError if it cannot listen on the address; ValueError for a bad limit;
    RuntimeError in an OS thread.
    """
    return Server(app, address, tls, use_http, backlog, limits)


def serve(app: Any, address: Address, tls: Any = None, *, use_http: bool = False, backlog: int = 2048,
          **limits: Limit) -> None:
    """The same, and wait until the coroutine is killed or, on the main coroutine of a program, until Ctrl-C."""
    with start(app, address, tls, use_http=use_http, backlog=backlog, **limits) as server:
        logging.getLogger("syncless").info("serving on %s", server.url)
        server.wait()


def RunHttpServer(app: Any, server_address: Address | None = None, listen_queue_size: int = 100) -> None:
    """Serve an application of any kind (see adapt) until Ctrl-C, and print its address.

    The default address is 127.0.0.1:8080 for web.py and CherryPy, else 127.0.0.1:6666.
    """
    address = _default_address(app) if server_address is None else server_address
    with start(app, address, backlog=listen_queue_size) as server:
        print(f"serving on {server.url}", file=sys.stderr, flush=True)
        server.wait()


def simple(port: int, function: Callable[[], Any], host: str = "127.0.0.1") -> None:
    """Serve a function without arguments that returns a page, as str or bytes: RunHttpServer in one line."""
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        page = function()
        data = page if isinstance(page, bytes) else str(page).encode()
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(data)))])
        return [data]

    RunHttpServer(app, (host, port))
