"""The workloads, one row each. `load` is a function of measure.py, called with the running server and the options.

`times` multiplies the length of a measurement: where answers are few or come in waves, a short one would be inaccurate.
"""
import collections

import measure

Workload = collections.namedtuple("Workload", "name title app path size load options times", defaults=[1])

FILE_SIZE = 100 << 20

WORKLOADS = [Workload(*line) for line in [
    ("hello", "hello, 64 connections kept alive", "app:hello", "/hello", 13, measure.wrk, {"connections": 64}),
    ("close", "hello, a new connection each", "app:hello", "/hello", 13, measure.wrk,
     {"connections": 64, "close": True}),
    ("pipelined", "hello, 16 requests in a packet", "app:hello", "/hello", 13, measure.wrk,
     {"connections": 64, "depth": 16}),
    ("chain", "ab -c 100, HTTP/1.0, 44 bytes (2010)", "app:chain", "/", 44, measure.ab, {"connections": 100}),
    ("sequential", "one client, each answer leads to the next (2010)", "app:chain", "/", 44, measure.sequential, {}),
    ("echo", "POST of 64 KiB, echoed", "app:echo", "/echo", 1 << 16, measure.wrk,
     {"connections": 16, "method": "POST", "body": 1 << 16}),
    ("mebi", "body of 1 MiB", "app:mebi", "/mebi", 1 << 20, measure.wrk, {"connections": 16}),
    ("file", "file of 100 MB by wsgi.file_wrapper", "app:file", "/file", FILE_SIZE, measure.wrk, {"connections": 4}, 3),
    ("static1k", "static file of 1 KiB", None, "/1k", 1 << 10, measure.wrk, {"connections": 64}),
    ("static1m", "static file of 1 MiB", None, "/1m", 1 << 20, measure.wrk, {"connections": 16}),
    ("flask", "Flask's hello", "flask_app:hello", "/hello", 13, measure.wrk, {"connections": 64}),
    ("django", "Django's hello", "django_app:hello", "/hello", 13, measure.wrk, {"connections": 64}),
    ("sleep", "time.sleep(0.1), 1000 connections", "app:sleep", "/sleep", 13, measure.wrk, {"connections": 1000}, 5),
    ("upstream", "urlopen of a service that takes 50 ms, 200 connections", "app:upstream", "/upstream", 13, measure.wrk,
     {"connections": 200}),
    ("query", "PostgreSQL query of 20 ms, 200 connections", "app:query", "/query", 12, measure.queries,
     {"connections": 200}),
    ("hello63", "hello, 63 connections", "app:mixed", "/hello", 13, measure.wrk, {"connections": 63}),
    ("mixed", "hello, 63 connections, beside one that sleeps", "app:mixed", "/hello", 13, measure.mixed,
     {"connections": 63}),
    ("spread", "two workers, 32 connections kept alive", "app:hello", "/hello", 13, measure.spread,
     {"connections": 32}),
    ("spread new", "two workers, a new connection each, from 16 clients", "app:hello", "/hello", 13, measure.spread,
     {"connections": 16, "close": True}),
    ("idle", "10,000 idle connections", "app:hello", "/hello", 13, measure.idle, {"connections": 10000}),
    ("parked", "9,000 requests in time.sleep", "app:parked", "/hello", 13, measure.parked, {"connections": 9000}),
]]
