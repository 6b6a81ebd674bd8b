"""Where the package is found, its names, version and types, and its life in the server's applications."""
import ast
import re
import shutil
import subprocess
import textwrap

import pytest

from scripts import HEAD, PYTHON, ROOT, make_certificate, script

VERSION = re.search(r"^VERSION *= *(\S+)", (ROOT / "Makefile").read_text(), re.M)[1]


@pytest.mark.parametrize("statement", ["from syncless import spawn", "from syncless import *", "syncless.backdoor",
                                       "import syncless.wsgi", "from syncless.console import backdoor"])
def test_plain_python_says_what_is_needed(statement):
    done = subprocess.run(["/usr/bin/python3", "-c", f"import syncless\n{statement}"], cwd=ROOT / "modules/wsgi",
                          text=True, stderr=subprocess.PIPE, timeout=30)
    assert done.returncode == 1
    assert "ImportError: the package syncless works in programs run by syncless-python" in done.stderr


def test_plain_python_can_import_it():
    """For its version, its help, and tools that look at modules."""
    script = "import syncless; help(syncless); print(hasattr(syncless, 'nothing'))"
    for folder, version in [(PYTHON.parent / "modules/python", VERSION), (ROOT / "modules/wsgi", None)]:
        command = ["/usr/bin/python3", "-c", f"{script}\nprint(syncless.__version__)"]
        done = subprocess.run(command, cwd=folder, text=True, capture_output=True, timeout=30)
        assert "Coroutines for code in plain blocking style" in done.stdout and "\nFalse\n" in done.stdout
        why = "the package syncless is not installed"
        assert done.stdout.endswith(f"\n{version}\n") if version else why in done.stderr


# ---- which copy is found ----

COPY = {"syncless/__init__.py": "__version__ = 'copy'", "syncless/_inside.py": "",
        "syncless-9.9.dist-info/METADATA": "Metadata-Version: 2.1\nName: syncless\nVersion: 9.9\n"}
OWN = {"syncless.py": "__version__ = 'own'", "syncless-9.9.dist-info/METADATA": COPY["syncless-9.9.dist-info/METADATA"]}
OWN_PACKAGE = {"syncless/__init__.py": "__version__ = 'own'"}


SAME = {"syncless/__init__.py": "__version__ = 'same'", "syncless/_inside.py": "",
        f"syncless-{VERSION}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: syncless\nVersion: {VERSION}\n"}


@pytest.mark.parametrize("files, version, metadata", [
    (COPY, None, None), (SAME, "same", None), ({"syncless/data.txt": ""}, None, None), (OWN, "own", "9.9"),
    (OWN_PACKAGE, "own", "none")],
    ids=["other version", "same version", "folder", "own module", "own package"])
