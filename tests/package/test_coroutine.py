"""spawn, Coroutine, current, coroutines, and the end of the program."""
from scripts import script


def test_values_and_errors(script):
    log = []
    out = script("""
        def work(a, b=0):
            sleep(0.01)
            return a + b
        def fail():
            raise KeyError("why")
        good, bad = spawn(work, 1, b=2), spawn(fail)
        print(good.alive, good.value, good.join(), good.alive, good.value, good.get(), good.exception)
        print(bad.join(), bad.value, repr(bad.exception))
        try:
            bad.get()
        except KeyError as error:
            print("raised", error)
        """, stderr=log)
    assert out == "True None True False 3 3 None\nTrue None KeyError('why')\nraised 'why'\n"
    assert log[0].startswith("coroutine fail-2 failed\nTraceback") and log[0].rstrip().endswith("KeyError: 'why'")


def test_an_os_thread_may_list_coroutines_that_begin_and_end(script):
    """The list is changed without the GIL, so it has a lock; and a coroutine about to end has no thread state."""
    out = script("""
        import _thread
        listing, done = [], threading.Event()
        def look():
            while not done.is_set():
                listing.append(coroutines() is not None)
        sys.setswitchinterval(1e-5)
        _thread.start_new_thread(look, ())
        ended = []
        for _ in range(200):
            for _ in range(50):
                spawn(ended.append, 1)
            yield_now()
            time.sleep(0)
        print(len(ended), len(listing) > 10)
        done.set()
        """)
    assert out == "10000 True\n"


def test_what_has_ended_is_never_alive_again(script):
    """Not while others join it, either: join() must not take what alive looks at."""
    assert script("""
        sys.setswitchinterval(1e-6)
        co = spawn(int)
        co.join()
        joined = []
        def joins():
            while not done:
                joined.append(co.join(0))
        done = False
        threads = [threading.Thread(target=joins) for _ in range(4)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 0.5
        alive = 0
        while time.monotonic() < end:
            alive += co.alive
        done = True
        for thread in threads:
            thread.join()
        print(alive, all(joined), len(joined) > 100)
        """) == "0 True True\n"


def test_bad_input(script):
    out = script("""
        def attempt(function, *args, **kwargs):
            try:
                print(function(*args, **kwargs))
            except Exception as error:
                print(type(error).__name__, error)
        attempt(spawn)
        attempt(spawn, 5)
        ended = spawn(int)
        ended.join()
        ended.name = "x"
        attempt(ended.kill)
        waiting = spawn(sleep, 9)
        attempt(waiting.kill, 5)
        attempt(waiting.join, -1)
        attempt(waiting.get, 0.01)
        attempt(current().join)
        attempt(lambda: spawn(lambda: current().join()).get())
        thread = threading.Thread(target=attempt, args=(current,))
        thread.start()
        thread.join()
        """, stderr=[])
    assert out.splitlines() == [
        "TypeError spawn() missing 1 required positional argument: 'function'",
        "TypeError the first argument of spawn() must be callable, not 5",
        "RuntimeError coroutine x has ended, it cannot be killed",
        "TypeError expected an exception, not 5",
        "ValueError timeout must not be negative: -1",
        "TimeoutError coroutine sleep-2 has not ended within 0.01 s",
        "RuntimeError only a coroutine made by spawn() can be waited for, and main was not",
        "RuntimeError coroutine <lambda>.<locals>.<lambda>-3 cannot wait for its own end",
        "RuntimeError this is not a coroutine but an OS thread (or a forked child)"]


def test_kill_ends_any_wait(script):
    out = script("""
        import queue, select, subprocess
        near, far = socket.socketpair()
        waits = [lambda: time.sleep(60), lambda: near.recv(1), threading.Event().wait, queue.Queue().get,
                 lambda: select.select([near], [], []), lambda: subprocess.run(["sleep", "60"]),
                  Channel().receive, Queue().get,
                 lambda: near.makefile().readline(), lambda: spawn(sleep, 60).join()]
        began = time.monotonic()
        killed = [spawn(wait) for wait in waits]
        sleep(0.1)
        for co in killed:
            co.kill()
        for co in killed:
            assert co.join(5), co
            print(type(co.exception).__name__, end=" ")
        print(time.monotonic() - began < 5)
        """)
    assert out == "Killed " * 10 + "True\n"


def test_kill_before_it_begins_from_a_thread_and_of_oneself(script):
    out = script("""
        early = spawn(print, "never")
        early.kill()
        print(early.join(), repr(early.exception))
        late = spawn(sleep, 60)
        yield_now()
        thread = threading.Thread(target=late.kill, args=(ValueError("from a thread"),))
        thread.start()
        print(late.join(5), repr(late.exception))
        own = spawn(lambda: current().kill())
        print(own.join(5), type(own.exception).__name__)
        """)
    assert out == "True Killed('coroutine print-1 was killed')\nTrue ValueError('from a thread')\nTrue Killed\n"


def test_a_thousand_killed_at_once(script):
    out = script("""
        ends = []
        def work():
            try:
                sleep(60)
            finally:
                sleep(0.01)
                ends.append(1)
        all = [spawn(work) for _ in range(1000)]
        sleep(0.1)
        for co in all:
            co.kill()
        for co in all:
            co.join()
        print(len(ends), len(coroutines()) < 5)
        """)
    assert out == "1000 True\n"


