"""`python -m test` with the tests in a second thread: a spawned coroutine under syncless-python, else an OS thread.

Up to CPython 3.12 the coroutine is given a threading.Thread, so that the tests find themselves in a proper thread; in
later ones it is what a bare _thread.start_new_thread would be, in both.
"""
import _thread
import sys
import threading

from test.libregrtest.main import main

try:
    from _syncless import spawn
except ImportError:
    def spawn(function, *args):
        _thread.start_new_thread(function, args)


def start(function):
    original = getattr(threading, "_start_new_thread", None)
    if not original:
        spawn(function)
        return

    def start_new_thread(run, args):
        threading._start_new_thread = original  # threads that the tests make are OS threads
        spawn(run, *args)

    threading._start_new_thread = start_new_thread
    threading.Thread(target=function).start()


def wait():
    """Wait until the tests are over; signals that they send to this process interrupt the main thread."""
    while not over.is_set():
        try:
            over.wait()
        except KeyboardInterrupt:
            pass


def run():
    global code
    try:
        main()
    except SystemExit as end:
        code = end.code
    finally:
        over.set()


if __name__ == "__main__":
    code = 1
    over = threading.Event()
    start(run)
    wait()
    sys.exit(code)
