"""Timeout and timeout_call."""
from scripts import script


def test_ends_any_wait(script):
    out = script("""
        import subprocess
        near, far = socket.socketpair()
        def work():
            for wait in (lambda: time.sleep(60), lambda: near.recv(1), threading.Event().wait, Channel().receive,
                         lambda: subprocess.run(["sleep", "60"]), lambda: run_in_thread(time.sleep, 1)):
                began = time.monotonic()
                try:
                    with Timeout(0.05) as limit:
                        wait()
                except Exception:
                    print("not this")
                except Timeout as raised:
                    assert raised is limit and limit.expired and 0.04 < time.monotonic() - began < 0.9
                    print(raised, end=", ")
        work()              # on the main coroutine
        spawn(work).get()
        """)
    assert out == "timed out after 0.05 s, " * 12


def test_raised_once(script):
    """Code that catches it gets no second one, nor does code after the block."""
    out = script("""
        with Timeout(0.02) as limit:
            try:
                time.sleep(60)
            except Timeout:
                print("raised")
            time.sleep(0.05)
        time.sleep(0.05)
        print(limit.expired)
        """)
    assert out == "raised\nTrue\n"


def test_not_raised(script):
    out = script("""
        with Timeout(0.02) as limit:
            pass
        with Timeout(0.02) as cancelled:
            print(cancelled.cancel())
            time.sleep(0.05)
        with Timeout(None):
            time.sleep(0.05)
        with Timeout(0.01) as computing:        # nothing is ended that does not wait
            end = time.monotonic() + 0.03
            while time.monotonic() < end:
                pass
        yield_now()
        time.sleep(0.05)
        print(limit.expired, cancelled.expired)
        """)
    assert out == "True\nFalse False\n"


def test_expires_while_it_is_cancelled(script):
    """The clock may preempt the coroutine anywhere: either the exception is raised, or cancel() takes it back."""
    script("""
        def compute(steps):
            for n in range(steps):
                pass

        end, n = time.monotonic() + 1, 0
        while time.monotonic() < end:
            n += 1
            with Timeout(0.001), Timeout(0.0015), Timeout(60):
                compute(n % 500 * 100)
        time.sleep(0.01)                                   # nothing is left
        """, env={"SYNCLESS_TIME_SLICE": "1ms"})


def test_own_exceptions(script):
    out = script("""
        for exc in ValueError, ValueError("mine"), TimeoutError:
            try:
                with Timeout(0.01, exc):
                    time.sleep(60)
            except (ValueError, TimeoutError) as error:
                print(repr(error))
        with Timeout(0.01, False) as limit:
            time.sleep(60)
        print(limit.expired)
        """)
    assert out == "ValueError()\nValueError('mine')\nTimeoutError()\nTrue\n"


def test_change(script):
    out = script("""
        began = time.monotonic()
        with Timeout(60, False) as limit:
            limit.change(0.02)
            time.sleep(60)
        with Timeout(0.01) as limit:
            limit.change(60)
            time.sleep(0.05)
            limit.change(None)
            time.sleep(0.05)
        try:
            limit.change(1)
        except RuntimeError as error:
            print(error)
        print(time.monotonic() - began < 5)
        """)
    assert out == "this Timeout is not active\nTrue\n"


def test_nesting(script):
    """Inner before outer, outer before inner, and both at once."""
    out = script("""
        def nested(outer, inner):
            began = []
            try:
                with Timeout(outer) as first:
                    try:
                        with Timeout(inner) as second:
                            time.sleep(60)
                    except Timeout as raised:
                        began.append("inner" if raised is second else "outer")
                        if raised is first:
                            raise
                    time.sleep(60)
            except Timeout as raised:
                began.append("inner" if raised is second else "outer")
            time.sleep(0.15)
            return began
        print(nested(0.2, 0.02), nested(0.02, 0.2), nested(0.02, 0.02))
        print(spawn(nested, 0.2, 0.02).get(), spawn(nested, 0.02, 0.2).get(), spawn(nested, 0.02, 0.02).get())
        """)
    line = "['inner', 'outer'] ['outer', 'outer'] ['outer', 'outer']\n"
    assert out == line * 2


