"""A handler of the standard library's http.server, unchanged; syncless.wsgi makes it a WSGI application."""
import http.server
import time


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/sleep":
            time.sleep(0.5)
        elif self.path == "/stream":
            return self.stream()
        elif self.path != "/":
            return self.send_error(404)
        self.reply(b"Hello from BaseHTTPRequestHandler!\n")

    def do_POST(self):
        self.reply(self.rfile.read(int(self.headers["Content-Length"])).upper())

    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        for number in range(3):
            self.wfile.write(b"line %d\n" % number)
            time.sleep(0.1)

    def log_message(self, format, *args):
        """The server has a log of its own."""


def make_app():
    import syncless.wsgi  # which is there in the server only
    return syncless.wsgi.adapt(Handler)


if __name__ == "__main__":  # and so it is served without Syncless: one request after the other
    http.server.HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
