"""A WebSocket server that returns everything reversed, and a page for it. Argument: the address (127.0.0.1:16666)."""
import sys

from syncless.wsgi import RunHttpServer

PAGE = b"""<!doctype html><title>Backwards</title><h1>Backwards</h1>
<form><input name=text autofocus> <button>Say</button></form><ol id=said></ol>
<script>
const socket = new WebSocket(`ws://${location.host}/socket`), form = document.querySelector('form');
socket.onmessage = event => {
    const item = document.createElement('li');
    item.textContent = event.data;
    said.append(item);
};
form.onsubmit = event => { event.preventDefault(); socket.send(form.text.value); form.reset() };
socket.onopen = () => { if (location.hash) socket.send(decodeURIComponent(location.hash.slice(1))) };
</script>
"""


def application(environ, start_response):
    if environ["PATH_INFO"] == "/socket":
        try:
            socket = environ["syncless.websocket"]()
        except ValueError as error:
            start_response("400 Bad Request", [("Content-Type", "text/plain")])
            return [f"{error}\n".encode()]
        for message in socket:
            socket.send(message[::-1])
        return []
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [PAGE]


if __name__ == "__main__":
    RunHttpServer(application, sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:16666")
