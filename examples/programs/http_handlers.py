"""An unmodified BaseHTTPRequestHandler on Syncless's HTTP server. Argument: the address."""
import http.server
import sys
import time

from syncless.wsgi import RunHttpServer


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/sleep":
            time.sleep(0.3)
        self.answer(f"You asked for {self.path}.\n".encode())

    do_HEAD = do_GET

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])).upper())

    do_PUT = do_POST

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


if __name__ == "__main__":
    RunHttpServer(Handler, *sys.argv[1:2])
