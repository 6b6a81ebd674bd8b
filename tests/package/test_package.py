"""Where the package is found, its old names, and its life in the server's applications."""
import subprocess

from scripts import HEAD, PYTHON, ROOT, script


def test_plain_python_says_what_is_needed():
    done = subprocess.run(["/usr/bin/python3", "-c", "import syncless"], cwd=ROOT / "modules/wsgi", text=True,
                          stderr=subprocess.PIPE, timeout=30)
    assert done.returncode == 1
    assert "ImportError: the package syncless works in programs run by syncless-python" in done.stderr


def test_every_name_is_there(script):
    out = script("""
        print([name for name in syncless.__all__ if not hasattr(syncless, name)])
        print([name for name in syncless.__all__ if not (getattr(syncless, name).__doc__ or "").strip()])
        """)
    assert out == "[]\n[]\n"


def test_old_names(script, tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                    "-subj", "/CN=localhost"], check=True, capture_output=True, timeout=60)
    out = script("""
        key, cert = sys.argv[1:]
        listener = NonBlockingSocket(socket.AF_INET)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        def serve():
            sock = NonBlockingSslSocket(listener.accept()[0], keyfile=key, certfile=cert, server_side=True)
            sock.sendall(sock.recv(100).upper())
            sock.close()
        spawn(serve)
        client = NonBlockingSocket(socket.AF_INET)
        client.connect(listener.getsockname())
        tls = NonBlockingSslSocket(client)
        tls.sendall(b"hello")
        syncless.stdout.write(tls.recv(100).decode() + " " + str(tls.cipher() is not None) + " ")
        print(syncless.stdin is sys.stdin)
        """, str(key), str(cert))
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
        assert [server.get(path)[2] for path in ("/timeout", "/fan", "/fail", "/names")] == [b"1", b"45", b"ZeroDivisionError", b"1"]
    assert server.wait_log("coroutine failing failed")
    assert server.get("/leave")[2] == b"left"
    assert server.stop() == 0
    assert server.wait_log("background ends")


def test_installed(tmp_path):
    """It lies in the folder python beside the module, wherever that is."""
    prefix = tmp_path / "usr"
    build = PYTHON.parent
    library = prefix / "lib/syncless"
    (library / "python").mkdir(parents=True)
    (library / "wsgi.so").write_bytes((build / "modules/wsgi.so").read_bytes())
    (library / "python/syncless").symlink_to(ROOT / "modules/wsgi/syncless")
    (prefix / "bin/modules").mkdir(parents=True)
    (prefix / "bin/modules/wsgi.so").symlink_to(library / "wsgi.so")
    (prefix / "bin/syncless-python").write_bytes(PYTHON.read_bytes())
    (prefix / "bin/syncless-python").chmod(0o755)
    done = subprocess.run([prefix / "bin/syncless-python", "-c", HEAD + "print(syncless.__file__)"], cwd=tmp_path, text=True,
                          capture_output=True, timeout=60, check=True)
    assert done.stdout == f"{library}/python/syncless/__init__.py\n"
