"""The servers that are compared, one line each: add a line, and it takes part.

A command is run in benchmark/apps with {port}, {app} (module:callable of the workload), {alone} (microseconds that a framework takes in a
plain loop, or 0), {dir} (an empty folder), {build} and {python} filled in. Each serves in one process, without logs, on one core. What a server cannot do is not asked of it: `does` names
workloads of workloads.py.
"""
import collections

Server = collections.namedtuple("Server", "name does command")

HELLO = {"hello", "close"}
WSGI = HELLO | {"pipelined", "echo", "mebi", "file", "chain", "sequential", "flask", "django"}
WAITS = {"sleep", "upstream", "query", "mixed", "hello63"}
SERIAL = WSGI - {"pipelined"}  # answers the first of several requests in one packet, or answers them badly

SERVERS = [Server(*line) for line in [
    ("floor", {"hello", "pipelined", "flask", "django"}, "{build}/benchmark/floor {port} {alone}"),
    ("syncless", WSGI | WAITS | {"idle"}, "{build}/syncless-server -m {app} -b 127.0.0.1:{port} -o server.workers=1 -o server.backlog=4096"),
    ("syncless C", HELLO | {"pipelined", "idle", "static1k", "static1m"}, "{build}/syncless-server -c syncless.ini -b 127.0.0.1:{port}"),
    ("nginx", HELLO | {"pipelined", "idle", "static1k", "static1m"}, "nginx -e {dir}/nginx.log -c {dir}/nginx.conf"),
    ("node", HELLO | {"pipelined", "echo", "mebi", "sleep", "upstream", "idle"}, "/usr/bin/node node.js {port}"),
    ("uwsgi", SERIAL, "uwsgi_python3 --http-socket 127.0.0.1:{port} --module {app} --listen 4096 --disable-logging --need-app --post-buffering 4096"),
    ("uwsgi gevent", SERIAL | WAITS, "uwsgi_python3 --plugin gevent_python3 --gevent 4000 --gevent-monkey-patch --http-socket 127.0.0.1:{port} --module {app} --listen 4096 --disable-logging --need-app"),
    ("gunicorn sync", SERIAL, "{python} -m gunicorn -b 127.0.0.1:{port} --backlog 4096 --log-level error {app}"),
    ("gunicorn gthread", SERIAL, "{python} -m gunicorn -k gthread --threads 10 -b 127.0.0.1:{port} --backlog 4096 --log-level error {app}"),
    ("gunicorn gevent", SERIAL | WAITS, "{python} -m gunicorn -k gevent --worker-connections 20000 -b 127.0.0.1:{port} --backlog 4096 --log-level error {app}"),
    ("gevent", SERIAL | WAITS | {"idle"}, "{python} serve.py gevent {port} {app}"),
    ("eventlet", SERIAL | {"sleep", "upstream", "mixed", "hello63"}, "{python} serve.py eventlet {port} {app}"),
    ("waitress", SERIAL, "waitress-serve --listen 127.0.0.1:{port} --threads 10 --backlog 4096 {app}"),
    ("cheroot", SERIAL, "{python} serve.py cheroot {port} {app}"),
    ("tornado", HELLO | {"sleep"}, "{python} tornado_app.py {port}"),
    ("twisted", SERIAL, "{python} serve.py twisted {port} {app}"),
]]
