"""A Flask application: one route for each feature that a server might break."""
import io
import time

from flask import Flask, Response, jsonify, redirect, request, send_file, session, stream_with_context, url_for

app = Flask(__name__)
app.secret_key = "for the example only"


@app.route("/")
def index():
    session["visits"] = session.get("visits", 0) + 1
    return f"Hello from Flask, visit {session['visits']}.\n"


@app.route("/hello/<name>")
def hello(name):
    return {"hello": name, "url": url_for("hello", name=name, _external=True)}


@app.route("/sleep")
def sleep():
    time.sleep(0.5)
    return "slept\n"


@app.route("/form", methods=["GET", "POST"])
def form():
    if request.method == "POST":
        return redirect(url_for("hello", name=request.form["name"]))
    return "<form method=post><input name=name><button>Say hello</button></form>\n"


@app.route("/upload", methods=["POST"])
def upload():
    return jsonify({name: len(file.read()) for name, file in request.files.items()})


@app.route("/stream")
def stream():
    @stream_with_context
    def lines():
        for number in range(3):
            yield f"{request.path} {number}\n"
            time.sleep(0.1)
    return Response(lines(), mimetype="text/plain")


@app.route("/file")
def file():
    return send_file(io.BytesIO(b"0123456789"), mimetype="text/plain", etag="ten", conditional=True)


@app.route("/error")
def error():
    raise RuntimeError("the example's error")
