"""Unmodified client libraries: while a call waits, everything else runs on, in one worker with one OS thread."""
import pytest

from beat import ticking

pytest_plugins = ["world"]

CLIENTS = ["psycopg2", "mysqlclient", "pymysql", "redis", "requests", "urllib", "dnspython", "pq", "fetch"]
WAIT = 0.3  # seconds, as in app.py


@pytest.mark.parametrize("client", CLIENTS)
def test_calls_that_wait(world, client):
    """Ten calls end within the time of two, and the ticker misses no beat. They start 5 ms apart, since each also
    computes for some milliseconds. A busy machine may need several attempts; with a library that blocks, all fail."""
    paths = [f"/{client}"] * 10
    world.get_all(paths)  # import modules and open connections that are kept
    for attempt in range(5):
        with ticking(world) as ticker:
            answers, seconds = world.get_all(paths, apart=0.005)
        print(f"{seconds:.3f} s, worst beat {ticker.worst:.3f} s late, the machine's {ticker.machine:.3f} s")
        assert [answer.strip() for answer in answers] == ["waited"] * 10
        if seconds < 2 * WAIT and not ticker.missed:
            break
    assert world.sanitized or (seconds < 2 * WAIT and not ticker.missed), vars(ticker)


def test_ticker_notices_what_blocks(world):
    with ticking(world) as ticker:
        assert world.get("/block")[2] == b"waited"
    assert ticker.missed, (ticker.worst, ticker.machine)
