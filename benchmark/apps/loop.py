"""Call a WSGI application in a plain loop: `loop.py module:callable COUNT` prints the CPU microseconds of one call.
What a request takes above that is the server's share."""
import importlib
import io
import sys
import time
import wsgiref.util

module, name = sys.argv[1].split(":")
count = int(sys.argv[2])
application = getattr(importlib.import_module(module), name)
# The environ that syncless-server makes of wrk's request.
template = {
    "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/hello", "QUERY_STRING": "", "REQUEST_URI": "/hello",
    "RAW_URI": "/hello", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8080", "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "40000", "SERVER_SOFTWARE": "loop", "GATEWAY_INTERFACE": "CGI/1.1",
    "HTTP_HOST": "127.0.0.1:8080", "wsgi.url_scheme": "http", "wsgi.version": (1, 0), "wsgi.input": io.BytesIO(),
    "wsgi.errors": sys.stderr, "wsgi.file_wrapper": wsgiref.util.FileWrapper, "wsgi.input_terminated": True,
    "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
}


def start_response(status, headers, exc_info=None):
    assert status == "200 OK"


def call():
    result = application(template.copy(), start_response)
    for _ in result:
        pass
    if hasattr(result, "close"):
        result.close()


for _ in range(count // 10):
    call()
begin = time.process_time()
for _ in range(count):
    call()
print((time.process_time() - begin) / count * 1e6)
