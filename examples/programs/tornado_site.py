"""An unmodified Tornado site on a coroutine, with a ticker. Needs python3-tornado. Arguments: port, number of
requests."""
import asyncio
import sys

import tornado.web

import syncless
from ticker import ticking


class Page(tornado.web.RequestHandler):
    served = 0

    async def get(self):
        await asyncio.sleep(0.2)
        self.write("Hello from Tornado!\n")
        Page.served += 1
        if Page.served == limit:
            asyncio.get_running_loop().call_later(0.1, over.set)


async def serve(port):
    global over
    over = asyncio.Event()
    server = tornado.web.Application([("/", Page)]).listen(port, "127.0.0.1")
    print("tornado at port", next(iter(server._sockets.values())).getsockname()[1], flush=True)
    await over.wait()


if __name__ == "__main__":
    port, limit = (int(word) for word in (sys.argv[1:] + ["8080", "0"][len(sys.argv) - 1:])[:2])
    with ticking():
        syncless.spawn(asyncio.run, serve(port)).join()
    print("served", Page.served)
