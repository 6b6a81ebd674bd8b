"""webapp2: the classes of Google AppEngine's webapp framework, in their form of today."""
import json
import time

import webapp2


class Index(webapp2.RequestHandler):
    def get(self):
        self.response.content_type = "text/plain"
        self.response.write(f"Hello from webapp2, {self.request.get('name', 'stranger')}!\n")


class Hello(webapp2.RequestHandler):
    def get(self, name):
        self.response.content_type = "application/json"
        self.response.write(json.dumps({"hello": name, "url": self.uri_for("hello", name=name, _full=True)}))


class Form(webapp2.RequestHandler):
    def post(self):
        self.redirect_to("hello", name=self.request.get("name"))


class Upload(webapp2.RequestHandler):
    def post(self):
        self.response.write(len(self.request.POST["file"].file.read()))


class Sleep(webapp2.RequestHandler):
    def get(self):
        time.sleep(0.5)
        self.response.write("slept\n")


class Error(webapp2.RequestHandler):
    def get(self):
        raise RuntimeError("the example's error")


app = webapp2.WSGIApplication([
    webapp2.Route("/", Index),
    webapp2.Route("/hello/<name>", Hello, name="hello"),
    webapp2.Route("/form", Form),
    webapp2.Route("/upload", Upload),
    webapp2.Route("/sleep", Sleep),
    webapp2.Route("/error", Error),
])
