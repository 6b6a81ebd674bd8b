"""The versions of all programs, for the results."""
import pathlib
import platform
import re
import subprocess

COMMANDS = {
    "syncless-server": "git describe --always --dirty",
    "node": "/usr/bin/node --version",
    "nginx": "nginx -v",
    "uwsgi": "uwsgi --version",
    "PostgreSQL": "psql --version",
    "CPython": "/usr/bin/python3 --version",
    "gcc": "gcc -dumpfullversion",
    "wrk": "dpkg-query -W -f ${Version} wrk",
}
PACKAGES = "gunicorn gevent eventlet waitress cheroot tornado twisted flask django psycopg2"


def say(command):
    try:
        done = subprocess.run(command, cwd=pathlib.Path(__file__).parent, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    except OSError:
        return "not installed"
    return done.stdout.strip()


def find():
    found = {name: say(command.split()).removeprefix(name).strip() for name, command in COMMANDS.items()}
    packages = ["gunicorn", *(f"python3-{name}" for name in PACKAGES.split())]
    lines = say(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *packages])
    found |= {name.removeprefix("python3-"): version for name, version in re.findall(r"^(\S+) (\d\S*)$", lines, re.M)}
    cpu = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    system = re.search(r'^PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text(), re.M)
    return found | {"kernel": platform.release(), "system": system[1] if system else "?",
                    "CPU": cpu[1] if cpu else platform.machine()}