def test_bad_input(script):
    out = script("""
        for args in (-1,), (float("nan"),), (float("inf"),), (1e30,), ("5",), (True,), (1, 5), (1, True):
            try:
                Timeout(*args)
            except (TypeError, ValueError, OverflowError) as error:
                print(type(error).__name__, error)
        def in_thread():
            try:
                with Timeout(1):
                    print("entered")
            except RuntimeError as error:
                print(error)
        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
        with Timeout(60) as limit:
            try:
                limit.start()
            except RuntimeError as error:
                print(error)
        """)
    assert out.splitlines() == [
        "ValueError a timeout must not be negative: -1", "ValueError a timeout must not be negative: nan",
        "OverflowError a timeout of inf seconds is too long; use None for no timeout",
        "OverflowError a timeout of 1e+30 seconds is too long; use None for no timeout",
        "TypeError a timeout is a number of seconds or None, not '5'",
        "TypeError a timeout is a number of seconds or None, not True",
        "TypeError exc must be an exception, its class, None or False, not 5",
        "TypeError exc must be an exception, its class, None or False, not True",
        "Timeout works on coroutines only; this is an OS thread (or a forked child)",
        "this Timeout was started already; make one for each block"]


def test_timeout_call(script):
    out = script("""
        print(timeout_call(5, int, "7"), timeout_call(0.01, time.sleep, 60, default="late"))
        try:
            timeout_call(0.01, time.sleep, 60)
        except Timeout as raised:
            print(raised)
        """)
    assert out == "7 late\ntimed out after 0.01 s\n"


def test_c_code_that_goes_on_after_eintr(script):
    """A library in C may try again after EINTR. ECANCELED ends its wait then, and Timeout replaces its exception."""
    out = script("""
        import os
        def work():
            began = time.monotonic()
            try:
                with Timeout(0.05):
                    os.system("exec sleep 5")
            except Timeout as raised:
                print(raised, time.monotonic() - began < 2)
        work()
        spawn(work).get()
        """)
    assert out == "timed out after 0.05 s True\n" * 2


def test_ten_thousand(script):
    """Stopped timers do not stay until their time has come."""
    out = script("""
        import syncless.clock
        for _ in range(10000):
            with Timeout(3600):
                pass
        print(len(syncless.clock._clock.heap) < 300)
        def work(n):
            with Timeout(0.3, False) as limit:
                time.sleep(60)
            return limit.expired
        began = time.monotonic()
        all = [spawn(work, n) for n in range(2000)]
        print(all[0].get() and sum(co.get() for co in all), time.monotonic() - began < 10)
        """)
    assert out == "True\n2000 True\n"


def test_a_class_that_needs_arguments(script):
    """If making the exception fails, that error leaves the block, and other Timeouts still work."""
    out = script("""
        class Picky(Exception):
            def __init__(self, needed):
                pass
        def other():
            with Timeout(0.05, False) as limit:
                sleep(5)
            print("the other:", limit.expired)
        other = spawn(other)
        try:
            with Timeout(0.01, Picky):
                sleep(5)
        except TypeError as error:
            print("needed" in str(error))
        other.join(3)
        """)
    assert out == "True\nthe other: True\n"


def test_ctrl_c_at_the_same_time(script):
    """KeyboardInterrupt is raised first, and is not replaced by the Timeout in the code that handles it."""
    out = script("""
        import os, signal, syncless.clock
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def both(limit, first):
            if not first:
                limit._expire()
            os.kill(os.getpid(), signal.SIGINT)
            if first:
                limit._expire()
        for first in True, False:
            try:
                with Timeout(60) as limit:
                    syncless.clock.call_later(0.02, lambda: both(limit, first))
                    try:
                        time.sleep(60)
                    finally:
                        len([n for n in range(10)])
            except BaseException as raised:
                print(repr(raised), limit.expired)
            time.sleep(0.02)
        """)
    assert out == "KeyboardInterrupt() True\n" * 2


def test_c_code_that_returns_after_eintr(script):
    """The exception is raised before any more code runs, which would have the main thread's identity."""
    out = script("""
        import ctypes, errno
        poll = ctypes.CDLL(None, use_errno=True).poll
        lock = threading.RLock()
        def work():
            try:
                with Timeout(0.02):
                    try:
                        if poll(None, 0, 60000) < 0:
                            raise OSError(ctypes.get_errno())
                    except OSError:
                        with lock:
                            time.sleep(0.1)
            except Timeout as raised:
                print(raised)
        spawn(work).get()
        print(lock.acquire(timeout=0.1))
        """)
    assert out == "timed out after 0.02 s\nTrue\n"
