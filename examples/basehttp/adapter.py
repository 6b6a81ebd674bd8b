"""Run a handler class of the standard library's http.server as a WSGI application.

    app = adapter.application(MyHandler)

The handler writes a whole HTTP response to wfile. Its head is read back and given to start_response; the body goes on as it
is written, so a handler that writes slowly streams.
"""
import email.message
import http


class Response:
    """The handler's wfile."""

    def __init__(self, start_response):
        self.start_response = start_response
        self.head = b""
        self.write_body = None

    def write(self, data):
        if self.write_body is None:
            self.head, end, data = (self.head + bytes(data)).partition(b"\r\n\r\n")
            if not end:
                return
            self.start()
        if data:
            self.write_body(bytes(data))

    def start(self):
        lines = self.head.decode("latin-1").split("\r\n")
        status = lines[0].split(" ", 1)[1]
        fields = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.write_body = self.start_response(status, [field for field in fields if field[0].lower() not in SERVERS_OWN])

    def flush(self):
        pass


SERVERS_OWN = {"connection", "transfer-encoding", "date", "server"}  # fields that the server itself sends


def fields(environ):
    message = email.message.Message()
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            message[name[5:].replace("_", "-").title()] = value
        elif name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            message[name.replace("_", "-").title()] = value
    return message


def application(handler_class):
    """A WSGI application that makes one handler for each request, without the socket it would read from."""

    class Handler(handler_class):
        def __init__(self, environ, start_response):
            self.command = environ["REQUEST_METHOD"]
            self.path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            if environ.get("QUERY_STRING"):
                self.path += "?" + environ["QUERY_STRING"]
            self.request_version = environ["SERVER_PROTOCOL"]
            self.requestline = f"{self.command} {self.path} {self.request_version}"
            self.client_address = (environ.get("REMOTE_ADDR", ""), int(environ.get("REMOTE_PORT") or 0))
            self.server, self.close_connection = None, True
            self.headers = fields(environ)
            self.rfile, self.wfile = environ["wsgi.input"], Response(start_response)

        def respond(self):
            method = getattr(self, "do_" + self.command, None)
            if method is None:
                self.send_error(http.HTTPStatus.NOT_IMPLEMENTED, f"Unsupported method ({self.command!r})")
            else:
                method()

    def app(environ, start_response):
        Handler(environ, start_response).respond()
        return []
    return app
