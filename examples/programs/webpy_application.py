"""A web.py application on Syncless's HTTP server. Needs python3-webpy. Argument: the address."""
import sys
import time

import web

from syncless.wsgi import RunHttpServer


class Index:
    def GET(self):
        return f"Hello, {web.input(name='stranger').name}!\n"


class Sleep:
    def GET(self):
        time.sleep(0.3)
        return "slept\n"


app = web.application(("/", "Index", "/sleep", "Sleep"), globals())

if __name__ == "__main__":
    RunHttpServer(app, *sys.argv[1:2])
