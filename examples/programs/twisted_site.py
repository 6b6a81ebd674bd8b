"""A Twisted web site with a ticker, in one thread. Needs python3-twisted. Arguments: port, number of requests."""
import sys
import time

import syncless.reactor
from ticker import ticking

syncless.reactor.install()

from twisted.internet import reactor  # noqa: E402
from twisted.web import resource, server  # noqa: E402


class Page(resource.Resource):
    isLeaf = True
    served = 0

    def render_GET(self, request):
        def finish(text):
            request.write(text)
            request.finish()
            Page.served += 1
            if Page.served == limit:
                reactor.callLater(0.1, reactor.stop)

        syncless.reactor.defer_to_coroutine(self.slow, request.path).addCallback(finish)
        return server.NOT_DONE_YET

    @staticmethod
    def slow(path):
        time.sleep(0.2)  # on a coroutine: the reactor goes on
        return b"Hello from Twisted, " + path + b"!\n"


if __name__ == "__main__":
    port, limit = (int(word) for word in (sys.argv[1:] + ["8080", "0"][len(sys.argv) - 1:])[:2])
    site = reactor.listenTCP(port, server.Site(Page()), interface="127.0.0.1")
    print("twisted at port", site.getHost().port, flush=True)
    with ticking():
        reactor.run()
    print("served", Page.served)
