"""HTTP servers inside a program: what syncless-server is made of, for a script under syncless-python.

    import syncless.wsgi

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello\\n"]

    syncless.wsgi.serve(app, ("127.0.0.1", 8080))

Requests are read, answered and bounded by the C server, each on a coroutine; the program's other coroutines go on beside
them. Limits and time-outs are those of docs/limits.md.
"""
import inspect
import logging
import os
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, Callable, Optional, Tuple, Union

import _syncless

from . import basehttp
from .coroutine import spawn
from .tls import Front, make_context
from .unix import remove_stale

__all__ = ["RunHttpServer", "Server", "adapt", "serve", "simple", "start"]

Address = Union[str, int, Tuple[str, int], socket.socket]


# ---- what is an application ----

def _is_webpy(app):
    return all(callable(getattr(app, name, None)) for name in ("handle", "request", "run", "wsgifunc", "cgirun"))


def _is_cherrypy(app):
    """A class, or an object of one, with a method that is exposed; and no WSGI application on its own account."""
    if not isinstance(app, type) and callable(app):
        return False
    return any(getattr(getattr(app, name, None), "exposed", False) for name in dir(app))


def _takes_two(app):
    try:
        inspect.signature(app).bind({}, None)
    except TypeError:
        return False
    except ValueError:  # it does not say
        pass
    return True


def adapt(app: Any) -> Callable:
    """A WSGI application of what is one already (Flask, Django, Bottle, WebOb, ...), a web.py application, a CherryPy class or
    the root object of its tree, or a subclass of BaseHTTPRequestHandler. TypeError of anything else."""
    if isinstance(app, type) and issubclass(app, BaseHTTPRequestHandler):
        return basehttp.application(app)
    if _is_webpy(app):
        return app.wsgifunc()
    if _is_cherrypy(app) or type(app).__module__.startswith("cherrypy."):
        import cherrypy
        cherrypy.config.update({"environment": "embedded"})  # no signal handlers, reloader and log on the screen of its own
    if _is_cherrypy(app):
        return cherrypy.Application(app() if isinstance(app, type) else app, "")
    if callable(app) and _takes_two(app):
        return app
    raise TypeError(f"{app!r} is no application: expected a WSGI callable that takes (environ, start_response), a web.py "
                    "application, a CherryPy class or object, or a subclass of BaseHTTPRequestHandler")


def _preset(app):
    """Where the application is served if nobody says: as its own framework does."""
    return ("127.0.0.1", 8080 if _is_webpy(app) or _is_cherrypy(app) else 6666)


# ---- sockets ----

def _parse(address):
    """A (host, port) or the path of a Unix socket."""
    if isinstance(address, int):
        return "127.0.0.1", address
    if isinstance(address, str) and address.startswith("unix:"):
        return address[5:]
    if isinstance(address, str):
        host, colon, port = address.rpartition(":")
        if not colon or not port.isdigit():
            raise ValueError(f"address {address!r}: expected HOST:PORT, :PORT or unix:PATH")
        return host.strip("[]") or "0.0.0.0", int(port)
    host, port = address
    return host, port


def _resolve(host, port):
    """The family and the address of a place to listen at."""
    if not 0 <= port <= 65535:
        raise ValueError(f"address {host}:{port}: a port is a number from 0 to 65535")
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from None
    return family, place


