"""`python -m test` with the tests in a second thread: a spawned coroutine under syncless-python, an OS thread elsewhere."""
import sys
import threading

from test.libregrtest import main


def start(function):
    try:
        import _syncless
    except ImportError:
        threading.Thread(target=function).start()
    else:
        _syncless.spawn(function)


def run():
    global code
    try:
        main()
    except SystemExit as end:
        code = end.code
    finally:
        over.release()


if __name__ == "__main__":
    code = 1
    over = threading.Lock()
    over.acquire()
    start(run)
    over.acquire()
    sys.exit(code)
