"""Servers that are started from Python, without logs: `serve.py gevent|eventlet|cheroot|twisted PORT
module:callable`."""
import importlib
import sys

server, port, spec = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if server == "gevent":
    import gevent.monkey
    gevent.monkey.patch_all()
elif server == "eventlet":
    import eventlet
    eventlet.monkey_patch()


def load():
    module, name = spec.split(":")
    return getattr(importlib.import_module(module), name)


def serve_gevent():
    import gevent.pywsgi
    import gevent.server

    class Handler(gevent.pywsgi.WSGIHandler):
        """With TCP_NODELAY, since head and body are sent separately and the body would wait 40 ms for an ACK."""
        def __init__(self, sock, *args, **options):
            import socket
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            super().__init__(sock, *args, **options)

    gevent.pywsgi.WSGIServer(("127.0.0.1", port), load(), log=None, backlog=4096, handler_class=Handler).serve_forever()


def serve_eventlet():
    import eventlet.wsgi
    eventlet.wsgi.server(eventlet.listen(("127.0.0.1", port), backlog=4096), load(), log_output=False, max_size=20000)


def serve_cheroot():
    import cheroot.wsgi
    cheroot.wsgi.Server(("127.0.0.1", port), load(), numthreads=10, request_queue_size=4096).start()


def serve_twisted():
    from twisted.internet import reactor
    from twisted.web import server as web, wsgi
    reactor.suggestThreadPoolSize(10)
    site = web.Site(wsgi.WSGIResource(reactor, reactor.getThreadPool(), load()))
    site.log = lambda request: None
    reactor.listenTCP(port, site, backlog=4096, interface="127.0.0.1")
    reactor.run()


globals()["serve_" + server]()
