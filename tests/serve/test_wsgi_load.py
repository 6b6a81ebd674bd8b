"""How the WSGI bridge finds and loads applications: names and factories, paths, virtualenv, several in one process."""
import os
import re
import subprocess

import pytest

from conftest import PYTHON_HOST

APP = """
import os, sys

def text(start_response, *lines):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return ['\\n'.join(map(str, lines)).encode()]

def application(environ, start_response):
    return text(start_response, 'application')

def named(environ, start_response):
    return text(start_response, 'named')

class Site:
    class inner:
        @staticmethod
        def app(environ, start_response):
            return text(start_response, 'dotted')

def create_app(greeting='made', times=1):
    def app(environ, start_response):
        return text(start_response, greeting * times)
    return app

class Handler:
    def __init__(self, environ, start_response):
        self.start_response = start_response
    def __iter__(self):
        return iter(text(self.start_response, 'class'))

def where(environ, start_response):
    import which
    return text(start_response, os.getcwd(), which.__file__, sys.prefix, sys.executable, os.environ.get('MODE'),
                sys.argv)

number = 5
"""


def serve(daemon, ini, files={}, **options):
    return daemon(ini, {"app.py": APP, **files}, **options)


@pytest.mark.parametrize("spec, answer", [
    ("app", b"application"), ("app:application", b"application"), ("app:named", b"named"),
    ("app:Site.inner.app", b"dotted"), ("app:create_app()", b"made"), ("app:create_app('ab', times=2)", b"abab"),
    ("app:Handler", b"class"), ("package.module:app", b"package"), ("package:application", b"init"),
])
def test_ways_to_name_an_application(daemon, spec, answer):
    files = {"package/__init__.py": "from app import text\napplication = lambda e, s: text(s, 'init')",
             "package/module.py": "from app import text\napp = lambda e, s: text(s, 'package')"}
    assert serve(daemon, f"[wsgi /]\napp = {spec}", files).get("/")[::2] == (200, answer)


@pytest.mark.parametrize("args", [["-m", "app:named"], ["app:named"], ["app.py:named"],
                                  ["--chdir", "sub", "app:named"]])
def test_without_an_ini_file(daemon, args):
    files = {"app.py": APP, "sub/app.py": APP.replace("'named'", "'below'")}
    server = daemon(None, files, args=[*args, "-b", "127.0.0.1:0"])
    assert server.get("/")[2] == (b"below" if "sub" in args else b"named")


# ---- files ----

NAME = """
import sys

def application(environ, start_response):
    start_response('200 OK', [])
    return ['\\n'.join([__name__, __file__, str(__package__), *sys.path]).encode()]

app = application
"""
FILES = {"hello.py": NAME, "shop/__init__.py": "", "shop/web/__init__.py": "", "shop/web/wsgi.py": NAME,
         "shop/web/again.py": "from .wsgi import application", "shop.wsgi": NAME, "other.wsgi": NAME,
         "apart/app.py": NAME, "apart/app.wsgi": "import helper\n" + NAME, "apart/helper.py": "",
         "apart/my-app.py": NAME}


