"""A CherryPy class on Syncless's HTTP server. Needs python3-cherrypy3. Argument: the address."""
import sys
import time

import cherrypy

from syncless.wsgi import RunHttpServer


class Root:
    @cherrypy.expose
    def index(self, name="stranger"):
        return f"Hello, {name}!\n"

    @cherrypy.expose
    def sleep(self):
        time.sleep(0.3)
        return "slept\n"


if __name__ == "__main__":
    RunHttpServer(Root, *sys.argv[1:2])