def _listen(address, backlog):
    if isinstance(address, socket.socket):
        return address
    place = _parse(address)
    if isinstance(place, str):
        remove_stale(place)
        sock = socket.socket(socket.AF_UNIX)
    else:
        family, place = _resolve(*place)
        sock = socket.socket(family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(place)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {address}: {os.strerror(error.errno)}") from None
    return sock


# ---- limits ----

def _limits(limits):
    """Pairs of key and value, as the server's configuration has them."""
    pairs = []
    for name, value in limits.items():
        key = name.replace("_", "-")
        is_seconds = key.endswith("timeout") and isinstance(value, (int, float))
        pairs.append((key, f"{round(value * 1000)}ms" if is_seconds else str(value)))
    return pairs


# ---- servers ----

class Server:
    """A server that runs; made by start(). A context manager, which closes it.

    address: (host, port), or the path of a Unix socket. url: what to ask it for.
    """

    def __init__(self, app, address, tls, backlog, limits):
        app = adapt(app)
        limits = _limits(limits)
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
                                           limits=limits)
        except BaseException:
            self._release()
            raise
        self._front = Front(self._socket, context, self._server) if context else None
        name = self._socket.getsockname()
        self.address = name if isinstance(name, str) else name[:2]
        self.url = f"{'https' if context else 'http'}://{_host(name)}/"

    def wait(self) -> None:
        """Until somebody closes it."""
        self._ended.acquire()
        self._ended.release()

    def close(self) -> None:
        """Accept no more; connections end when they have answered what they are at. Once more does nothing, and in a forked
        child it leaves the parent's server alone."""
        if not self._ended.locked():
            return
        if self._pid != os.getpid():  # a forked child: the server is its parent's
            if self._is_ours:
                self._socket.close()
            return
        if self._front:
            self._front.close()
        if _syncless.handle() is None:  # an OS thread: have a coroutine do it
            spawn(_syncless.serve_end, self._server).get()
        else:
            _syncless.serve_end(self._server)
        self._release()
        self._ended.release()

    def _release(self):
        if not self._is_ours:
            return
        name = self._socket.getsockname()
        self._socket.close()
        if isinstance(name, str) and os.path.exists(name):
            os.unlink(name)

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _host(name):
    if isinstance(name, str):
        return "localhost"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def start(app: Any, address: Address, tls: Any = None, *, backlog: int = 2048, **limits: Union[int, float, str]) -> Server:
    """Serve an application (see adapt) beside what the program does; returns at once. On a coroutine.

    address: (host, port) with 0 for any, "HOST:PORT", ":PORT" for all addresses, "unix:PATH", or a socket that listens already.
    tls: an ssl.SSLContext, or (certfile, keyfile), or {"certfile": ..., "keyfile": ...}.
    limits: the keys of the section [limits] in docs/configuration.md, with underscores; numbers (of bytes, or seconds), or
    text as it stands there: max_body_size="20m", request_timeout=2.5, on_disconnect="cancel" are this server's. Those of
    connections (header_timeout, max_connections, ...) are the process's, and can be given to its first server.

    TypeError if app is none; OSError if the address cannot be had; ValueError for a bad limit; RuntimeError in an OS thread.
    """
    return Server(app, address, tls, backlog, limits)


def serve(app: Any, address: Address, tls: Any = None, *, backlog: int = 2048, **limits: Union[int, float, str]) -> None:
    """The same, and wait until the coroutine is killed or, in the main part of a program, until Ctrl-C."""
    with start(app, address, tls, backlog=backlog, **limits) as server:
        logging.getLogger("syncless").info("serving on %s", server.url)
        server.wait()


def RunHttpServer(app: Any, server_address: Optional[Address] = None, listen_queue_size: int = 100) -> None:
    """Serve an application of any kind at its usual place until Ctrl-C, and say where.

    The place is 127.0.0.1:8080 for web.py and CherryPy, else 127.0.0.1:6666. TypeError if app is no application.
    """
    address = _preset(app) if server_address is None else server_address
    with start(app, address, backlog=listen_queue_size) as server:
        print(f"serving on {server.url}", file=sys.stderr, flush=True)
        server.wait()


def simple(port: int, function: Callable[[], Any], host: str = "127.0.0.1") -> None:
    """Serve a function without arguments that returns a page, as str or bytes: RunHttpServer in one line."""
    def app(environ, start_response):
        page = function()
        data = page if isinstance(page, bytes) else str(page).encode()
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(data)))])
        return [data]

    RunHttpServer(app, (host, port))