@pytest.mark.parametrize("spec, name, file, package, directory", [
    ("hello.py", "hello", "hello.py", "", ""),
    ("hello.py:app", "hello", "hello.py", "", ""),
    ("./hello.py:app", "hello", "hello.py", "", ""),
    ("shop/web/wsgi.py", "shop.web.wsgi", "shop/web/wsgi.py", "shop.web", ""),
    ("shop/web/again.py", "shop.web.wsgi", "shop/web/wsgi.py", "shop.web", ""),
    ("shop/__init__.py:web.wsgi.app", "shop.web.wsgi", "shop/web/wsgi.py", "shop.web", ""),
    ("apart/app.py", "app", "apart/app.py", "", "apart"),
    ("apart/app.wsgi", "wsgi_file_DIR_apart_app_wsgi", "apart/app.wsgi", "None", "apart"),
    ("apart/my-app.py:app", "wsgi_file_DIR_apart_my_app_py", "apart/my-app.py", "None", "apart"),
    ("other.wsgi", "wsgi_file_DIR_other_wsgi", "other.wsgi", "None", ""),
    ("./shop.wsgi", "wsgi_file_DIR_shop_wsgi", "shop.wsgi", "None", ""),
])
def test_application_in_a_file(daemon, spec, name, file, package, directory):
    """One that can be imported has its proper name; what it imports beside itself is found in any case."""
    files = {**FILES, "shop/__init__.py": "from .web import wsgi"} if "__init__" in spec else FILES
    server = daemon(f"[wsgi /]\napp = {spec}", files)
    found = server.get("/")[2].decode().split("\n")
    name = name.replace("DIR", re.sub(r"\W", "_", str(server.dir)[1:]))
    assert found[:3] == [name, f"{server.dir}/{file}", package]
    assert os.path.normpath(f"{server.dir}/{directory}") in found[3:]


def test_absolute_path(daemon, tmp_path):
    (tmp_path / "app.wsgi").write_text(NAME)
    server = daemon(f"[wsgi /]\napp = {tmp_path}/app.wsgi")
    assert server.get("/")[2].decode().split("\n")[1] == f"{tmp_path}/app.wsgi"


def test_relative_path_begins_at_chdir(daemon):
    server = daemon("[wsgi /]\napp = app.wsgi\nchdir = apart", FILES)
    assert server.get("/")[2].decode().split("\n")[1] == f"{server.dir}/apart/app.wsgi"


def test_module_has_precedence_over_a_file_of_its_name(daemon):
    files = {**FILES, "shop/wsgi.py": NAME}
    assert daemon("[wsgi /]\napp = shop.wsgi", files).get("/")[2].decode().startswith("shop.wsgi\n")


def test_files_of_the_same_name(daemon):
    """Two projects in one process: the second app.py is not taken for the first. One file is loaded once."""
    files = {"a/app.py": STATE_FILE, "b/app.py": STATE_FILE}
    paths = ["a/app.py", "b/app.py", "b/app.py", "a/app.py"]
    ini = "".join(f"[wsgi /{n}]\napp = {path}\n" for n, path in enumerate(paths))
    server = daemon(ini, files)
    answers = [server.get(f"/{n}")[2].decode() for n in (0, 0, 1, 2, 3)]
    assert answers == [f"{server.dir}/a/app.py 0", f"{server.dir}/a/app.py 1", f"{server.dir}/b/app.py 0",
                       f"{server.dir}/b/app.py 1", f"{server.dir}/a/app.py 2"]


STATE_FILE = """
import itertools
counter = itertools.count()

def application(environ, start_response):
    start_response('200 OK', [])
    return [f'{__file__} {next(counter)}'.encode()]
"""


