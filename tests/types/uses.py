"""What a type checker must find out about the package syncless: checked by mypy (modules/wsgi/mypy.ini), never run.

Each line that must be refused has a `type: ignore` with its error code, of which mypy warns where it is not needed.
"""
from __future__ import annotations

import hashlib
import ssl
import sys
from typing import TYPE_CHECKING, Any, Callable, Iterable, Optional, Union

import _syncless
import syncless
import syncless.reactor
import syncless.websocket
import syncless.wsgi
from syncless import (Channel, ClientGone, Coroutine, Killed, Queue, Record, RequestTimeout, ThreadPool, Timeout,
                      backdoor, coroutines, current, receive_with_timeout, resolve, run_in_thread, sleep, spawn,
                      timeout_call, yield_now)

if TYPE_CHECKING:
    from typing_extensions import assert_type


def fetch(url: str, retries: int = 0) -> bytes:
    return url.encode() * retries


# ---- spawn and get ----

page = spawn(fetch, "http://127.0.0.1/", retries=2)
assert_type(page, Coroutine[bytes])
assert_type(page.get(), bytes)
assert_type(page.get(timeout=1.5), bytes)
assert_type(page.value, Optional[bytes])
assert_type(page.join(), bool)
assert_type(page.exception, Optional[BaseException])
assert_type([co.get() for co in [spawn(len, "abc"), spawn(len, "abcd")]], "list[int]")
spawn(sleep, 1).get()
spawn(fetch, 5)  # type: ignore[arg-type]
spawn(fetch)  # type: ignore[call-arg]
spawn(fetch, "/", tries=2)  # type: ignore[call-arg]
spawn("fetch")  # type: ignore[arg-type]
page.get(timeout="1")  # type: ignore[arg-type]
assert_type(current(), Coroutine[Any])
assert_type(coroutines(), "list[Coroutine[Any]]")
yield_now()


# ---- exceptions are types ----

def handle(wait: Callable[[], None]) -> str:
    try:
        wait()
    except Killed as raised:
        assert_type(raised, Killed)
    except (ClientGone, RequestTimeout) as raised:
        assert_type(raised, Union[ClientGone, RequestTimeout])
    return "done"


page.kill()
page.kill(Killed("enough"))
page.kill(RequestTimeout)  # type: ignore[arg-type]


# ---- time limits ----

def bounded(url: str) -> bytes:
    with Timeout(5):  # a block that returns: nothing is missing after it
        return fetch(url)


with Timeout(2.5, exc=KeyError("late")) as limit:
    assert_type(limit, Timeout)
Timeout(None, exc=False)
Timeout(1, exc=True)  # type: ignore[arg-type]
Timeout("1")  # type: ignore[arg-type]
assert_type(timeout_call(3, fetch, "/"), bytes)
assert_type(timeout_call(3, fetch, "/", default=None), Optional[bytes])
assert_type(timeout_call(3, fetch, "/", default=5), Union[bytes, int])


# ---- queues, channels, threads ----

numbers: Queue[int] = Queue([1, 2])
assert_type(numbers.get(), int)
assert_type(Queue(["a"]).popleft(timeout=1), str)
numbers.put("a")  # type: ignore[arg-type]
channel: Channel[str] = Channel()
assert_type(channel.receive(), str)
channel.send(5)  # type: ignore[arg-type]
assert_type([text for text in channel], "list[str]")
assert_type(receive_with_timeout(1, channel), Optional[str])
assert_type(receive_with_timeout(1, channel, default=0), Union[str, int])
assert_type(run_in_thread(fetch, "/", retries=1), bytes)
assert_type(ThreadPool(3)(len, "abc"), int)
run_in_thread(fetch, 1)  # type: ignore[arg-type]
run_in_thread(hashlib.sha256, b"data").hexdigest()
assert_type(resolve("example.com", "MX"), "list[Record]")


# ---- servers ----

def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    ws: syncless.websocket.WebSocket = environ["syncless.websocket"]()
    for message in ws:
        assert_type(message, Union[str, bytes])
        ws.send(message)
    return []


with syncless.wsgi.start(app, ("127.0.0.1", 0), max_body_size="20m", request_timeout=2.5) as server:
    assert_type(server.url, str)
syncless.wsgi.serve(app, ":8443", tls=("cert.pem", "key.pem"))
syncless.wsgi.serve(app, 3.5)  # type: ignore[arg-type]
syncless.wsgi.RunHttpServer(app)
backdoor("/run/app.door", {"app": app}).close()
syncless.reactor.defer_to_coroutine(fetch, "/")
syncless.reactor.wait_for(fetch, 1)  # type: ignore[arg-type]


# ---- the module and its version; names of 2010 ----

assert_type(syncless.__version__, str)
assert_type(_syncless.handle(), Optional[_syncless.Handle])
assert_type(syncless.NonBlockingSslSocket(syncless.NonBlockingSocket()), ssl.SSLSocket)
syncless.no_such_name  # type: ignore[attr-defined]
sys.exit(handle(yield_now))
