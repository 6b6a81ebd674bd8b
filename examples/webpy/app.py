"""A web.py application."""
import time

import web

urls = (
    "/", "Index",
    "/sleep", "Sleep",
    "/echo", "Echo",
    "/old", "Old",
)


class Index:
    def GET(self):
        return f"Hello from web.py, {web.input(name='stranger').name}!\n"


class Sleep:
    def GET(self):
        time.sleep(0.5)
        return "slept\n"


class Echo:
    def POST(self):
        web.header("Content-Type", "application/octet-stream")
        return web.data()


class Old:
    def GET(self):
        raise web.seeother("/?name=moved")


app = web.application(urls, globals()).wsgifunc()
