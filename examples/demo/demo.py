"""The WSGI application of the demo site: plain blocking Python, in one process and one OS thread.

Nothing here depends on Syncless. The counters need no lock, since there is one thread only.
"""
import html
import json
import os
import time
import urllib.parse

asleep = most = answered = 0


def application(environ, start_response):
    handler = {"": index, "/": index, "/sleep": sleep, "/live": live}.get(environ["PATH_INFO"], missing)
    return handler(environ, start_response)


def reply(start_response, body, kind="text/plain; charset=utf-8", status="200 OK"):
    data = body.encode()
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(data)))])
    return [data]


def sleep(environ, start_response):
    """Sleep for one second, as a slow database or a far service would."""
    global asleep, most, answered
    asleep += 1
    most = max(most, asleep)
    try:
        time.sleep(1)
    finally:
        asleep -= 1
    answered += 1
    return reply(start_response, f"slept 1 s, with {asleep} others still asleep\n")


def live(environ, start_response):
    """The counters as server-sent events: an answer that never ends, written as a loop with time.sleep in it."""
    start_response("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")])

    def events():
        while True:
            state = {"asleep": asleep, "most": most, "answered": answered, "megabytes": round(resident_megabytes(), 1)}
            yield f"data: {json.dumps(state)}\n\n".encode()
            time.sleep(0.2)
    return events()


def resident_megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def index(environ, start_response):
    """The page that every WSGI server shows: its environ."""
    query = urllib.parse.parse_qs(environ["QUERY_STRING"])
    name = html.escape(query.get("name", ["WSGI"])[0])
    rows = "".join(f"<tr><td>{html.escape(key)}<td>{html.escape(repr(value))}"
                   for key, value in sorted(environ.items()))
    page = f"<!doctype html><meta charset=utf-8><title>WSGI</title><link rel=stylesheet href=/demo.css>" \
           f"<main><h1>Hello, {name}</h1><p>This is a WSGI application. Its environ:" \
           f"<table class=environ>{rows}</table></main>"
    return reply(start_response, page, "text/html; charset=utf-8")


def missing(environ, start_response):
    return reply(start_response, "There is nothing here.\n", status="404 Not Found")
