"""A WSGI application whose requests wait for what their path names, and a backend for those that need a peer."""
import ctypes
import os
import queue
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

held = threading.Lock()
held.acquire()
events = threading.Event()
empty = queue.Queue()


def wait_for_socket(query):
    urllib.request.urlopen(f"http://127.0.0.1:{query}/").read()


def wait_for_unix(query):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(urllib.parse.unquote(query))
        sock.recv(1)


def wait_for_sleep(query):
    time.sleep(float(query))


def wait_for_lock(query):
    held.acquire(timeout=float(query))


def wait_for_queue(query):
    empty.get(timeout=float(query))


def wait_for_name(query):
    socket.getaddrinfo(query, 80)


def wait_for_event(query):
    events.wait(float(query))


def wait_for_child(query):
    subprocess.run(["sleep", query], check=True)


def wait_for_pipe(query):
    subprocess.run(["sleep", query], check=True, capture_output=True)


def wait_for_fifo(query):
    with open(query) as file:
        file.read()


def wait_for_disk(query):
    """A read of what is not in memory."""
    fd = os.open(query, os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * (16 << 20))
    os.fsync(fd)
    os.close(fd)


def wait_for_hog(query):
    """In C code that holds the GIL: nothing else of this process runs."""
    ctypes.PyDLL("libc.so.6").read(os.pipe()[0], ctypes.create_string_buffer(1), 1)


def wait_for_library(query):
    """In C code that has let the GIL go, and begins its wait anew after an EINTR, as libpq does."""
    path, _, port = query.partition(":")
    with socket.create_connection(("127.0.0.1", int(port))) as sock:
        result = ctypes.CDLL(path).wait_for_byte(sock.fileno())
        assert result == 1


def wait_for_nothing(query):
    end = time.monotonic() + float(query)
    while time.monotonic() < end:
        pass


def app(environ, start_response):
    name, query = environ["PATH_INFO"].strip("/"), environ["QUERY_STRING"].partition("&")[0]
    if name == "client":
        environ["wsgi.input"].read()
    else:
        globals()[f"wait_for_{name}"](query)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
