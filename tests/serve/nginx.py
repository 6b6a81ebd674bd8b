"""nginx as an ordinary program, with files in a folder of the test's own."""
import re
import shutil
import socket
import subprocess

from conftest import ROOT, Daemon
from timeouts import TIMEOUT, wait_until


class Nginx:
    """One that runs until end(). `main` is its configuration; it listens on the Unix socket `path` unless `front` is an
    address that it says itself."""

    def __init__(self, folder, main, front=None):
        self.path, self.front = None if front else f"{folder}/front.sock", front
        common = f"daemon off; master_process off; pid {folder}/pid; error_log stderr;"
        (folder / "nginx.conf").write_text(f"{main}\n{common}\n")
        command = [shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-p", folder, "-c", folder / "nginx.conf"]
        with open(folder / "nginx.log", "w") as log:
            self.process = subprocess.Popen(command, stderr=log)
        wait_until(lambda: self.is_up() or self.process.poll() is not None)
        assert self.process.poll() is None, (folder / "nginx.log").read_text()

    def is_up(self):
        with socket.socket(socket.AF_UNIX if self.path else socket.AF_INET) as sock:
            return sock.connect_ex(self.path or self.front) == 0

    http, request, get = Daemon.http, Daemon.request, Daemon.get

    def end(self):
        self.process.terminate()
        self.process.wait(TIMEOUT)


def http_section(folder, lines):
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"events {{ worker_connections 512; }}\nhttp {{ access_log off; {temporary}\n{lines}\n}}"


def documented(folder, upstream, page="README.md", more=""):
    """Nginx with the lines of a page of ours, before a server on a Unix socket."""
    site = re.search(r"```nginx\n(.*?)```", (ROOT / page).read_text(), re.S)[1]
    site = re.sub(r"unix:/run/\S+\.sock", f"unix:{upstream}", site)
    site = site.replace("listen 80;", f"listen unix:{folder}/front.sock; {more}")
    return Nginx(folder, http_section(folder, f"client_max_body_size 20m;\n{site}"))
