"""Calls of libc that wait for something else than a socket: FIFOs, message queues, semaphores of other processes,
lingering sockets, C streams, DNS replies."""
from harness import same, wheels

FIFO = '''
import os, shutil, tempfile, time


def scene():
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "fifo")
    os.mkfifo(path)
    results = []

    def read(i):
        with open(path) as file:
            return file.read()

    def write(text):
        time.sleep(0.05)
        with open(path, "w") as file:
            file.write(text)
        return len(text)

    def read_raw():
        fd = os.open(path, os.O_RDONLY)
        try:
            return os.read(fd, 100).decode()
        finally:
            os.close(fd)

    def write_raw():
        time.sleep(0.05)
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, b"raw")
        os.close(fd)

    try:
        results.append(together(lambda: read(0), lambda: write("hello")))
        results.append(together(lambda: write("late reader"), lambda: (time.sleep(0.1), read(0))[1]))
        results.append(together(read_raw, write_raw))
        results.append(beats(lambda: together(lambda: read(0), lambda: (time.sleep(0.1), write("x")))) > 5)
    finally:
        shutil.rmtree(folder)
    return results
'''


def test_fifo(daemon):
    assert same(daemon, FIFO) == [["hello", 5], [11, "late reader"], ["raw", None], True]


LINGER = '''
import socket, struct, time


def scene():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client = socket.create_connection(listener.getsockname())
    peer = listener.accept()[0]
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 1))
    client.setblocking(False)
    try:
        while True:
            client.send(b"x" * 65536)
    except BlockingIOError:
        pass
    began = time.monotonic()
    went_on = beats(client.close)
    took = time.monotonic() - began
    peer.close()
    listener.close()
    return went_on > 20, 0.9 < took < 5
'''


def test_linger(daemon):
    """A socket whose peer does not read is closed after a second; meanwhile the others go on."""
    assert same(daemon, LINGER, requests=1) == [True, True]


POSIX_IPC = '''
import os, time
import posix_ipc


def scene():
    name = f"/syncless-{os.getpid()}-{time.monotonic_ns()}"
    queue = posix_ipc.MessageQueue(name, posix_ipc.O_CREX, max_messages=2, max_message_size=64)
    semaphore = posix_ipc.Semaphore(name, posix_ipc.O_CREX)
    received = []

    def receive():
        for i in range(8):
            received.append(queue.receive()[0].decode())
        return len(received)

    def send():
        for i in range(8):
            time.sleep(0.01 if i < 4 else 0)
            queue.send(str(i))

    def expect_nothing():
        try:
            queue.receive(0.1)
        except posix_ipc.BusyError:
            return "busy"

    try:
        return [together(receive, send), received, together(expect_nothing),
                together(semaphore.acquire, lambda: (time.sleep(0.05), semaphore.release())[1]),
                beats(expect_nothing) > 5]
    finally:
        queue.unlink()
        queue.close()
        semaphore.unlink()
        semaphore.close()
'''


def test_posix_ipc(daemon):
    assert same(daemon, POSIX_IPC, wheels("posix-ipc"))[1] == list("01234567")


SYSV_IPC = '''
import time
import sysv_ipc


def scene():
    queue = sysv_ipc.MessageQueue(None, sysv_ipc.IPC_CREX)
    semaphore = sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX)

    def receive():
        return [queue.receive()[0].decode() for i in range(3)]

    def send():
        for text in "abc":
            time.sleep(0.02)
            queue.send(text)

    def acquire():
        semaphore.acquire()
        return True

    def release():
        time.sleep(0.05)
        semaphore.release()

    try:
        return [together(receive, send), together(acquire, release),
                beats(lambda: together(acquire, lambda: (time.sleep(0.1), release()))) > 5]
    finally:
        queue.remove()
        semaphore.remove()
'''


def test_sysv_ipc(daemon):
    assert same(daemon, SYSV_IPC, wheels("sysv-ipc"))[0] == [["a", "b", "c"], None]


STREAMS = '''
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
libc.fdopen.restype = ctypes.c_void_p
for name, types in {"getline": [ctypes.c_void_p] * 3, "fclose": [ctypes.c_void_p],
                    "fdopen": [ctypes.c_int, ctypes.c_char_p],
                    "fread": [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p],
                    "fputs": [ctypes.c_char_p, ctypes.c_void_p], "fflush": [ctypes.c_void_p],
                    "fscanf": [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]}.items():
    getattr(libc, name).argtypes = types


def scene():
    def read_all(end):
        file = libc.fdopen(end, b"r")
        line, size, number = ctypes.c_char_p(), ctypes.c_size_t(), ctypes.c_int()
        results = [libc.getline(ctypes.byref(line), ctypes.byref(size), file), line.value.decode()]
        results += [libc.fscanf(file, b"%d", ctypes.byref(number)), number.value]
        block = ctypes.create_string_buffer(64)
        results += [libc.fread(block, 1, 64, file), block.value.decode()]
        libc.fclose(file)
        return results

    def write_all(end):
        for piece in b"a li", b"ne\\n 12", b"34 re", b"st":
            time.sleep(0.02)
            os.write(end, piece)
        os.close(end)

    def print_all(end):
        file = libc.fdopen(end, b"w")
        for i in range(100):
            libc.fputs(b"x" * 2000 + b"\\n", file)
        return libc.fflush(file), libc.fclose(file)

    def take_all(end):
        time.sleep(0.1)
        with open(end, "rb") as file:
            return len(file.read())

    first, second = os.pipe(), os.pipe()
    return [together(lambda: read_all(first[0]), lambda: write_all(first[1])),
            together(lambda: print_all(second[1]), lambda: take_all(second[0]))]
'''


def test_streams(daemon):
    assert same(daemon, STREAMS) == [[[7, "a line\n", 1, 1234, 5, " rest"], None], [[0, 0], 200100]]


USERS = '''
import grp, os, pwd, socket


def scene():
    def look():
        return [pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name, pwd.getpwnam("root").pw_uid, len(pwd.getpwall()),
                len(grp.getgrall()), 0 in os.getgrouplist("root", 0), socket.getservbyname("http", "tcp")]

    return together(*[look] * 5)
'''


def test_users(daemon):
    same(daemon, USERS)
