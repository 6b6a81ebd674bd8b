"""syncless-python --coroutine-threads: threads are coroutines, and behave as OS threads do."""
import textwrap

import pytest

from scripted import SANITIZED, python, script


@pytest.fixture
def both(python):
    """Run a script with OS threads and with coroutines. It must do the same; return what it printed."""
    def run(source):
        outcomes = []
        for options in [], ["--coroutine-threads"]:
            done = python(*options, "-W", "ignore", "-c", textwrap.dedent(source), leaks=False)
            outcomes.append((done.returncode, done.stdout, done.stderr))
        assert outcomes[0] == outcomes[1]
        return outcomes[1][1]

    return run


def test_5000_threads_in_one_os_thread(python):
    done = python("--coroutine-threads", "-c", textwrap.dedent("""
        import os, threading
        together = threading.Barrier(5001)
        local = threading.local()
        def work(n):
            local.n = n
            assert threading.get_ident() == threading.current_thread().ident
            together.wait()
            together.wait()
            assert local.n == n
        threads = [threading.Thread(target=work, args=(n,)) for n in range(5000)]
        for thread in threads:
            thread.start()
        together.wait()
        print(threading.active_count(), len(os.listdir("/proc/self/task")) < 10)  # the watcher, and a pool for files
        print(len({thread.ident for thread in threads}), len({thread.native_id for thread in threads}))
        together.wait()
        for thread in threads:
            thread.join()
        print(threading.active_count())
        """))
    assert (done.stderr, done.stdout) == ("", "5001 True\n5000 5000\n1\n")


@pytest.mark.skipif(SANITIZED, reason="AddressSanitizer has mappings of its own")
def test_stack_sizes(python):
    """Each is a mapping of that size, guard and 20 KiB for CPython's frames apart, and is gone after the thread."""
    done = python("--coroutine-threads", "-c", textwrap.dedent("""
        import re, threading, time
        def mapped(size):
            ranges = re.findall(r"^(\\w+)-(\\w+) rw-p 0+ 00:00 0 *$", open("/proc/self/maps").read(), re.M)
            sizes = [int(end, 16) - int(start, 16) for start, end in ranges]
            return sum(0 <= each - size <= 20 << 10 for each in sizes)
        for size in 256 << 10, 1 << 20, 33 << 20:
            threading.stack_size(size)
            before = mapped(size)
            threads = [threading.Thread(target=time.sleep, args=(0.1,)) for _ in range(10)]
            for thread in threads:
                thread.start()
            print(mapped(size) - before >= 10)
            for thread in threads:
                thread.join()
            end = time.monotonic() + 20
            while mapped(size) > before and time.monotonic() < end:
                time.sleep(0.05)
            print(mapped(size) <= before)
        """))
    assert (done.stderr, done.stdout) == ("", "True\n" * 6)


def test_recursion_ends_by_an_error(both):
    """With a small stack, a usual and a large one."""
    out = both("""
        import threading
        def deep(n=0):
            return deep(n + 1)
        def recurse():
            try:
                deep()
            except RecursionError:
                print("RecursionError")
        for size in 1 << 20, 0, 64 << 20:
            threading.stack_size(size)
            thread = threading.Thread(target=recurse)
            thread.start()
            thread.join()
        """)
    assert out == "RecursionError\n" * 3


def test_exceptions_locals_and_exit(both):
    out = both("""
        import sys, threading, time
        threading.excepthook = lambda raised: print(raised.exc_type.__name__, raised.thread.name)
        class Value:
            def __del__(self):
                print("freed")
        local = threading.local()
        def keep():
            local.value = Value()
        for name, function in ("fails", lambda: 1 / 0), ("exits", lambda: sys.exit(3)), ("keeps", keep):
            thread = threading.Thread(target=function, name=name)
            thread.start()
            thread.join()
        end = time.monotonic() + 10
        while threading.active_count() > 1 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        """)
    assert out == "ZeroDivisionError fails\nSystemExit exits\nfreed\n"


def test_join_and_timeouts(both):
    out = both("""
        import threading
        lock = threading.Lock()
        lock.acquire()
        thread = threading.Thread(target=lock.acquire)
        thread.start()
        thread.join(0.05)
        print(thread.is_alive())
        lock.release()
        thread.join()
        print(thread.is_alive())
        other = threading.Thread(target=lambda: print(lock.acquire(timeout=0.05)))
        other.start()
        other.join()
        other.join()
        try:
            threading.current_thread().join()
        except RuntimeError as error:
            print(error)
        """)
    assert out == "True\nFalse\nFalse\ncannot join current thread\n"


