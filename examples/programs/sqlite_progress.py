"""What does block all coroutines: computing, such as a long SQLite query. In a thread it does not."""
import sqlite3
import time

import syncless
from ticker import ticking

QUERY = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 3000000) select count(*) from n"


def query():
    return sqlite3.connect(":memory:").execute(QUERY).fetchone()[0]


def longest_pause(function):
    pauses = [time.monotonic()]

    def watch():
        while True:
            syncless.sleep(0.01)
            pauses.append(time.monotonic())

    watcher = syncless.spawn(watch)
    syncless.sleep(0.05)
    function()
    syncless.sleep(0.05)
    watcher.kill()
    return max(after - before for before, after in zip(pauses, pauses[1:]))


if __name__ == "__main__":
    with ticking():
        blocked = longest_pause(query)
        free = longest_pause(lambda: syncless.run_in_thread(query))
    print(f"on a coroutine others waited {blocked:.2f} s, with run_in_thread {free:.2f} s")
