"""WebOb: a request in, a response out, and a router of five lines."""
import time

from webob import Response, exc
from webob.dec import wsgify


def index(request):
    return Response(text=f"Hello from WebOb, {request.params.get('name', 'stranger')}!\n", content_type="text/plain")


def sleep(request):
    time.sleep(0.5)
    return Response(text="slept\n", content_type="text/plain")


def upload(request):
    return Response(json_body={name: len(item.file.read()) for name, item in request.POST.items()})


def ranges(request):
    """WebOb's own range and ETag handling."""
    return Response(body=b"0123456789", content_type="text/plain", etag="ten", conditional_response=True)


ROUTES = {"/": index, "/sleep": sleep, "/upload": upload, "/ranges": ranges}


@wsgify
def app(request):
    try:
        return ROUTES[request.path_info](request)
    except KeyError:
        raise exc.HTTPNotFound(f"no page at {request.path_info}") from None
