"""The application of the soak test: the pages of app.py, and other things that requests do."""
import asyncio
import concurrent.futures
import ctypes
import gc
import json
import logging
import os
import queue
import socket
import subprocess
import threading
import time

import app

lock = threading.RLock()


def page_fork():
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def page_subprocess():
    return subprocess.run(["cat"], input="through a pipe", text=True, stdout=subprocess.PIPE).stdout


def page_thread():
    """A real thread puts something into a queue."""
    q = queue.Queue()
    thread = threading.Thread(target=lambda: (time.sleep(0.05), q.put("from a thread")))
    thread.start()
    text = q.get()
    thread.join()
    return text


def page_executor():
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        return str(sum(pool.map(lambda n: time.sleep(0.01) or n, range(10))))


def page_recursion():
    def deeper(n):
        return sorted([2, 1], key=lambda _: deeper(n + 1))
    try:
        deeper(0)
    except RecursionError:
        return "RecursionError"


def page_close():
    """recv waits while another thread shuts the socket down."""
    a, b = socket.socketpair()
    with b:
        thread = threading.Thread(target=lambda: (time.sleep(0.02), a.shutdown(socket.SHUT_RDWR)))
        thread.start()
        with a:
            data = a.recv(1)
            thread.join()
    return repr(data)


def page_lock():
    with lock:
        time.sleep(0.001)
    return "had it"


def page_asyncio():
    async def main():
        return await asyncio.gather(*[asyncio.sleep(0.01, n) for n in range(5)])
    return str(asyncio.run(main()))


def page_names():
    return str(len(socket.getaddrinfo("localhost", "http")) > 0)


def page_garbage():
    """A reference cycle in a frame that waits."""
    box = []
    box.append((box, bytearray(10000)))
    time.sleep(0.002)
    return "garbage"


def page_print():
    logging.getLogger("soak").debug("not logged")
    return "printed"


def page_figures():
    """The numbers of objects, thread states, threads and open descriptors, which must not grow."""
    api = ctypes.pythonapi
    for function in (api.PyInterpreterState_Main, api.PyInterpreterState_ThreadHead, api.PyThreadState_Next):
        function.restype = ctypes.c_void_p
        function.argtypes = [ctypes.c_void_p] * (function is not api.PyInterpreterState_Main)
    gc.collect()
    state, states = api.PyInterpreterState_ThreadHead(api.PyInterpreterState_Main()), 0
    while state:
        states += 1
        state = api.PyThreadState_Next(state)
    return json.dumps({"objects": len(gc.get_objects()), "states": states,
                       "threads": len(os.listdir("/proc/self/task")), "descriptors": len(os.listdir("/proc/self/fd"))})


def stream():
    for _ in range(20):
        time.sleep(0.005)
        yield b"x" * 1000


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stream":
        start_response("200 OK", [])
        return stream()
    if path == "/raise":
        raise KeyError("on purpose")
    if path == "/body":
        start_response("200 OK", [])
        return [str(len(environ["wsgi.input"].read())).encode()]
    if "page" + path.replace("/", "_") not in globals():
        return app.application(environ, start_response)
    start_response("200 OK", [])
    return [globals()["page" + path.replace("/", "_")]().encode()]