@pytest.mark.parametrize("spec, files, expected", [
    ("missing", {}, "ModuleNotFoundError: No module named 'missing'"),
    ("app:missing", {}, "AttributeError: module 'app' has no attribute 'missing'"),
    ("app:number", {}, "TypeError: app:number is no WSGI application: an object of type int cannot be called"),
    ("none.py", {}, r"FileNotFoundError: \[Errno 2\] No such file or directory: '/.*/none.py'"),
    ("sub/none.wsgi:x", {}, r"FileNotFoundError: \[Errno 2\] No such file or directory: '/.*/sub/none.wsgi'"),
    ("./sub", {"sub/x": ""}, r"IsADirectoryError: \[Errno 21\] Is a directory: '/.*/sub'"),
    ("./bad.wsgi", {"bad.wsgi": "\n1/0"}, 'File "/.*/bad.wsgi", line 2, in <module>\n(.*\n)*?.*ZeroDivisionError'),
    ("bad.wsgi", {"bad.wsgi": "import no_such"}, "ModuleNotFoundError: No module named 'no_such'"),
    ("shop.wsgi", {"shop.wsgi": "", "shop/__init__.py": "", "shop/wsgi.py": "import no_such"}, "named 'no_such'"),
    ("shop/wsgi.py", {"shop/__init__.py": "import no_such", "shop/wsgi.py": "import no_such"}, "named 'no_such'"),
    ("shop/wsgi.py", {"shop/__init__.py": "1/0", "shop/wsgi.py": ""}, "ZeroDivisionError"),
    ("nul.wsgi", {"nul.wsgi": "x = 1\0"}, "ValueError: embedded null byte"),
    # what the module has instead
    ("flasky", {"flasky.py": "from app import named as app, create_app, text"},
     r"AttributeError: module 'flasky' has no attribute 'application'; it has app, create_app\(\): write flasky:app\n"),
    ("./flasky.py:aap", {"flasky.py": "from app import named as app"}, "it has app: write ./flasky.py:app\n"),
    ("bare", {"bare.py": "x = 5\nclass Shop: pass"}, "module 'bare' has no attribute 'application'\n"),
    ("app:Site.missing", {}, "type object 'Site' has no attribute 'missing'\n"),
    ("app:", {}, "ValueError: app: must be written as module:attribute, such as shop.wsgi:application"),
    (":named", {}, "ValueError: :named must be written as module:attribute"),
    ("app:missing()", {}, "NameError: name 'missing' is not defined"),
    ("app:create_app(1/0)", {}, "ZeroDivisionError"),
    ("app:create_app(", {}, "SyntaxError"),
    ("bad", {"bad.py": "import os\nraise KeyError('while importing')"}, 'bad.py", line 2.*\n(.*\n)*?.*while importing'),
    ("bad", {"bad.py": "def f(:"}, "SyntaxError"),
    ("bad", {"bad.py": "import sys; sys.exit(0)"}, "SystemExit: 0"),
    ("green", {"green.py": "import gevent.monkey\ndef application(e, s): pass", "gevent/__init__.py": "",
               "gevent/monkey.py": "saved = {'socket': {'socket': 1}}"}, "gevent has monkey-patched"),
    ("green", {"green.py": "import eventlet.patcher\ndef application(e, s): pass", "eventlet/__init__.py": "",
               "eventlet/patcher.py": "already_patched = {'socket': True}"}, "eventlet has monkey-patched"),
])
def test_application_that_cannot_be_loaded(run_server, spec, files, expected):
    done = run_server(ini=f"[wsgi /]\napp = {spec}", files={"app.py": APP, **files})
    assert done.returncode == 4, done
    assert re.search(rf"\[error\].* wsgi: cannot load the application: app = {re.escape(spec)}\n", done.stderr)
    assert re.search(expected, done.stderr), done.stderr


def test_missing_module_names_the_interpreter(run_server):
    done = run_server(ini="[wsgi /]\napp = nowhere", files={"app.py": APP})
    assert done.returncode == 4
    line, = re.findall(r".*\[error\].* wsgi: modules were looked for by .*", done.stderr)
    assert f"by {PYTHON_HOST}, without a virtualenv, in sys.path: ['" in line
    assert "/python3" in line.split("sys.path: ")[1]
    done = run_server(ini="[wsgi /]\napp = app", files={"app.py": "import nowhere"})
    assert "wsgi: modules were looked for by" in done.stderr


# ---- callables that are no WSGI applications ----

