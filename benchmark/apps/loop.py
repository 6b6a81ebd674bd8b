"""Call a WSGI application in a plain loop: `loop.py module:callable COUNT` prints the CPU microseconds of a call. What a server costs
beside the framework is what it takes above this."""
import importlib
import io
import sys
import time
import wsgiref.util

module, name = sys.argv[1].split(":")
count = int(sys.argv[2])
application = getattr(importlib.import_module(module), name)
template = {"REQUEST_METHOD": "GET", "PATH_INFO": "/hello", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1", "wsgi.errors": sys.stderr, "wsgi.input": io.BytesIO()}
wsgiref.util.setup_testing_defaults(template)


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
