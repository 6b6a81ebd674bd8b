"""select, poll, epoll and selectors wait as everything else does: for descriptors, with a timeout or without."""
import select
import selectors
import socket

import syncless
from ticker import ticking

if __name__ == "__main__":
    near, far = socket.socketpair()
    poll, epoll, selector = select.poll(), select.epoll(), selectors.DefaultSelector()
    poll.register(near, select.POLLIN)
    epoll.register(near, select.EPOLLIN)
    selector.register(near, selectors.EVENT_READ)
    waits = {"select": lambda seconds: select.select([near], [], [], seconds)[0],
             "poll": lambda seconds: poll.poll(None if seconds is None else seconds * 1000),
             "epoll": epoll.poll, "selectors": selector.select}
    with ticking():
        for name, wait in waits.items():
            nothing = wait(0.2)
            syncless.spawn(lambda: (syncless.sleep(0.2), far.send(b"x")))
            ready = wait(None)
            near.recv(1)
            print(f"{name}: {len(nothing)} after a time, {len(ready)} in the end")