KINDS = """
import functools, unittest.mock, wsgiref.validate
from app import application as wsgi, create_app

def with_defaults(config=None, debug=False, *, other=1): pass
def factory(config=None): return wsgi
def needs(config): return wsgi
def three(a, b, c): pass
def optional(e, s, extra=None): return wsgi(e, s)
def keyword(e, s, *, extra): pass
async def asgi(scope, receive, send): pass
async def generator(scope, receive, send): yield
async def plain_async(environ, start_response): pass
def asgi2(scope): pass
def passes_on(scope, receive, send): return asgi(scope, receive, send)

class Wsgi:
    def __call__(self, environ, start_response): return wsgi(environ, start_response)
    @staticmethod
    def static(environ, start_response): return wsgi(environ, start_response)
    @classmethod
    def of_class(cls, environ, start_response): return wsgi(environ, start_response)
class Below(Wsgi): pass
class StaticCall:
    __call__ = staticmethod(wsgi)
class Asgi:
    async def __call__(self, scope, receive, send): pass
class AsgiBelow(Asgi):
    pass
class Asgi2:
    def __init__(self, scope): pass
    async def __call__(self, receive, send): pass
class Endpoint:
    def __init__(self, scope, receive, send): pass
    def __await__(self): yield
class Response:
    def __init__(self, environ, start_response): start_response('200 OK', [])
    def __iter__(self): return iter([b'x'])
class CallableResponse(Response):
    def __call__(self, environ, start_response): pass
class Anything:
    def __getattr__(self, name): return name
    def __call__(self, *args): return wsgi(*args)

def decorator(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs): return function(*args, **kwargs)
    return wrapper

instance, below, static_call, anything = Wsgi(), Below(), StaticCall(), Anything()
method, static, of_class = instance.__call__, Wsgi.static, Wsgi.of_class
partial = functools.partial(lambda config, e, s: wsgi(e, s), 1)
decorated, validated = decorator(wsgi), wsgiref.validate.validator(wsgi)
lambda_, mock, in_c = lambda *args: wsgi(*args), unittest.mock.MagicMock(), max
asgi_instance, asgi_below = Asgi(), AsgiBelow()
asgi_method = asgi_instance.__call__
asgi_partial = functools.partial(functools.partial(asgi), send=None)
"""


@pytest.mark.parametrize("name", [
    "wsgi", "optional", "instance", "below", "static_call", "anything", "method", "static", "of_class", "partial",
    "decorated", "validated", "lambda_", "mock", "in_c", "Response", "CallableResponse", "create_app()", "Wsgi()",
    "with_defaults"])
def test_callables_that_may_be_applications(run_server, name):
    done = run_server(["--check=app"], f"[wsgi /]\napp = kinds:{name}", {"app.py": APP, "kinds.py": KINDS})
    assert done.returncode == 0, done.stderr


ASYNC = "an async callable of three arguments: scope, receive and send"


@pytest.mark.parametrize("name, says", [
    *((name, rf"is an ASGI application \({ASYNC}\)\. This server serves WSGI applications")
      for name in ("asgi", "generator", "asgi_instance", "asgi_below", "asgi_method", "asgi_partial", "Asgi()")),
    ("passes_on", r"is an ASGI application \(a callable of scope, receive and send\)"),
    ("asgi2", r"is an ASGI application \(a callable of scope, version 2 of ASGI\)"),
    *((name, r"is an ASGI application \(a class whose instances are async\)")
      for name in ("Asgi", "Asgi2", "Endpoint")),
    ("plain_async", "is an async function: a WSGI application is a plain function of environ and start_response"),
    ("factory",
     r"it does not take two arguments, environ and start_response; if it makes one, write kinds:factory\(\)"),
    ("needs",
     r"it does not take two arguments, environ and start_response; if it makes one, write kinds:needs\(\.\.\.\)"),
    ("three", r"it does not take two arguments, environ and start_response; if"),
    ("keyword", r"it does not take two arguments, environ and start_response; if"),
    ("Wsgi", r"is a class whose instances are WSGI applications: write kinds:Wsgi\(\)"),
    ("needs(1).__name__", "an object of type str cannot be called"),
])
def test_callables_that_are_no_applications(run_server, name, says):
    done = run_server(["--check=app"], f"[wsgi /]\napp = kinds:{name}", {"app.py": APP, "kinds.py": KINDS})
    assert done.returncode == 4, done
    assert re.search(rf"TypeError: kinds:{re.escape(name)} .*{says}", done.stderr), done.stderr


