"""os.fork: parent and child send each other lines of growing length, both at the same time."""
import os
import socket
import sys
import threading

import syncless
from ticker import ticking

LINES = 300


def exchange(sock, who):
    """In the child there are no coroutines, but threads."""
    def send():
        for n in range(LINES):
            sock.sendall(who * n * 50 + b"\n")

    sender = threading.Thread(target=send)
    sender.start()
    file = sock.makefile("rb")
    size = sum(len(file.readline()) for _ in range(LINES))
    sender.join()
    return size


if __name__ == "__main__":
    near, far = socket.socketpair()
    syncless.spawn(syncless.sleep, 60)  # the child must do without it
    pid = os.fork()
    if pid == 0:
        near.close()
        print("child:", exchange(far, b"c"), "bytes", flush=True)
        sys.exit(0)
    far.close()
    with ticking():
        size = exchange(near, b"p")
        status = os.waitpid(pid, 0)[1]
    print("parent:", size, "bytes, status of the child", status)
