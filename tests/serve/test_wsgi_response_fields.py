"""Fields of a WSGI response that are about the connection, which is the server's."""
import pytest

from test_http import get, responses

APP = """
def app(environ, start_response):
    name, _, value = environ['QUERY_STRING'].partition('=')
    start_response('200 OK', [('X-A', 'b'), (name, value.replace('+', ' ')), ('X-C', 'd')])
    return [b'hello']

def restarts(environ, start_response):
    import sys
    start_response('200 OK', [('Connection', 'close')])
    try:
        raise ValueError
    except ValueError:
        start_response('500 Sorry', [], sys.exc_info())
    return [b'sorry']

def streams(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/event-stream'), ('Cache-Control', 'no-cache'),
                              ('Connection', 'keep-alive'), ('Transfer-Encoding', 'chunked')])
    return (b'data: %d\\n\\n' % i for i in range(3))
"""

INI = "[wsgi /]\napp = app:app\n[wsgi /streams]\napp = app:streams\n[wsgi /restarts]\napp = app:restarts\n"


@pytest.fixture(scope="module")
def server(shared_daemon):
    return shared_daemon(INI, {"app.py": APP})


@pytest.mark.parametrize("field", [
    "Connection=keep-alive", "connection=X-A", "Keep-Alive=timeout=5", "transfer-encoding=chunked", "TE=trailers",
    "Upgrade=h2c", "Trailer=X-A", "Trailers=X-A", "Proxy-Connection=keep-alive", "Proxy-Authenticate=Basic",
    "PROXY-AUTHORIZATION=Basic"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_hop_by_hop_field_is_dropped(server, field, version):
    asked = get("/?" + field, "Connection: keep-alive", version=version)
    first, second = responses(server.raw(asked + get("/?X-B=1", "Connection: close")))
    name = field.partition("=")[0]
    assert (first[0], first[2], first[1]["X-A"], first[1]["X-C"]) == (200, b"hello", "b", "d")
    assert first[1][name] == ("keep-alive" if name.lower() == "connection" and version == "1.0" else None)
    assert second[1]["X-B"] == "1"


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive,+close", ",close,"])
def test_connection_close_is_honoured(server, value):
    (status, headers, body), = responses(server.raw(get("/?Connection=" + value) + get("/?X-B=1")))
    assert (status, headers.get_all("Connection"), body) == (200, ["close"], b"hello")


def test_close_is_forgotten_with_the_head_that_had_it(server):
    first, second = responses(server.raw(get("/restarts") + get("/?X-B=1", "Connection: close")))
    assert (first[0], first[1]["Connection"], second[0]) == (500, None, 200)


def test_recipe_for_server_sent_events(server):
    first, second = responses(server.raw(get("/streams") + get("/?X-B=1", "Connection: close")))
    assert (first[0], first[2]) == (200, b"data: 0\n\ndata: 1\n\ndata: 2\n\n")
    assert first[1].get_all("Transfer-Encoding") == ["chunked"] and second[0] == 200


def test_one_warning(daemon):
    server = daemon(INI, {"app.py": APP})
    for field in ("Connection=keep-alive", "Proxy-Authenticate=a", "Keep-Alive=5", "Connection=keep-alive"):
        assert server.get("/?" + field)[0] == 200
    server.stop()
    assert server.log.count("dropped the response field") == 1
    assert "dropped the response field Connection: the server sets it itself" in server.log
