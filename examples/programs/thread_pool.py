"""Real threads: four sleeps of C code on four threads, and on three; values, exceptions, and code that computes."""
import hashlib
import time

import syncless
from ticker import ticking


def work(n):
    if n == 3:
        raise ValueError(f"no {n}")
    return hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 200000 * n).hex()[:8]


def attempt(pool, n):
    try:
        return pool(work, n)
    except ValueError as error:
        return str(error)


if __name__ == "__main__":
    with ticking():
        for size in 4, 3:
            pool = syncless.ThreadPool(size)
            began = time.monotonic()
            for co in [syncless.spawn(pool, time.sleep, 0.4) for _ in range(4)]:
                co.join()
            print(f"{size} threads: {(time.monotonic() - began) / 0.4:.0f} times the sleep")
        values = [syncless.spawn(attempt, pool, n) for n in range(1, 5)]
        print([co.get() for co in values])