def test_the_end_waits_for_threads_but_not_for_daemons(both):
    out = both("""
        import atexit, threading, time
        atexit.register(print, "atexit")
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()
        print("main")
        """)
    assert out == "main\nthread\natexit\n"


def test_signals_go_to_the_main_thread(both):
    out = both("""
        import os, signal, threading, time
        seen = []
        signal.signal(signal.SIGUSR1, lambda *_: seen.append(threading.current_thread().name))
        def send():
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.05)
        thread = threading.Thread(target=send)
        thread.start()
        thread.join()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        print(seen)
        """)
    assert out == "['MainThread', 'MainThread']\n"


def test_fork_in_a_thread(both):
    """It is the main thread of the child, and starts threads there."""
    out = both("""
        import os, threading
        def fork():
            pid = os.fork()
            if pid == 0:
                print(threading.active_count(), threading.main_thread() is threading.current_thread(), flush=True)
                thread = threading.Thread(target=print, args=("of the child",), kwargs={"flush": True})
                thread.start()
                thread.join()
                os._exit(0)
            print("ended", os.waitpid(pid, 0)[1])
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
        """)
    assert out == "1 True\nof the child\nended 0\n"


def test_pools_of_concurrent_futures(both):
    out = both("""
        import concurrent.futures, threading, time
        together = threading.Barrier(50)
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            print(len(set(pool.map(lambda n: together.wait(), range(50)))))
            print(sum(pool.map(lambda n: time.sleep(0.001) or n, range(1000))))
        """)
    assert out == "50\n499500\n"


def test_without_the_option_threads_are_real(script):
    assert script("""
        import os, threading
        event = threading.Event()
        thread = threading.Thread(target=event.wait)
        thread.start()
        print(len(os.listdir("/proc/self/task")) >= 2)
        event.set()
        """) == "True\n"


def test_threads_that_compute_are_preempted(both):
    """Neither ever waits, so the second one must stop the first, and the main thread must get a turn meanwhile."""
    assert both("""
        import threading, time
        running, counts = True, [0, 0]
        def compute(n):
            while running:
                counts[n] += 1
        threads = [threading.Thread(target=compute, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            time.sleep(0.001)
        end = time.monotonic() + 20
        while not min(counts) and time.monotonic() < end:
            time.sleep(0.01)
        running = False
        for thread in threads:
            thread.join()
        print(min(counts) > 0)
        """) == "True\n"


def test_children_of_threads_end(both):
    """By os._exit, by returning from the thread, by sys.exit and with a thread or a child of their own."""
    assert both("""
        import os, sys, threading, time
        os.fsync(os.open(sys.executable, os.O_RDONLY)) # in a pool of threads
        def start():
            thread = threading.Thread(target=time.sleep, args=(0.001,))
            thread.start()
            return thread
        def fork(*rest):
            pid = os.fork()
            if pid == 0:
                return rest[0](*rest[1:])
            codes.add(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        codes, me = set(), os.getpid()
        def join():
            start().join()
            os._exit(0)
        ends = [(os._exit, 0), (int,), (sys.exit, 3), (start,), (join,), (fork, os._exit, 0), (fork, int)]
        for _ in range(10):
            for end in ends:
                thread = threading.Thread(target=fork, args=end)
                thread.start()
                thread.join()
        print(codes, os.getpid() == me)
        """) == "{0} True\n"


def test_faulthandler_looks_at_threads_that_are_stuck(python):
    """Its own thread is one of the system: it must run while C code keeps the GIL, here the matching of a regex."""
    done = python("--coroutine-threads", "-c", textwrap.dedent("""
        import faulthandler, re, signal, threading
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        faulthandler.dump_traceback_later(0.05)
        thread = threading.Thread(target=re.match, args=("(a?){24}a{24}$", "a" * 23 + "b" + "a" * 3000))
        thread.start()
        thread.join()
        faulthandler.cancel_dump_traceback_later()
        print(signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask)
        """))
    assert done.stdout == "True\n" and "Timeout (0:00:00.050000)!" in done.stderr


def test_thread_pool_of_the_package_has_threads_of_the_system(python):
    done = python("--coroutine-threads", "-c", textwrap.dedent("""
        import os, syncless, threading
        identity = syncless.ThreadPool(1)(threading.get_native_id)
        print(str(identity) in os.listdir("/proc/self/task"), identity != os.getpid())
        """))
    assert (done.stdout, done.stderr) == ("True True\n", "")