def test_asgi_application_of_django(run_server):
    """Its name leads to the WSGI application that the project has too."""
    files = {"shop/__init__.py": "", "shop/asgi.py": "async def application(scope, receive, send): pass"}
    done = run_server(ini="[wsgi /]\napp = shop.asgi", files=files)
    assert done.returncode == 4 and "workers cannot start: giving up" in done.stderr
    assert ": name one (of a Django project: shop.wsgi:application), or run this one in" in done.stderr


def test_gevent_without_monkey_patching_is_no_error(daemon):
    files = {"green.py": "import gevent.monkey\nfrom app import application", "gevent/__init__.py": "",
             "gevent/monkey.py": "saved = {}"}
    assert serve(daemon, "[wsgi /]\napp = green", files).get("/")[2] == b"application"


def test_app_is_required(run_server):
    done = run_server(ini="[wsgi /]")
    assert done.returncode == 78 and '"app"' in done.stderr


WHICH = {"which.py": "", "other/which.py": "", "more/which.py": "", "sub/app.py": APP, "sub/which.py": ""}


def facts(server):
    return server.get("/")[2].decode().split("\n")


def test_directory_of_the_ini_file(daemon):
    server = serve(daemon, "[wsgi /]\napp = app:where", WHICH)
    assert facts(server)[:2] == [str(server.dir), f"{server.dir}/which.py"]
    assert facts(server)[4:] == ["None", "['syncless-server']"]


def test_chdir(daemon):
    server = daemon("[wsgi /]\napp = app:where\nchdir = sub", WHICH)
    assert facts(server)[:2] == [f"{server.dir}/sub", f"{server.dir}/sub/which.py"]


def test_pythonpath_comes_first_and_in_order(daemon):
    server = serve(daemon, "[wsgi /]\napp = app:where\npythonpath = other\npythonpath = more", WHICH)
    assert facts(server)[:2] == [str(server.dir), f"{server.dir}/other/which.py"]


def test_env(daemon):
    ini = "[wsgi /]\napp = app:where\nenv = MODE=a=b c\nenv = PYTHONPATH=%(here)/more"
    assert facts(serve(daemon, ini, WHICH))[4] == "a=b c"


@pytest.mark.parametrize("line, expected", [
    ("env = MODE", "env = MODE: must be NAME=VALUE"), ("env = =x", "env = =x: must be NAME=VALUE"),
    ("chdir = nowhere", "chdir = .*/nowhere: No such file"),
    ("[server]\npython = python3\n[wsgi]\nvirtualenv = plain",
     "virtualenv = .*/plain: is not a virtualenv"),
    ("[server]\npython = python3\n[wsgi]\nvirtualenv = old",
     "virtualenv = .*/old: was made for another Python version than 3.*python3, in which the server runs: leave out"),
])
def test_bad_surroundings(run_server, line, expected):
    done = run_server(ini=f"[wsgi /]\napp = app\n{line}", files={
        "app.py": APP, "old/pyvenv.cfg": "", "old/lib/python2.7/site-packages/x": "", "plain/x": ""})
    assert done.returncode == 3 and re.search(expected, done.stderr), done


def embedded_python(server):
    """sys.prefix and sys.executable of the bridge without a virtualenv."""
    return facts(server)[2:4]


def test_without_a_virtualenv_python_is_that_on_path(daemon):
    """A command of that name that is no Python is passed over."""
    files = {**WHICH, "bin/python3": "#!/bin/sh\nexit 1"}
    server = serve(daemon, "[wsgi /]\napp = app:where", files)
    prefix, executable = embedded_python(server)
    script = "import sys; print(sys.prefix, *sys.path, sep='\\n')"
    env = {**os.environ, "PATH": f"{server.dir}/bin:{os.environ['PATH']}"}
    expected = subprocess.run([executable, "-c", script], text=True, stdout=subprocess.PIPE, env=env, check=True).stdout
    assert prefix == expected.split("\n")[0]
    paths = "import sys\ndef application(e, s):\n    s('200 OK', [])\n    return ['\\n'.join(sys.path).encode()]"
    server = daemon("[wsgi /]\napp = paths", {"paths.py": paths}, env=env)
    assert server.get("/")[2].decode().split("\n")[1:] == expected.split("\n")[2:-1]


