"""The servers to compare, one row each.

A command runs in benchmark/apps, after {port}, {app} (the workload's module:callable), {alone} (microseconds that a
framework takes in a plain loop, or 0), {dir} (an empty directory), {build} and {python} have been filled in. Each
server uses one process on one core and writes no logs; those for the workloads of SPREAD have two workers. `does` names
the workloads that it can serve.
"""
import collections

Server = collections.namedtuple("Server", "name does command")

HELLO = {"hello", "close"}
WSGI = HELLO | {"pipelined", "echo", "mebi", "file", "chain", "sequential", "flask", "django"}
WAITS = {"sleep", "upstream", "query", "mixed", "hello63"}
SPREAD = {"spread", "spread new"}
SERIAL = WSGI - {"pipelined"}  # cannot answer several requests that arrive in one packet

UWSGI = "uwsgi_python3 --http-socket 127.0.0.1:{port} --module {app} --listen 4096 --disable-logging --need-app"
GUNICORN = "{python} -m gunicorn {app} -b 127.0.0.1:{port} --backlog 4096 --log-level error"

SYNCLESS = ("{build}/syncless-server -m {app} -b 127.0.0.1:{port} -o server.python={python} -o server.backlog=4096 "
            "-o server.workers=")

SERVERS = [Server(*line) for line in [
    ("floor", {"hello", "pipelined", "flask", "django"}, "{build}/benchmark/floor {port} {alone}"),
    ("syncless", WSGI | WAITS | {"idle", "parked"}, SYNCLESS + "1"),
    ("syncless 2 workers", SPREAD, SYNCLESS + "2"),
    ("syncless C", HELLO | {"pipelined", "idle", "static1k", "static1m"},
     "{build}/syncless-server -c syncless.ini -b 127.0.0.1:{port}"),
    ("nginx", HELLO | {"pipelined", "idle", "static1k", "static1m"}, "nginx -e {dir}/nginx.log -c {dir}/nginx.conf"),
    ("node", HELLO | {"pipelined", "echo", "mebi", "sleep", "upstream", "idle"}, "/usr/bin/node node.js {port}"),
    ("uwsgi", SERIAL, UWSGI + " --post-buffering 4096"),
    ("uwsgi gevent", SERIAL | WAITS, UWSGI + " --plugin gevent_python3 --gevent 4000 --gevent-monkey-patch"),
    ("gunicorn sync", SERIAL, GUNICORN),
    ("gunicorn gthread", SERIAL, GUNICORN + " -k gthread --threads 10"),
    ("gthread 2 workers", SPREAD, GUNICORN + " -k gthread --threads 10 --workers 2"),
    ("gunicorn gevent", SERIAL | WAITS, GUNICORN + " -k gevent --worker-connections 20000"),
    ("gevent", SERIAL | WAITS | {"idle", "parked"}, "{python} serve.py gevent {port} {app}"),
    ("eventlet", SERIAL | {"sleep", "upstream", "mixed", "hello63"}, "{python} serve.py eventlet {port} {app}"),
    ("waitress", SERIAL, "waitress-serve --listen 127.0.0.1:{port} --threads 10 --backlog 4096 {app}"),
    ("cheroot", SERIAL, "{python} serve.py cheroot {port} {app}"),
    ("tornado", HELLO | {"sleep"}, "{python} tornado_app.py {port}"),
    ("twisted", SERIAL, "{python} serve.py twisted {port} {app}"),
]]
