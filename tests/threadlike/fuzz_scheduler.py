#!/usr/bin/env python3
"""Random programs of coroutines that wait, lock, compute and start others, checked against what must come out.

    syncless-python [--coroutine-threads] tests/threadlike/fuzz_scheduler.py SECONDS [SEED]

Each program prints its seed first, and is run again by it: `... 0 SEED`. It fails by an assertion, by a crash, or by
no end within 60 s, for which the traceback of all threads is written.
"""
import collections
import contextlib
import contextvars
import faulthandler
import hashlib
import os
import queue
import random
import select
import socket
import sqlite3
import sys
import threading
import time
import zlib

LIMIT = 60        # seconds for one program, on a busy machine
MAX_RUNNING = 40  # coroutines and threads at a time
DATA = random.Random(1).randbytes(50000)
VARIABLE = contextvars.ContextVar("variable")


def starters():
    """Functions that start f(*args) and return what joins it."""
    def start_thread(f, *args):
        thread = threading.Thread(target=f, args=args)
        thread.start()
        return thread.join

    try:
        import syncless
    except ImportError:  # plain python3
        return [start_thread]
    return [start_thread, lambda f, *args: syncless.spawn(f, *args).get]


class Program:
    def __init__(self, seed, starts):
        self.random = random.Random(seed)
        self.starts = starts
        self.locks = [threading.Lock() for _ in range(3)]
        self.inside = [0, 0, 0]          # who is in the section of each lock
        self.recursive, self.depth = threading.RLock(), 0
        self.condition, self.tickets = threading.Condition(), 0
        self.places = threading.Semaphore(2)
        self.queue = queue.Queue()
        self.pair = socket.socketpair()
        self.local = threading.local()
        self.done = collections.Counter()
        self.guard = threading.Lock()    # of the rest
        self.running = 0
        self.error = None

    # ---- what one does; each gets its own random numbers ----

    def compute(self, rng):
        """For less than a slice, or for some of them."""
        end, n = time.monotonic() + rng.choice([0, 0.0002, 0.001, 0.012]), 0
        while time.monotonic() < end:
            n += sum(range(50))

    def compute_in_c(self, rng):
        numbers = list(range(rng.choice([10, 3000])))
        rng.shuffle(numbers)
        assert sorted(numbers, key=lambda number: -number)[0] == len(numbers) - 1

    def compute_away(self, rng):
        """Without the GIL, upon another thread."""
        rounds = rng.choice([10, 2000, 20000])
        key = hashlib.pbkdf2_hmac("sha256", b"password", b"%d" % rounds, rounds)
        assert zlib.decompress(zlib.compress(DATA + key)) == DATA + key
        assert key == hashlib.pbkdf2_hmac("sha256", b"password", b"%d" % rounds, rounds)

    def call_back(self, rng):
        """From there into Python, which waits and fails."""
        def step(n):
            if n % 500 == 7:
                rng.choice([self.compute, self.sleep, self.lock, self.use_pipe])(rng)
            if n == last and fails:
                raise KeyError(n)
            return n
        last, fails = rng.choice([1, 300, 2000]), rng.random() < 0.3
        with contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)) as database:
            database.create_function("step", 1, step)
            try:
                rows = database.execute("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ?) "
                                        "SELECT sum(step(x)) FROM c", (last,)).fetchall()
                assert rows == [(last * (last + 1) // 2,)] and not fails
            except sqlite3.OperationalError:
                assert fails

    def sleep(self, rng):
        time.sleep(rng.choice([0, 0, 0.0005, 0.003]))

    def lock(self, rng):
        index = rng.randrange(3)
        with self.locks[index]:
            assert self.inside[index] == 0
            self.inside[index] = 1
            rng.choice([self.compute, self.sleep, self.compute_in_c])(rng)
            self.inside[index] = 0

    def lock_with_timeout(self, rng):
        index = rng.randrange(3)
        if self.locks[index].acquire(timeout=0.002):
            assert self.inside[index] == 0
            self.locks[index].release()

    def lock_twice(self, rng):
        with self.recursive:
            self.depth += 1
            depth = self.depth
            with self.recursive:
                self.sleep(rng)
            assert self.depth == depth
            self.depth -= 1

    def notify(self, rng):
        with self.condition:
            self.tickets += 1
            self.condition.notify()

    def await_ticket(self, rng):
        with self.condition:
            if self.condition.wait_for(lambda: self.tickets > 0, timeout=0.003):
                self.tickets -= 1
            assert self.tickets >= 0

    def use_place(self, rng):
        with self.places:
            self.compute(rng)

    def use_queue(self, rng):
        self.queue.put(1)
        assert self.queue.get(timeout=LIMIT) == 1

    def use_socket(self, rng):
        self.pair[0].send(b"x")
        select.select([self.pair[1]], [], [], 0.001)
        assert self.pair[1].recv(1) == b"x"

    def use_pipe(self, rng):
        read, write = os.pipe()
        os.write(write, b"abc")
        assert os.read(read, 3) == b"abc"
        os.close(read)
        os.close(write)

    def fail(self, rng):
        try:
            self.sleep(rng)
            raise ValueError(rng.random())
        except ValueError as error:
            self.compute(rng)
            assert sys.exc_info()[1] is error

    def start(self, rng):
        with self.guard:
            if self.running >= MAX_RUNNING:
                return
            self.running += 1
        join = rng.choice(self.starts)(self.live, rng.random())
        if rng.random() < 0.5:
            join()

    ACTIONS = [compute, compute_in_c, compute_away, call_back, sleep, lock, lock_with_timeout, lock_twice, notify,
               await_ticket, use_place, use_queue, use_socket, use_pipe, fail, start]

    # ---- one life ----

    def live(self, seed):
        rng = random.Random(seed)
        identity = threading.get_ident()
        self.local.value = seed
        VARIABLE.set(seed)
        try:
            for _ in range(rng.randrange(1, 12)):
                action = rng.choice(self.ACTIONS)
                action(self, rng)
                assert self.local.value == seed == VARIABLE.get(), "locals of another"
                assert threading.get_ident() == identity == threading.current_thread().ident
                with self.guard:
                    self.done[action.__name__] += 1
        except BaseException as error:
            self.error = error
        with self.guard:
            self.running -= 1

    def run(self):
        self.running = 8
        for join in [self.random.choice(self.starts)(self.live, self.random.random()) for _ in range(8)]:
            join()
        while self.running:  # those that nobody joins
            time.sleep(0.001)
        for sock in self.pair:
            sock.close()
        if self.error is not None:
            raise self.error
        assert self.inside == [0, 0, 0] and self.depth == 0 and self.queue.empty()
        return self.done


def main():
    seconds = float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    end, programs, total, starts = time.monotonic() + seconds, 0, collections.Counter(), starters()
    while not programs or time.monotonic() < end:
        print("seed", seed, flush=True)
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        total += Program(seed, starts).run()
        faulthandler.cancel_dump_traceback_later()
        programs, seed = programs + 1, seed + 1
    print(programs, "programs:", *(f"{name} {count}" for name, count in sorted(total.items())))


main()
