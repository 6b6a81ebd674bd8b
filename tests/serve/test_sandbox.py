"""sandbox = yes: workers are confined to the folders of the configuration, and start no programs unless asked."""
import ctypes
import json
import os
import pathlib
import sys

import pytest

from conftest import SANITIZED

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_LANDLOCK = 444
NO_LANDLOCK = LIBC.syscall(SYS_LANDLOCK, None, 0, 1) < 1

pytestmark = pytest.mark.skipif(SANITIZED or os.uname().machine != "x86_64",
                                reason="LeakSanitizer uses ptrace; numbers of system calls")
confined = pytest.mark.skipif(NO_LANDLOCK, reason="this kernel has no Landlock")

# Each of these says what came of it.
APP = """
import ctypes, errno, json, os, socket, sqlite3, subprocess, threading
LIBC = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    if LIBC.syscall(number, *args) < 0:
        raise OSError(ctypes.get_errno(), "")
def write(path):
    with open(path, "w") as file:
        file.write("x")
def thread():
    one = threading.Thread(target=int)
    one.start()
    one.join()
def fork():
    pid = os.fork()
    if not pid:
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
def try_all(folder):
    yield "read own", lambda: open(__file__).read()
    yield "read system", lambda: open("/etc/passwd").read()
    yield "import", lambda: __import__("xmlrpc.client")
    yield "read secret", lambda: open(folder + "/secret/file").read()
    yield "list secret", lambda: os.listdir(folder + "/secret")
    yield "write secret", lambda: write(folder + "/secret/new")
    yield "write own", lambda: write(os.path.dirname(__file__) + "/new")
    yield "write system", lambda: write("/etc/syncless-test")
    yield "write data", lambda: write(folder + "/data/new")
    yield "database", lambda: sqlite3.connect(folder + "/data/db").execute("create table t (a)")
    yield "rename data", lambda: os.rename(folder + "/data/new", folder + "/data/newer")
    yield "write /dev/null", lambda: write("/dev/null")
    yield "program", lambda: subprocess.run(["true"], check=True)
    yield "copied program", lambda: subprocess.run([folder + "/data/true"], check=True)
    yield "fork", fork
    yield "thread", thread
    yield "resolve", lambda: socket.getaddrinfo("localhost", 80)
    yield "unshare", lambda: LIBC.unshare(0x10000000) and call(272, 0x10000000)
    yield "ptrace", lambda: call(101, 0, 0, 0, 0)
    yield "bpf", lambda: call(321, 0, 0, 0)
    yield "mount", lambda: call(165, 0, 0, 0, 0, 0)
def app(environ, start_response):
    result = {}
    for name, run in try_all(environ["QUERY_STRING"]):
        try:
            run()
            result[name] = "done"
        except OSError as error:
            result[name] = errno.errorcode[error.errno]
        except Exception as error:
            result[name] = repr(error)
    start_response("200 OK", [])
    return [json.dumps(result).encode()]
"""
FILES = {"app/app.py": APP, "secret/file": "", "data/db": ""}
CALLS = {"unshare": "EPERM", "ptrace": "EPERM", "bpf": "EPERM", "mount": "EPERM"}


SCRIPT = "#!/bin/sh\necho Content-Type: text/plain; echo; echo hello $0\n"


@pytest.fixture
def tried(daemon):
    """tried(lines for [server], further sections) -> {what: "done" or the error}"""
    def run(lines="", more="", **options):
        files = {**FILES, "data/true": pathlib.Path("/bin/true").read_bytes(), "cgi/hello": SCRIPT}
        ini = f"[server]\nsandbox-write = data\n{lines}\n[wsgi]\nchdir = app\n[wsgi /]\napp = app:app\n{more}"
        server = daemon(ini, files, **options)
        server.wait_log("all workers are ready")
        (server.dir / "data/true").chmod(0o755)
        return server, json.loads(server.get(f"/?{server.dir}")[2])
    return run


@confined
@pytest.mark.parametrize("preload", ["no", "yes"])
def test_confined(tried, preload):
    server, result = tried(f"sandbox = yes\npreload = {preload}")
    assert result == {
        "read own": "done", "read system": "done", "import": "done", "read secret": "EACCES", "list secret": "EACCES",
        "write secret": "EACCES", "write own": "EACCES", "write system": "EACCES", "write data": "done",
        "database": "done", "rename data": "done", "write /dev/null": "done", "program": "EPERM",
        "copied program": "EPERM", "fork": "done", "thread": "done", "resolve": "done", **CALLS}
    assert "sandbox" not in server.log


@confined
def test_programs_if_asked(tried):
    """What was uploaded is still no program."""
    result = tried("sandbox = yes\nsandbox-exec = yes\nsandbox-read = secret")[1]
    assert {name: result[name] for name in ("program", "copied program", "read secret", "write secret", *CALLS)} == {
        "program": "done", "copied program": "EACCES", "read secret": "done", "write secret": "EACCES", **CALLS}


@confined
def test_scripts_run(tried):
    server, result = tried("sandbox = yes", "[cgi /cgi]\nroot = cgi\n[static /files]\nroot = secret\n")
    assert server.get("/cgi/hello")[2].decode().split() == ["hello", str(server.dir / "cgi/hello")]
    assert server.get("/files/file")[0] == 200
    assert (result["program"], result["read secret"], result["unshare"]) == ("done", "done", "EPERM")


def test_off_by_default(tried):
    assert {"read secret": "done", "write secret": "done", "program": "done"}.items() <= tried()[1].items()


# Makes a system call fail as in a kernel that does not have it, and executes a program.
WITHOUT = """
import ctypes, os, struct, sys
number, *command = sys.argv[1:]
code = b"".join(struct.pack("HBBI", *row) for row in (
    (0x20, 0, 0, 0), (0x15, 0, 1, int(number)), (0x06, 0, 0, 0x00050000 | 38), (0x06, 0, 0, 0x7fff0000)))
libc = ctypes.CDLL(None)
buffer = ctypes.create_string_buffer(code)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
os.execvp(command[0], command)
"""


@pytest.mark.parametrize("number, said", [
    (SYS_LANDLOCK, "this kernel has no Landlock .*, so workers may use all files"),
    (317, "this kernel has no seccomp filters for this machine, so workers may make all system calls")],
    ids=["landlock", "seccomp"])
def test_kernel_without(tried, number, said):
    server, result = tried("sandbox = yes", before=[sys.executable, "-c", WITHOUT, str(number)])
    server.wait_log(rf"\[warn\] .*#0 sandbox = yes: {said}")
    assert result["read secret"] == ("done" if number == SYS_LANDLOCK else "EACCES" if not NO_LANDLOCK else "done")
    assert result["ptrace"] == ("EPERM" if number == SYS_LANDLOCK else result["ptrace"])


def test_it_needs_no_new_privileges(run_server):
    done = run_server(["--check"], "[server]\nsandbox = yes\nno-new-privileges = no\n[hello /]\n")
    assert done.returncode == 78 and '"sandbox = yes" needs "yes"' in done.stderr
