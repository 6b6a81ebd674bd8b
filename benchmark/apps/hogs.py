"""Requests that compute: /NAME calls the function NAME, / answers at once. One function for each load of ../hogs."""
import json
import re

NUMBERS = [n * 7919 % 100003 for n in range(50_000)]
TEXT = json.dumps([{"id": n, "name": f"name {n}", "tags": ["a", "b"]} for n in range(20_000)])


def loop():
    """About 0.2 s of Python."""
    for _ in range(6_000_000):
        pass


def json_loads():
    """Calls of C code that do not look whether they should give up the GIL, 15 ms each."""
    for _ in range(8):
        json.loads(TEXT)


def sorted_key():
    """C code that calls Python code."""
    for _ in range(10):
        sorted(NUMBERS, key=lambda n: -n)


def re_sub():
    for _ in range(4):
        re.sub(r"name (\d+)", lambda match: match[1], TEXT)


LOADS = {f"/{function.__name__}": function for function in (loop, json_loads, sorted_key, re_sub)}


def app(environ, start_response):
    load = LOADS.get(environ["PATH_INFO"])
    if load:
        load()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
