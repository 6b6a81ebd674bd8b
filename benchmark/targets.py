"""The targets of syncless-server: each is a figure of one run, mostly a ratio to another server's, and its bound."""
import collections

Target = collections.namedtuple("Target", "text value bound at_most")

OURS = {"syncless", "syncless C"}


def cpu(workload, server, peer, ours="cpu_us"):
    return lambda figures: figures.ratio((workload, server, ours), (workload, peer, ours))


def field(workload, server, name):
    return lambda figures: figures.median(workload, server, name)


def against_best(workload, server="syncless", name="cpu_us"):
    """The ratio to the best of the other servers."""
    def value(figures):
        peers = [s for s in figures.servers(workload) if s not in OURS and s != "floor"]
        ratios = [figures.ratio((workload, server, name), (workload, peer, name)) for peer in peers]
        return max((r for r in ratios if r is not None), default=None)
    return value


def share(workload):
    """The microseconds that the server adds to a framework's: the floor computes for as long as the framework takes."""
    return lambda figures: figures.difference((workload, "syncless", "cpu_us"), (workload, "floor", "cpu_us"))


def pipelined(figures):
    return figures.ratio(("pipelined", "syncless", "rate"), ("hello", "syncless", "rate"))


def beside_sleeper(figures):
    return figures.ratio(("mixed", "syncless", "p99"), ("hello63", "syncless", "p99"))


TARGETS = [Target(*row) for row in [
    ("WSGI hello: CPU / the floor's", cpu("hello", "syncless", "floor"), 1.18, True),
    ("C handler hello: CPU / the floor's", cpu("hello", "syncless C", "floor"), 1.08, True),
    ("WSGI hello, a new connection each: CPU / nginx's", cpu("close", "syncless", "nginx"), 1.1, True),
    ("C hello, a new connection each: CPU / nginx's", cpu("close", "syncless C", "nginx"), 1.1, True),
    ("pipelined WSGI hello: rate / unpipelined rate", pipelined, 2, False),
    ("sleep: requests/s", field("sleep", "syncless", "rate"), 9700, False),
    ("sleep: CPU / gevent's", cpu("sleep", "syncless", "gevent"), 0.25, True),
    ("sleep: CPU / node's", cpu("sleep", "syncless", "node"), 0.5, True),
    ("sleep: RSS growth / gevent's", cpu("sleep", "syncless", "gevent", "rss_growth"), 0.5, True),
    ("upstream: CPU / gevent's", cpu("upstream", "syncless", "gevent"), 0.8, True),
    ("upstream: requests/s / gevent's", cpu("upstream", "syncless", "gevent", "rate"), 1.2, False),
    ("PostgreSQL: queries at once", field("query", "syncless", "at_once"), 200, False),
    ("idle connection: bytes of process memory", field("idle", "syncless C", "bytes_each"), 512, True),
    ("idle connection of a WSGI server: bytes", field("idle", "syncless", "bytes_each"), 512, True),
    ("request in time.sleep: bytes", field("parked", "syncless", "bytes_each"), 12000, True),
    ("POST of 64 KiB: CPU / the best of others", against_best("echo"), 1.1, True),
    ("1 MiB body: CPU / the best of others", against_best("mebi"), 1.1, True),
    ("100 MB file: CPU / the best of others", against_best("file"), 1.1, True),
    ("static 1 MiB: CPU / nginx's", cpu("static1m", "syncless C", "nginx"), 1.1, True),
    ("two workers, kept connections: busiest / mean", field("spread", "syncless 2 workers", "busiest"), 1.2, True),
    ("two workers, new connections: busiest / mean", field("spread new", "syncless 2 workers", "busiest"), 1.2, True),
    ("Flask: microseconds above the floor", share("flask"), 2.5, True),
    ("Django: microseconds above the floor", share("django"), 2.5, True),
    ("hello beside a sleeper: p99 / p99 without it", beside_sleeper, 1.5, True),
]]
