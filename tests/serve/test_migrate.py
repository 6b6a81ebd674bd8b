"""--migrate: configurations of uWSGI and gunicorn as people have them become ini files that the server accepts."""
import os
import re
import subprocess
import sys

import pytest

from conftest import BUILD, ROOT

PACKAGE = ROOT / "modules/wsgi/syncless"
IS_ROOT = os.geteuid() == 0
TEST_USER = "www-data"

sys.path.insert(0, str(PACKAGE))
try:
    from migrate.converter import VARIABLES
    from migrate.table import read_table
finally:
    del sys.path[0]


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """A virtualenv that the server accepts."""
    find = [BUILD / "syncless-python", "-c", "import sys; print(sys.executable)"]
    python = subprocess.run(find, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()
    path = tmp_path_factory.mktemp("venv")
    subprocess.run([python, "-m", "venv", "--without-pip", path], check=True)
    return path


@pytest.fixture
def migrate(tmp_path, run_server, venv):
    """migrate(name, text, *args) -> the ini file, which was found to be good. @DIR@ in text is the directory of the
    file, with folders static and lib, and @VENV@ a virtualenv."""
    def run(name, text, *args, env={}):
        text = text.replace("@DIR@", str(tmp_path)).replace("@VENV@", str(venv))
        if not IS_ROOT:  # only root can set them
            text = re.sub(r"^(uid|gid|user|group|chown-socket)\b.*\n", "", text, flags=re.M)
        (tmp_path / "static").mkdir(exist_ok=True)
        (tmp_path / "lib").mkdir(exist_ok=True)
        done = run_server(["--migrate", name, *args], files={name.partition(":")[0]: text}, env=env)
        assert done.returncode == 0, done
        (tmp_path / "result.ini").write_text(done.stdout)
        checked = run_server(["-T", "-c", "result.ini"], env=env)  # what it names need not be there
        assert (checked.returncode, checked.stderr) == (0, ""), done.stdout + checked.stderr
        return done.stdout
    return run


def keys_of(ini):
    """{"section key": [values]} of the result, without comments; what names the directory has it as DIR."""
    keys, section = {}, ""
    for line in ini.split("\n"):
        line = re.split(r"(?:^|\s);", line)[0].strip()
        if line.startswith("["):
            section = line[1:-1]
        elif line:
            key, _, value = line.partition(" = ")
            keys.setdefault(f"{section} {key}", []).append(value)
    return keys


DJANGO = """
# mysite_uwsgi.ini file of Django's tutorial
[uwsgi]

# Django-related settings
# the base directory (full path)
chdir           = @DIR@
# Django's wsgi file
module          = project.wsgi
# the virtualenv (full path)
home            = @VENV@

# process-related settings
# master
master          = true
# maximum number of worker processes
processes       = 10
# the socket (use the full path to be safe
socket          = @DIR@/mysite.sock
# ... with appropriate permissions - may be needed
chmod-socket    = 664
# clear environment on exit
vacuum          = true
"""

FLASK = """
[uwsgi]
module = wsgi:app
master = true
processes = 5
socket = myproject.sock
chmod-socket = 660
vacuum = true
die-on-term = true
"""

PRODUCTION = """
[uwsgi]
project = shop
base = @DIR@
strict = true
need-app = true
single-interpreter = true
master = true
enable-threads
vacuum = true
die-on-term = true
chdir = %(base)
virtualenv = @VENV@
pythonpath = %d/lib
module = %(project).wsgi:application
env = DJANGO_SETTINGS_MODULE=%(project).settings
env = LANG=C.UTF-8
http-socket = :8000
processes = %k
threads = 2
harakiri = 60
harakiri-verbose = true
max-requests = 1000
max-requests-delta = 100
max-worker-lifetime = 3600
reload-on-rss = 512
worker-reload-mercy = 60
buffer-size = 65535
listen = 128
limit-post = 10485760
post-buffering = 4096
uid = www-data
gid = www-data
umask = 027
pidfile = /tmp/%(project).pid
logto = @DIR@/%n.log
log-format = %(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(size) %(msecs)
log-x-forwarded-for = true
static-map = /static=%d/static
static-expires = /* 7776000
offload-threads = %k
auto-procname = true
procname-prefix = shop-
stats = /tmp/stats.socket
memory-report = true
py-call-osafterfork = true
cheaper-algo = busyness
cheaper = 2
touch-reload = %p
hook-post-fork = print:x
ignore-sigpipe = true
disable-write-exception = true
route-run = addheader:X-A: b
cron2 = minute=-1 date
if-env = DEBUG
py-autoreload = 1
endif =
"""

GEVENT = """
[uwsgi]
http = 0.0.0.0:8080
gevent = 100
gevent-monkey-patch = true
wsgi-file = app.py
callable = app
http-websockets = true
disable-logging = true
py-autoreload = 1
daemonize = @DIR@/uwsgi.log
uid = www-data
for = one two
env = VALUE_%(_)=%(_)
endfor =
secret = a;b
env = SECRET=%(secret)
env = HOME=$(HOME)/x
"""

MOUNTS = """
[uwsgi]
http-socket = 127.0.0.1:9090
mount = /one=one.py
mount = /two=two:make()
manage-script-name = true
callable = application
static-map = /media=@DIR@/static
static-map = /favicon.ico=@DIR@/static/favicon.ico
check-static = @DIR@/static
mime-file = /etc/mime.types
static-index = index.html

[other]
http-socket = 127.0.0.1:9091
module = other
"""

YAML = """
uwsgi:
  # a comment
  http-socket: "127.0.0.1:9090"
  master: true
  module: shop.wsgi   # and another
  processes: 2
  env:
    - A=1
    - 'B=2'
other:
  processes: 9
"""

JSON = """{"uwsgi": {
  "http": ":9090",
  "module": "shop",
  "workers": 3,
  "vacuum": true,
  "env": ["A=1", "B=2"]
}}"""

UWSGI = {  # name: (file, text, what must be in the result, comments that must be)
    "django": ("mysite_uwsgi.ini", DJANGO, {
        "server bind": ["unix:DIR/mysite.sock"], "server trusted-proxies": ["unix"], "server socket-mode": ["664"],
        "server workers": ["10"], "wsgi chdir": ["DIR"], "wsgi virtualenv": ["VENV"], "wsgi / app": ["project.wsgi"],
        "limits max-body-size": ["0"], "log access-log": ["stderr"],
    }, ["in nginx write proxy_pass for uwsgi_pass", "line 15: master = true: there is always a master process",
        r" line 19: socket += \S*/mysite\.sock\n"]),
    "flask": ("myproject.ini", FLASK, {
        "server bind": ["unix:%(here)/myproject.sock"], "server socket-mode": ["660"], "wsgi / app": ["wsgi:app"],
    }, ["Keep it in the directory of myproject.ini", "SIGTERM always stops the server"]),
    "production": ("shop.ini", PRODUCTION, {
        "server bind": [":8000"], "server workers": ["auto"], "server max-requests": ["1000"],
        "server max-requests-jitter": ["100"], "server max-lifetime": ["3600s"], "server max-rss": ["512m"],
        "server shutdown-timeout": ["60s"], "server backlog": ["128"], "server umask": ["027"],
        "server pidfile": ["/tmp/shop.pid"], "limits request-timeout": ["60s"], "limits max-header-size": ["65535"],
        "limits max-body-size": ["10485760"], "log error-log": ["DIR/shop.log"], "log access-log": ["DIR/shop.log"],
        "log log-format": ['%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(rsize) %(msecs)'],
        "wsgi chdir": ["DIR"], "wsgi virtualenv": ["VENV"], "wsgi pythonpath": ["%(here)/lib"],
        "wsgi env": ["DJANGO_SETTINGS_MODULE=shop.settings", "LANG=C.UTF-8"], "wsgi / app": ["shop.wsgi:application"],
        "static /static root": ["%(here)/static"],
    }, ["A worker ran at most 2 requests at once", "the number of workers is fixed", "autoreload = 1: only with if-env",
        "touch-reload = %p: use \"syncless-server -s reload\"", "route-run = .*: there is no routing", "cron2 = ",
        "memory-report = true: there is no memory report"]),
    "gevent": ("app.ini", GEVENT, {
        "server bind": ["0.0.0.0:8080"], "server daemonize": ["yes"], "server reload-on-change": ["."],
        "log error-log": ["DIR/uwsgi.log"], "wsgi / app": ["./app.py:app"],
        "wsgi env": ["VALUE_one=one", "VALUE_two=two", "SECRET=a;b", "HOME=${HOME}/x"],
    }, ["A worker ran at most 100 requests", "gevent-monkey-patch = true: .* monkey patching is refused"]),
    "mounts": ("apps.ini", MOUNTS, {
        "server bind": ["127.0.0.1:9090"], "wsgi /one app": ["./one.py:application"], "wsgi /two app": ["two:make()"],
        "static /media root": ["DIR/static"], "static mime-types": ["/etc/mime.types"], "static index": ["index.html"],
    }, ["favicon.ico: a mount of \\[static\\] is a directory", "there is no fallback from files"]),
    "sections and files": ("dev.ini", "[uwsgi]\nini = :base\nsocket = %dapp.sock\nini = more.ini\nini = none.ini\n\n"
                           "[base]\nchdir = @DIR@/lib\npy-autoreload = 1\nmodule = shop.wsgi:application\n", {
        "server bind": ["unix:%(here)/app.sock"], "server reload-on-change": ["DIR/lib"],
        "wsgi / app": ["shop.wsgi:application"], "wsgi env": ["A=dev"],
    }, ["line 5: ini = none.ini: the file is not there", r"dev.ini \[base\] line 10: module",
        r"more.ini \[uwsgi\] line 2"]),
    "http by protocol": ("x.ini", "[uwsgi]\nmodule = a\nsocket = :8081\nprotocol = http\nprocesses = $(N)\n", {
        "server bind": [":8081"], "server workers": ["${N}"]}, []),
    "a section": ("apps.ini:other", MOUNTS, {"server bind": ["127.0.0.1:9091"], "wsgi / app": ["other"]}, []),
    "yaml": ("shop.yaml", YAML, {
        "server bind": ["127.0.0.1:9090"], "server workers": ["2"], "wsgi / app": ["shop.wsgi"],
        "wsgi env": ["A=1", "B=2"],
    }, ["line 6: module = shop.wsgi\n"]),
    "json": ("shop.json", JSON, {
        "server bind": [":9090"], "server workers": ["3"], "wsgi / app": ["shop"], "wsgi env": ["A=1", "B=2"],
    }, ["line 5: vacuum = true: "]),
}

DOCUMENTED = """
# the file in the documentation of gunicorn
import multiprocessing

bind = "127.0.0.1:8000"
workers = multiprocessing.cpu_count() * 2 + 1
"""

LONG = '''
"""gunicorn.conf.py of a Django project."""
import logging
import os
from multiprocessing import cpu_count

print("this is no part of the result")

bind = ["0.0.0.0:8000", "unix:@DIR@/gunicorn.sock", "unix:@shop"]
backlog = 512
workers = int(os.environ.get("WEB_CONCURRENCY", 3))
worker_class = "gthread"
threads = 8
worker_tmp_dir = "/dev/shm"
max_requests = 1000
max_requests_jitter: int = 50
timeout = 120
graceful_timeout = 30
keepalive = 5
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190
preload_app = True
wsgi_app = "shop.wsgi:application"
chdir = "@DIR@"
pythonpath = "@DIR@/lib,@DIR@/static"
raw_env = ["DJANGO_SETTINGS_MODULE=shop.settings", "TEMPLATE=${NOT_OURS}", f"BUILD={1 + 1}"]
user = "www-data"
group = "www-data"
umask = 0o007
pidfile = "@DIR@/gunicorn.pid"
proc_name = "shop"
forwarded_allow_ips = "10.0.0.0/8,127.0.0.1"
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
accesslog = "-"
errorlog = "@DIR@/error.log"
loglevel = os.getenv("LOG_LEVEL", "warning")
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s %({x-request-id}i)s'
capture_output = True
logconfig_dict = dict(version=1, loggers=dict())
statsd_host = "localhost:8125"
certfile = "/etc/ssl/x.pem"
something_else = 5


def post_fork(server, worker):
    server.log.info("worker spawned (pid: %s)", worker.pid)


def when_ready(server):
    pass
'''

HEROKU = """
import os
bind = f"0.0.0.0:{os.environ.get('PORT', 5000)}"
workers = os.environ.get("WEB_CONCURRENCY") or 2
worker_class = "gevent"
worker_connections = 500
timeout = int(os.getenv("TIMEOUT", "60"))
accesslog = None
daemon = True
"""

UVICORN = """
import os
worker_class = "uvicorn.workers.UvicornWorker"
bind = os.environ.get('GUNICORN_BIND', '0.0.0.0:8000')
pidfile = None
"""

GUNICORN = {
    "uvicorn": ("gunicorn.conf.py", UVICORN, [], {
        "server bind": ["${GUNICORN_BIND:-0.0.0.0:8000}"], "wsgi / app": ["your.module:application"],
    }, ["the application is an ASGI application, which is not served so far"]),
    "documented": ("gunicorn.conf.py", DOCUMENTED, ["shop:app"], {
        "server bind": ["127.0.0.1:8000"], "server workers": ["auto"], "wsgi / app": ["shop:app"],
        "server trusted-proxies": ["127.0.0.1", "::1"], "limits max-body-size": ["0"],
    }, [r"line 6: workers = multiprocessing.cpu_count\(\) \* 2 \+ 1 \(here \d+\)", "A worker ran at most 1 request"]),
    "long": ("gunicorn.conf.py", LONG, [], {
        "server bind": ["0.0.0.0:8000", "unix:DIR/gunicorn.sock", "unix:@shop"], "server backlog": ["512"],
        "server workers": ["${WEB_CONCURRENCY:-3}"], "server max-requests": ["1000"],
        "server max-requests-jitter": ["50"], "limits request-timeout": ["120s"], "server shutdown-timeout": ["30s"],
        "limits keepalive-timeout": ["5s"], "limits max-request-line": ["4094"], "limits max-headers": ["100"],
        "limits max-header-size": ["8190"], "server preload": ["yes"], "wsgi / app": ["shop.wsgi:application"],
        "wsgi chdir": ["DIR"], "wsgi pythonpath": ["DIR/lib", "DIR/static"], "server umask": ["007"],
        "wsgi env": ["DJANGO_SETTINGS_MODULE=shop.settings", "TEMPLATE=$${NOT_OURS}", "BUILD=2"],
        "server pidfile": ["DIR/gunicorn.pid"], "server trusted-proxies": ["10.0.0.0/8", "127.0.0.1"],
        "log access-log": ["-"], "log error-log": ["DIR/error.log"], "log level": ["warn"],
        "log log-format": ['%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(size) "%(referer)" '
                           '"%(uagent)" %(micros) %{x-request-id}i'],
    }, ["A worker ran at most 8 requests", "line 12: worker_class = \"gthread\": every request runs on a coroutine",
        r'line 37: loglevel = os.getenv\("LOG_LEVEL", "warning"\) \(here \'warning\'\)', "there is no TLS",
        "line 46: def post_fork: there are no hooks"]),
    "heroku": ("conf.py", HEROKU, ["shop"], {
        "server bind": ["0.0.0.0:${PORT:-5000}"], "server workers": ["${WEB_CONCURRENCY:-2}"],
        "limits request-timeout": ["${TIMEOUT:-60}"], "limits max-concurrency": ["500"], "log error-log": ["syslog"],
        "server daemonize": ["yes"],
    }, ["it counts requests, not connections, and further ones wait"]),
}


def check_result(ini, tmp_path, venv, expected, comments):
    keys = keys_of(ini)
    for key, values in expected.items():
        found = [value.replace(str(tmp_path), "DIR").replace(str(venv), "VENV") for value in keys.get(key, [])]
        assert found == values, (key, ini)
    for text in comments:
        assert re.search(rf"^.*;.*{text}", ini, re.M), (text, ini)
    assert all(line.startswith((";", "[")) or " = " in line for line in ini.split("\n") if line)


@pytest.mark.parametrize("name", UWSGI)
def test_uwsgi(migrate, tmp_path, venv, name):
    file, text, expected, comments = UWSGI[name]
    (tmp_path / "more.ini").write_text("[uwsgi]\nenv = A=%n\n")
    check_result(migrate(file, text, env={"N": "3"}), tmp_path, venv, expected, comments)


@pytest.mark.parametrize("name", GUNICORN)
def test_gunicorn(migrate, tmp_path, venv, name):
    file, text, args, expected, comments = GUNICORN[name]
    env = {name: None for name in ("PORT", "WEB_CONCURRENCY", "TIMEOUT", "LOG_LEVEL")}
    check_result(migrate(file, text, *args, env=env), tmp_path, venv, expected, comments)


def test_access_log_is_off_if_uwsgi_does_not_log_requests(migrate):
    keys = keys_of(migrate("app.ini", GEVENT))
    assert "log access-log" not in keys


def test_file_without_an_application(migrate):
    """The result is good, and says where the application has to be written."""
    ini = migrate("gunicorn.conf.py", "workers = 2\n")
    assert re.search(r"^; app: the file names none: write yours.*\napp = your.module:application$", ini, re.M)


def test_key_that_is_given_twice(migrate):
    """The last one counts, and the other one is not lost without a word."""
    ini = migrate("x.ini", "[uwsgi]\nmodule = a\nprocesses = 2\nworkers = 4\npidfile = /a\npidfile2 = /b\n")
    keys = keys_of(ini)
    assert (keys["server workers"], keys["server pidfile"]) == (["4"], ["/b"])
    assert "; line 3: processes = 2: replaced by line 4: workers = 4\n" in ini


def test_value_that_an_ini_file_cannot_have(migrate):
    ini = migrate("x.ini", "[uwsgi]\nmodule = a\nenv = A=b ; c\nenv = D=e\n")
    assert keys_of(ini)["wsgi env"] == ["D=e"]
    assert "; line 3: env = A=b ; c: env = 'A=b ; c' cannot be written in an ini file\n" in ini


def test_magic_variables(migrate, tmp_path):
    text = "[uwsgi]\nmodule = a\nenv = A=%n %e %s %c %x 100%%\nenv = B=%(missing)\nenv = C=${D}\n"
    values = keys_of(migrate("shop.ini", text))["wsgi env"]
    assert values == [f"A=shop ini shop.ini {tmp_path.name} uwsgi 100%", "B=%(missing)", "C=$${D}"]


@pytest.mark.parametrize("name, text, says", [
    ("none.ini", None, "cannot read none.ini: No such file or directory"),
    ("x.ini", "[app:main]\nuse = egg:x\n", r"there is no section \[uwsgi\] with keys in it"),
    ("x.ini:prod", "[uwsgi]\nmaster = true\n", r"there is no section \[prod\] with keys in it"),
    ("x.xml", "<uwsgi/>", "x.xml: XML is not read"),
    ("x.yaml", "uwsgi:\n  a: {b: c}\n  - x\n    - {\n  ! y\n", 'line 5: only "KEY: VALUE" and lists'),
    ("x.json", "{", "this is no JSON: "),
    ("x.json", "[]", 'there is no object "uwsgi"'),
    ("gunicorn.conf.py", "import no_such_module\n", r"ModuleNotFoundError(.*\n)*.*gunicorn.conf.py has failed, with M"),
    ("gunicorn.conf.py", "raise SystemExit(0)\n", "gunicorn.conf.py has failed, with SystemExit"),
    ("gunicorn.conf.py", "def f(:\n", "SyntaxError"),
    ("python:shop.conf", None, "python:shop.conf: name the file of the module shop.conf"),
])
def test_files_that_cannot_be_converted(run_server, name, text, says):
    done = run_server(["--migrate", name], files={name.partition(":")[0]: text} if text is not None else {})
    assert done.returncode == 1 and done.stdout == ""
    assert re.search(says, done.stderr), done.stderr


@pytest.mark.parametrize("command", [
    [BUILD / "syncless-python", "-m", "syncless.migrate"], [sys.executable, PACKAGE / "migrate"],
    [sys.executable, BUILD / "modules/python/syncless/migrate"]], ids=["package", "directory", "build"])
def test_other_ways_to_run_it(run_server, tmp_path, command):
    """In any Python, also as a directory. What the file imports is not looked for beside the converter."""
    files = {"gunicorn.conf.py": "import wsgi\nworkers = wsgi.count\n", "wsgi.py": "count = 7\n"}
    expected = run_server(["--migrate", "gunicorn.conf.py"], files=files).stdout
    done = subprocess.run([*command, "gunicorn.conf.py"], cwd=tmp_path, text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (0, expected) and "workers = 7 " in done.stdout
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 2


# ---- the table ----


@pytest.fixture(scope="module")
def rows():
    return read_table()


def test_every_row_leads_to_a_key_of_ours(run_server, rows):
    """The sections and keys that the server has, by its own dump."""
    dump = run_server(["-T"], "[wsgi /]\napp = x\n[static /s]\nroot = /\n").stdout
    known = {}
    for title, text in re.findall(r"^\[([^\]]+)\]\n(.*?)(?=^\[|\Z)", dump, re.M | re.S):
        known[title.split()[0]] = set(re.findall(r"^;? ?([a-z-]+) (?:=|is not set)", text, re.M))
    assert len(rows) > 350 and {"server", "log", "limits", "wsgi", "static"} <= set(known)
    for row in rows:
        if row.relation == "NONE":
            assert (row.section, row.key) == ("", "") and row.note, row
        else:
            assert row.key in known[row.section.split()[0]], row


def test_rows_are_written_well(rows):
    assert len({(row.server, row.name) for row in rows}) == len(rows)
    for row in rows:
        assert re.fullmatch(r"[a-z0-9-]+\*?", row.name) and row.relation in ("SAME", "LIKE", "NONE"), row
        assert row.relation != "LIKE" or row.note, row
        assert not row.note or row.note[0].islower() or row.note[0] in "\"H", row


def test_variables_of_the_access_log():
    source = (ROOT / "server/access/variables.c").read_text()
    assert VARIABLES == set(re.findall(r'^    \{"(\w+)", \.', source, re.M))


def test_all_settings_of_gunicorn_are_known(rows):
    """Those of the newest release, where it is installed."""
    config = pytest.importorskip("gunicorn.config")
    names = {name.replace("_", "-") for name in config.KNOWN_SETTINGS and config.make_settings()}
    unknown = [name for name in names if not any(
        row.server == "gunicorn" and (row.name == name or row.name[-1] == "*" and name.startswith(row.name[:-1]))
        for row in rows)]
    assert unknown == []
