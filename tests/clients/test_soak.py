"""Everything at once in one worker: each request is answered, and nothing grows. `make soak` runs this for SOAK=300
seconds, `make test` for 20."""
import http.client
import os
import random
import re
import threading
import time

import pytest

from conftest import SANITIZED, TIMEOUT
from soaking import figures_at_rest, run_clients

pytest_plugins = ["world"]

SECONDS = int(os.environ.get("SOAK", 20))
CLIENTS = 30

EXPECTED = {  # path: the answer's body
    **{f"/{name}": "waited" for name in ("psycopg2", "mysqlclient", "pymysql", "redis", "requests", "urllib",
                                         "dnspython", "sleep", "pq", "fetch")},
    "/fork": "7", "/subprocess": "through a pipe", "/thread": "from a thread", "/executor": "45",
    "/recursion": "RecursionError", "/close": "b''", "/lock": "had it", "/asyncio": "[0, 1, 2, 3, 4]", "/names": "True",
    "/garbage": "garbage", "/print": "printed", "/stream": "x" * 20000,
}
if SANITIZED:  # AddressSanitizer of GCC 12 does not reset its allocator's locks at a fork, so a child may deadlock
    del EXPECTED["/fork"]


class Client(threading.Thread):
    """Requests pages in random order until a given time, on one connection; sometimes it leaves another one early."""

    def __init__(self, server, seed, end):
        super().__init__()
        self.server, self.random, self.end = server, random.Random(seed), end
        self.connection = server.http()
        self.served, self.errors, self.asked = 0, [], None

    def leave_early(self):
        with self.server.connect() as sock:
            path = self.random.choice([*EXPECTED])
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()[:self.random.randrange(20, 60)])
            sock.settimeout(self.random.random() * 0.1)
            try:
                sock.recv(10)
            except TimeoutError:
                pass

    def ask(self, method, path, body=None):
        self.asked = method, path
        self.connection.request(method, path, body)
        response = self.connection.getresponse()
        return response.status, response.read().decode().strip()

    def step(self):
        kind = self.random.random()
        if kind < 0.05:
            self.leave_early()
        elif kind < 0.10:
            size = self.random.randrange(200000)
            assert self.ask("POST", "/body", b"b" * size) == (200, str(size))
        elif kind < 0.12:
            assert self.ask("GET", "/raise")[0] == 500
        else:
            path = self.random.choice([*EXPECTED])
            assert (path, *self.ask("GET", path)) == (path, 200, EXPECTED[path])
        self.served += 1

    def run(self):
        try:
            while time.monotonic() < self.end:
                self.step()
        except (AssertionError, OSError, http.client.HTTPException) as error:
            self.errors.append((self.asked, repr(error)))
        self.connection.close()


def load(server, seconds, seed):
    """Run all clients for some seconds; returns the number of requests."""
    end = time.monotonic() + seconds
    return run_clients([Client(server, (seed, n).__hash__(), end) for n in range(CLIENTS)])


@pytest.mark.alone
@pytest.mark.limit(90 + 2 * SECONDS)
def test_soak(start_world):
    server = start_world("soak_app")
    for pool in ("/redis", "/pq"):  # their pools keep as many connections as were in use at once
        server.get_all([pool] * CLIENTS)
    load(server, SECONDS / 4, 1)
    before = figures_at_rest(server, "/figures", TIMEOUT)
    served = load(server, SECONDS * 3 / 4, 2)
    after = figures_at_rest(server, "/figures", TIMEOUT)
    print(f"{served} requests; {before} -> {after}")
    assert after["descriptors"] == before["descriptors"]
    assert before["threads"] <= after["threads"] <= 2 + 2 * os.cpu_count()  # the loop, its watcher, and the pool
    assert after["states"] <= before["states"] + 2  # one per stack in the pool, and the main one
    assert after["objects"] < before["objects"] + 1000
    assert after["resident"] < before["resident"] + (3 << 20) or server.sanitized
    assert server.stop() == 0
    stacks = re.search(r"coroutines: \d+ started, at most \d+ at once, 0 running; (\d+) stacks", server.log)
    states = re.search(r"wsgi: (\d+) thread states, (\d+) of them of coroutines", server.log)
    assert stacks and states, server.log
    assert int(states[2]) <= int(stacks[1]) and int(states[1]) == int(states[2]) + 1