def test_package_of_the_server_takes_the_place_of_another_version(tmp_path, files, version, metadata):
    """What pip has installed may not fit to _syncless. But a program may have a package of that name."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    script = textwrap.dedent("""
        import importlib.metadata, sys, syncless
        try:
            print(syncless.__version__, importlib.metadata.version("syncless"))
        except importlib.metadata.PackageNotFoundError:
            print(syncless.__version__, "none")
        """)
    done = subprocess.run([PYTHON, "-c", script], cwd=tmp_path, text=True, stdout=subprocess.PIPE, timeout=30)
    assert done.stdout == f"{version or VERSION} {metadata or VERSION}\n"


def test_every_name_is_there(script):
    out = script("""
        print([name for name in syncless.__all__ if not hasattr(syncless, name)])
        print([name for name in syncless.__all__ if not (getattr(syncless, name).__doc__ or "").strip()])
        """)
    assert out == "[]\n[]\n"


def test_import_star_brings_what_is_in_all(script):
    """Not the names of 2010, nor readline, which changes the terminal, nor ssl, which takes long to load."""
    out = script("""
        here = {name for name in globals() if not name.startswith("__")}
        print(here - set(syncless.__all__) - {"socket", "sys", "threading", "time", "syncless"})
        print([name for name in ("readline", "rlcompleter", "ssl") if name in sys.modules])
        """)
    assert out == "set()\n[]\n"


def test_version_and_metadata(script):
    out = script("""
        import importlib.metadata as metadata
        print(syncless.__version__, metadata.version("syncless"), metadata.version("Syncless"))
        print([found.version for found in metadata.distributions() if found.metadata["Name"] == "syncless"])
        print(list(metadata.distributions(path=["/nowhere"])), list(metadata.distributions(name="no-such-thing")))
        """)
    assert out == f"{VERSION} {VERSION} {VERSION}\n[{VERSION!r}]\n[] []\n"


def test_the_stub_has_every_name_of_the_module(script):
    """_syncless.pyi is written by hand: names, parameters and the members of types must be those of the C code."""
    stub = {}
    for node in ast.parse((ROOT / "modules/wsgi/_syncless.pyi").read_text()).body:
        if isinstance(node, ast.FunctionDef):
            stub[node.name] = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            names = [inner.target.id if isinstance(inner, ast.AnnAssign) else inner.name for inner in node.body[1:]]
            stub[node.name] = sorted(names)
        elif isinstance(node, ast.AnnAssign):
            stub[node.target.id] = "str"
    module = script("""
        import _syncless, inspect
        seen = {}
        for name, value in vars(_syncless).items():
            if name.startswith("_"):
                pass
            elif isinstance(value, type):
                seen[name] = sorted(member for member in vars(value) if not member.startswith("_"))
            elif callable(value):
                kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
                parameters = inspect.signature(value).parameters.values()
                seen[name] = [found.name for found in parameters if found.kind not in kinds]
            else:
                seen[name] = type(value).__name__
        print(seen)
        """)
    assert ast.literal_eval(module) == stub


def test_old_names(script, tmp_path):
    cert, key = make_certificate(tmp_path)
    out = script("""
        key, cert = sys.argv[1:]
        listener = syncless.NonBlockingSocket(socket.AF_INET)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        def serve():
            sock = syncless.NonBlockingSslSocket(listener.accept()[0], keyfile=key, certfile=cert, server_side=True)
            sock.sendall(sock.recv(100).upper())
            sock.close()
        spawn(serve)
        client = syncless.NonBlockingSocket(socket.AF_INET)
        client.connect(listener.getsockname())
        tls = syncless.NonBlockingSslSocket(client)
        tls.sendall(b"hello")
        syncless.stdout.write(tls.recv(100).decode() + " " + str(tls.cipher() is not None) + " ")
        print(syncless.stdin is sys.stdin)
        """, key, cert)
    assert out == "HELLO True True\n"


def test_time_outs_of_sockets(script):
    """The original's testTimeout: 0 is EAGAIN, a short one "timed out", and a file has the socket's."""
    out = script("""
        near, far = socket.socketpair()
        near.settimeout(0)
        try:
            near.recv(1)
        except BlockingIOError as error:
            print(error.errno)
        near.settimeout(0.002)
        for wait in lambda: near.recv(1), near.makefile("rb").readline:
            try:
                wait()
            except socket.timeout as error:
                print(error)
        """)
    assert out == "11\ntimed out\ntimed out\n"


def test_files_and_readers(script):
    """The original's nbfile_test: two readers of one socket, a line of 1 MB through a pipe, 200 KB to the end."""
    out = script("""
        import os
        near, far = socket.socketpair()
        readers = [spawn(near.recv, 1) for _ in range(2)]
        yield_now()
        far.sendall(b"ab")
        print(sorted(co.get() for co in readers))
        for size, end in (1000000, b"\\n"), (200000, b""):
            out, into = os.pipe()
            def write():
                with open(into, "wb") as file:
                    file.write(b"x" * size + end)
            writer = spawn(write)
            with open(out, "rb") as file:
                print(len(file.readline() if end else file.read()), writer.join())
        """)
    assert out == "[b'a', b'b']\n1000001 True\n200000 True\n"


APP = """
import time
import syncless

def application(environ, start_response):
    kind = environ["PATH_INFO"][1:]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if kind == "timeout":
        with syncless.Timeout(0.05, False) as limit:
            time.sleep(60)
        return [b"%d" % limit.expired]
    if kind == "fan":
        return [b"%d" % sum(co.get() for co in [syncless.spawn(lambda n: time.sleep(0.05) or n, n) for n in range(10)])]
    if kind == "fail":
        co = syncless.spawn(lambda: 1 / 0)
        co.name = "failing"
        co.join()
        return [type(co.exception).__name__.encode()]
    if kind == "names":
        here = syncless.current()
        return [b"%d" % (here in syncless.coroutines() and here is syncless.current() and here.alive)]
    syncless.spawn(background)
    return [b"left"]

def background():
    try:
        time.sleep(60)
    finally:
        print("background ends", flush=True)
"""


def test_in_applications_of_the_server(daemon):
    server = daemon("[wsgi /]\napp = app\n", {"app.py": APP})
    for _ in range(2):  # the second one on the pooled coroutine of the first
        answers = [server.get(path)[2] for path in ("/timeout", "/fan", "/fail", "/names")]
        assert answers == [b"1", b"45", b"ZeroDivisionError", b"1"]
    assert server.wait_log("coroutine failing failed")
    assert server.get("/leave")[2] == b"left"
    assert server.stop() == 0
    assert server.wait_log("background ends")


def test_installed(tmp_path):
    """The package is in the folder python beside the modules, wherever these are."""
    prefix, build = tmp_path / "usr", PYTHON.parent
    library = prefix / "lib/syncless"
    (library / "modules/python").mkdir(parents=True)
    (prefix / "bin").mkdir()
    for path in [*build.glob("modules/wsgi-*.so"), build / "libsyncless.so", build / "libraries.so"]:
        shutil.copy(path, library / path.relative_to(build))
    (library / "modules/python/syncless").symlink_to(ROOT / "modules/wsgi/syncless")
    shutil.copy(PYTHON, prefix / "bin")
    done = subprocess.run([prefix / "bin/syncless-python", "-c", HEAD + "print(syncless.__file__)"], cwd=tmp_path,
                          text=True, capture_output=True, timeout=60, check=True)
    assert done.stdout == f"{library}/modules/python/syncless/__init__.py\n"
