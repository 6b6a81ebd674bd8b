"""How long tests wait, and a loop for conditions that no event announces."""
import inspect
import os
import threading
import time

WRAPPER = os.environ.get("SYNCLESS_WRAPPER", "").split()  # a command to run programs under, such as valgrind
SANITIZED = bool(WRAPPER) or "ASAN_OPTIONS" in os.environ  # by `make asan`: slower, and memory figures mean nothing
TIMEOUT = 40 if SANITIZED else 10  # seconds; for any single step of a test


def wait_until(condition, timeout=TIMEOUT):
    """Poll condition() until it is true; returns that value."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still {value!r} after {timeout} s: {source(condition)}")
        pause.wait(0.005)


def source(function):
    try:
        return inspect.getsource(function).strip()
    except (OSError, TypeError):
        return function