def test_virtualenv(daemon, tmp_path):
    _, executable = embedded_python(serve(daemon, "[wsgi /]\napp = app:where", WHICH))
    venv = tmp_path / "venv"
    subprocess.run([executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next(venv.glob("lib/python3.*/site-packages"))
    (site / "which.py").write_text("")
    ini = f"[wsgi]\nvirtualenv = {venv}\n[wsgi /]\napp = app:where\n[wsgi /b/]\napp = app:named"
    server = serve(daemon, ini)
    assert facts(server)[1:4] == [f"{site}/which.py", str(venv), f"{venv}/bin/python"]
    assert server.get("/b/")[2] == b"named"


STATE = """
import itertools
from app import text
counter = itertools.count()

def application(environ, start_response):
    return text(start_response, environ['SCRIPT_NAME'], next(counter))

def make():
    mine = itertools.count()
    return lambda environ, start_response: text(start_response, environ['SCRIPT_NAME'], next(mine))
"""


def test_several_instances_in_one_interpreter(daemon):
    """They share the modules, but not what their factories made."""
    ini = "".join(f"[wsgi /{name}/]\napp = state{what}\n" for name, what in
                  [("a", ""), ("b", ""), ("c", ":make()"), ("d", ":make()")])
    server = serve(daemon, ini, {"state.py": STATE})
    answers = [server.get(f"/{name}/")[2].decode().split("\n") for name in "abcda"]
    assert answers == [["/a", "0"], ["/b", "1"], ["/c", "0"], ["/d", "0"], ["/a", "2"]]


def test_one_bad_instance_is_enough(run_server):
    done = run_server(ini="[wsgi /a/]\napp = app\n[wsgi /b/]\napp = missing", files={"app.py": APP})
    assert done.returncode == 4 and re.search(r"\[wsgi /b/?\] cannot start", done.stderr)


def test_instances_must_agree_on_the_process(run_server):
    done = run_server(ini="[wsgi /a/]\napp = app\nchdir = .\n[wsgi /b/]\napp = app\nchdir = /", files={"app.py": APP})
    assert done.returncode == 78 and '"chdir" belongs to the whole process' in done.stderr


END = """
import atexit, sys, threading, time
from app import text

print('loaded', 'with', 'print')
atexit.register(lambda: print('atexit ran', file=sys.stderr))

def forever():
    while True:
        time.sleep(0.001)

threading.Thread(target=forever, daemon=True).start()

def application(environ, start_response):
    threading.local().value = 1
    threading.Thread(target=forever, daemon=True).start()
    return text(start_response, 'ok')
"""


def test_atexit_runs_and_daemon_threads_do_not_hold_the_stop(daemon):
    server = serve(daemon, "[wsgi /]\napp = end\n[wsgi /b/]\napp = end", {"end.py": END})
    server.wait_log("loaded with print")  # line by line, although it is a pipe
    assert server.get("/")[2] == server.get("/b/")[2] == b"ok"
    assert server.stop() == 0
    assert server.log.count("atexit ran") == 1


def test_extension_modules_find_libpython(daemon):
    """The server has loaded libpython for one module only, but they need its symbols too."""
    code = "import _ctypes, ssl, sqlite3, lzma, decimal\nfrom app import application"
    assert serve(daemon, "[wsgi /]\napp = ext", {"ext.py": code}).get("/")[2] == b"application"


def test_several_workers(daemon):
    code = "import os\nfrom app import text\ndef application(e, s): return text(s, os.getpid())"
    server = serve(daemon, "[server]\nworkers = 2\n[wsgi /]\napp = pid", {"pid.py": code})
    server.wait_log("is ready", count=2)
    assert int(server.get("/")[2]) in server.worker_pids()
