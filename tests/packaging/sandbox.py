"""What applications do in the sandbox of the systemd unit: with `user` in the ini file, and with User= in a drop-in."""

APP = """
import ctypes, mmap, multiprocessing, os, socket, sqlite3, subprocess, tempfile, threading, time

def qsort():
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    numbers = (ctypes.c_int * 3)(3, 1, 2)
    ctypes.CDLL("libc.so.6").qsort(numbers, 3, 4, compare(lambda a, b: a[0] - b[0]))
    return list(numbers) == [1, 2, 3]

def jit():
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(b"\\xb8\\x2a\\0\\0\\0\\xc3")  # x86: return 42
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))() == 42

def child():
    queue = multiprocessing.get_context("fork").Queue()
    process = multiprocessing.get_context("fork").Process(target=queue.put, args=(42,))
    process.start()
    answer = queue.get()
    process.join()
    return answer == 42

def is_refused(function, *args):
    try:
        function(*args)
    except OSError:
        return True

CHECKS = {
    "callback": qsort,
    "code": lambda: os.uname().machine != "x86_64" or jit(),
    "child": child,
    "program": lambda: subprocess.check_output(["id", "-un"], text=True).strip() == "shop",
    "thread": lambda: threading.Thread(target=time.sleep, args=(0.01,)).start() is None,
    "name": lambda: socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM) != [],
    "addresses": lambda: socket.if_nameindex() != [],
    "semaphore": lambda: multiprocessing.Lock().acquire(),
    "temporary": lambda: tempfile.TemporaryFile().write(b"x") == 1,
    "memory": lambda: "MemTotal" in open("/proc/meminfo").read(),
    "database": lambda: sqlite3.connect("/home/shop/db").execute("pragma user_version = 1") is not None,
    "priority": lambda: os.nice(1) == 1,
    "no other process": lambda: not os.path.exists("/proc/1"),
    "no disk": lambda: not os.path.exists("/dev/sdz"),
    "/usr is read-only": lambda: is_refused(open, "/usr/written", "w"),
    "no namespaces": lambda: subprocess.run(["unshare", "--user", "true"], stderr=subprocess.DEVNULL).returncode,
}

def application(environ, start_response):
    failed = []
    for name, check in CHECKS.items():
        try:
            if not check():
                failed.append(name)
        except Exception as error:
            failed.append(f"{name}: {error!r}")
    start_response("200 OK", [])
    return ["; ".join(failed or ["all is well"]).encode()]
"""
SCRIPT = """#!/bin/sh
printf 'Content-Type: text/plain\\n\\n'
grep -q 'NoNewPrivs:.*1' /proc/self/status && echo "script of $(id -un)"
"""
INI = """
[server]
bind = unix:/run/syncless/box/http.sock
bind = 127.0.0.1:80
socket-mode = 0660
pidfile = /run/syncless/box/pid
preload = {preload}
{user}
[log]
error-log = syslog
access-log = /var/log/syncless/box/access.log
[cgi /cgi]
root = /home/shop/cgi
[wsgi /]
app = app
chdir = /home/shop
"""
MASTER = "user = shop\nsocket-owner = www-data:www-data"  # it is root's
DROP_IN = "[Service]\nUser=shop\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"
UPGRADE = """
cd /run/syncless/box
old=$(cat pid)
kill -USR2 $old
until [ -e pid ] && curl -sS -o /dev/null http://127.0.0.1/cgi/script.sh; do sleep 0.1; done
sleep 1 # until the workers of the new one serve too
kill -QUIT $old
while [ -e /proc/$old ]; do sleep 0.1; done
"""


def write(check, run, path, text):
    check(run, f"mkdir -p $(dirname {path}) && cat >{path} <<'END'\n{text}\nEND\n")


def use(check, run):
    """Requests, a reload, and an upgrade to a new binary."""
    check(run, "systemctl restart syncless@box || { journalctl -b --no-pager -u syncless@box; false; }")
    check(run, "curl -sS --unix-socket /run/syncless/box/http.sock http://box/", "all is well")
    check(run, "curl -sS http://127.0.0.1/cgi/script.sh", "script of shop")
    check(run, "systemctl reload syncless@box")
    check(run, UPGRADE)
    check(run, "curl -sS http://127.0.0.1/", "all is well")
    check(run, "[ $(systemctl show --value -p MainPID syncless@box) = $(cat /run/syncless/box/pid) ]")
    check(run, "systemctl stop syncless@box")


def check_sandbox(check, run):
    check(run, "mknod -m 666 /dev/sdz c 1 3")
    check(run, "useradd --system --create-home shop && install -d -o shop /home/shop/cgi")
    write(check, run, "/home/shop/app.py", APP)
    write(check, run, "/home/shop/cgi/script.sh", SCRIPT)
    check(run, "chmod +x /home/shop/cgi/script.sh")
    write(check, run, "/etc/syncless/box.ini", INI.format(preload="no", user=MASTER))
    use(check, run)
    write(check, run, "/etc/syncless/box.ini", INI.format(preload="yes", user=""))
    write(check, run, "/etc/systemd/system/syncless@box.service.d/user.conf", DROP_IN)
    check(run, "systemctl daemon-reload")
    use(check, run)
    check(run, "userdel --remove shop; rm -r /etc/syncless/box.ini /etc/systemd/system/syncless@box.service.d")
