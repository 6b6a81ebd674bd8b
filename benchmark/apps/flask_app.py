"""Flask's hello."""
import flask

hello = flask.Flask(__name__)


@hello.route("/hello")
def say_hello():
    return flask.Response("Hello, World\n", content_type="text/plain")
