"""Print dots while other code blocks. That they do not stop is the point of all these programs."""
import contextlib
import sys

import syncless


@contextlib.contextmanager
def ticking(seconds=0.05):
    def tick():
        while True:
            syncless.sleep(seconds)
            sys.stdout.write(".")
            sys.stdout.flush()

    ticker = syncless.spawn(tick)
    try:
        yield
    finally:
        ticker.kill()
        ticker.join()
