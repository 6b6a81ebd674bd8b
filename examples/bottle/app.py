"""A Bottle application."""
import time

from bottle import Bottle, HTTPError, request, response, template

app = Bottle()


@app.get("/")
def index():
    return template("<b>Hello from Bottle, {{agent}}!</b>\n", agent=request.get_header("User-Agent", "stranger"))


@app.get("/sleep")
def sleep():
    time.sleep(0.5)
    return "slept\n"


@app.post("/sum")
def add():
    return {"sum": sum(request.json)}


@app.get("/cookie/<name>")
def cookie(name):
    response.set_cookie("name", name, path="/")
    return request.get_cookie("name") or "none"


@app.get("/stream")
def stream():
    for number in range(3):
        yield f"line {number}\n"
        time.sleep(0.1)


@app.get("/teapot")
def teapot():
    raise HTTPError(418, "I'm a teapot")