def test_finally_blocks_run_at_the_end(script):
    """Nothing hangs, however the program ends, and even if a coroutine does not end."""
    source = """
        def work():
            try:
                sleep(60)
            except Exception:
                print("not this")
            finally:
                sleep(0.01)
                print("finally", flush=True)
        def stubborn():
            while True:
                try:
                    sleep(60)
                except BaseException:
                    pass
        began = time.monotonic()
        spawn(work)
        if "stubborn" in sys.argv:
            spawn(stubborn)
        sleep(0.01)
        if "exit" in sys.argv:
            sys.exit(0)
        """
    for arguments in [], ["exit"], ["stubborn"]:
        assert script(source, *arguments) == "finally\n"


def test_current_and_coroutines(script):
    out = script("""
        def outer():
            inner()
        def inner():
            sleep(60)
        co = spawn(outer)
        co.name = "sleeper"
        yield_now()
        print(current().name, current() is current(), co in coroutines(), current() in coroutines())
        print([frame.name for frame in co.stack()][-3:], co, spawn(lambda: current().name).get())
        co.kill()
        co.join()
        print(co not in coroutines(), co.stack(), co)
        """)
    assert out == ("main True True True\n['outer', 'inner', 'sleep'] <Coroutine sleeper> <lambda>-2\n"
                   "True [] <Coroutine sleeper, ended>\n")


def test_fair_turns(script):
    """The original's schedule_test: a round robin, with and without a file that is idle."""
    out = script("""
        near, far = socket.socketpair()
        for idle in False, True:
            order = []
            reader = spawn(near.recv, 1) if idle else None
            def work(name):
                for _ in range(4):
                    order.append(name)
                    yield_now()
            for co in [spawn(work, name) for name in "ABC"]:
                co.join()
            print("".join(order))
        """)
    assert out == "ABCABCABCABC\n" * 2


def test_sleep(script):
    """The original's sleep_test: zero and less return at once, and an exception ends it."""
    out = script("""
        began = time.monotonic()
        sleep(0), sleep(-5)
        print(time.monotonic() - began < 0.1)
        co = spawn(sleep, 60)
        yield_now()
        co.kill(ValueError("bomb"))
        co.join()
        print(repr(co.exception))
        """)
    assert out == "True\nValueError('bomb')\n"


def test_forked_child(script):
    """The original's fork_reinit_test: parent and child exchange long lines both ways, and both end well."""
    out = script("""
        import os
        near, far = socket.socketpair()
        spawn(sleep, 60)
        yield_now()
        def exchange(sock, wait):
            with sock.makefile("rwb") as file:
                def send():
                    for n in range(200):
                        file.write(b"%d" % n * 10000 + b"\\n")
                        file.flush()
                sender = threading.Thread(target=send)
                sender.start()
                count = sum(len(file.readline()) for _ in range(200))
                sender.join()
                return count
        pid = os.fork()
        if pid == 0:
            try:
                spawn(int)
            except RuntimeError as error:
                assert "forked" in str(error)
            sys.exit(0 if exchange(far, None) == 4900200 else 1)
        print(exchange(near, None), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """)
    assert out == "4900200 0\n"


def test_resumed_by_others_signals(script):
    """A signal of the program and an interrupt at the same time: both are handled."""
    out = script("""
        import os, signal
        heard = []
        signal.signal(signal.SIGUSR1, lambda *_: heard.append("signal"))
        victims = [spawn(sleep, 60) for _ in range(20)]
        sleep(0.01)
        for co in victims:
            co.kill()
            os.kill(os.getpid(), signal.SIGUSR1)
        print(all(co.join(5) for co in victims), set(heard))
        """)
    assert out == "True {'signal'}\n"


def test_current_in_the_last_moment(script):
    """Objects that a coroutine leaves behind are freed at its end, and may ask for the coroutine: it has ended then."""
    out = script("""
        kept = []
        class Curious:
            def __del__(self):
                kept.append(syncless.current())
        for _ in range(2):
            spawn(Curious)
            sleep(0.01)
        print(len(kept), [co.alive for co in kept], kept[0] is kept[1])
        try:
            kept[0].kill()
        except RuntimeError as error:
            print("has ended" in str(error))
        """)
    assert out == "2 [False, False] False\nTrue\n"


def test_killed_by_an_exception_that_is_false(script):
    out = script("""
        class Empty(Exception):
            def __len__(self):
                return 0
        co = spawn(print, "it has run")
        co.kill(Empty())
        co.join()
        print(type(co.exception))
        """)
    assert out == "<class '__main__.Empty'>\n"


def test_the_clock_of_timeouts_is_nobodys_business(script):
    """The clock is a coroutine too, but killing it would stop all Timeouts."""
    out = script("""
        def expires():
            with Timeout(0.05, False) as limit:
                sleep(5)
            return limit.expired
        waiting = spawn(expires)
        sleep(0.01)
        print(coroutines() == [waiting, current()] or coroutines() == [current(), waiting])
        print(waiting.get())
        """)
    assert out == "True\nTrue\n"


def test_killed_when_garbage_is_to_be_collected(script):
    """From CPython 3.12 on a wait may collect garbage before it raises. No callback swallows the exception."""
    out = script("""
        import gc, weakref
        class Node:
            pass
        def make_garbage():
            for _ in range(20):
                node = Node()
                node.itself = node
                kept.append(weakref.ref(node, lambda ref: None))
        kept = []
        gc.set_threshold(10)
        enable, wait = gc.enable, time.sleep
        def work():
            gc.disable()
            make_garbage()
            enable()
            wait(*{0.3})            # makes objects, so a collection is due, and waits
        for _ in range(3):
            co = spawn(work)
            wait(0.01)
            gc.disable()
            make_garbage()
            kill, killed = co._handle.interrupt, Killed()
            kill(killed)
            enable()
            wait(*{0.01})
            co.join()
            print(type(co.exception).__name__)
        """)
    assert out == "Killed\nKilled\nKilled\n"
