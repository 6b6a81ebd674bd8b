"""A CherryPy application, without CherryPy's own server."""
import time

import cherrypy


class Root:
    @cherrypy.expose
    def index(self, name="stranger"):
        return f"Hello from CherryPy, {name}!\n"

    @cherrypy.expose
    def sleep(self):
        time.sleep(0.5)
        return "slept\n"

    @cherrypy.expose
    @cherrypy.tools.json_in()
    @cherrypy.tools.json_out()
    def sum(self):
        return {"sum": sum(cherrypy.request.json)}

    @cherrypy.expose
    def stream(self):
        for number in range(3):
            yield f"line {number}\n"
            time.sleep(0.1)
    stream._cp_config = {"response.stream": True}

    @cherrypy.expose
    def gone(self):
        raise cherrypy.HTTPError(410, "It was here.")


def create_app():
    cherrypy.config.update({"environment": "embedded", "log.screen": False})
    return cherrypy.Application(Root(), script_name=None, config={"/": {"tools.encode.on": True}})
