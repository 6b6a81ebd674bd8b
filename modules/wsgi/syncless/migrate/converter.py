"""From the keys of one server to ours: what uWSGI and gunicorn have in common."""
from __future__ import annotations

import re
from typing import Callable, Dict, List, Optional

from .result import Result, Setting, is_true
from .table import Row, find_row

NUMBERS = ("COUNT", "SECONDS", "BYTES", "MEGABYTES")
PLACEHOLDER_APP = "your.module:application"

# The variables of log-format.
VARIABLES = {"addr", "user", "ltime", "time", "method", "uri", "path", "query", "proto", "host", "mount", "referer",
             "uagent", "request_id", "server", "port", "server_port", "status", "size", "rsize", "secs", "msecs",
             "micros", "queue_us", "cpu_us", "wait_us", "pid", "wid", "trace_id", "span_id"}

# ---- values ----

LEVELS = {"warning": "warn", "critical": "error", "fatal": "error", "trace": "debug"}


def seconds(value: str) -> str:
    if re.fullmatch(r"\d+\.\d+", value):
        return f"{round(float(value) * 1000)}ms"
    return value + "s" if value.isdigit() and int(value) else value


def networks(value: str) -> List[str]:
    return ["0.0.0.0/0", "::/0", "unix"] if value == "*" else split(value)


def split(value: str) -> List[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def convert(kind: str, value: str) -> List[str]:
    """The values of our key for one of theirs."""
    if kind == "FLAG":
        return ["yes"] if is_true(value) else []
    if kind == "LIST":
        return split(value)
    if kind == "NETWORKS":
        return networks(value)
    one: Dict[str, Callable[[str], str]] = {
        "SECONDS": seconds,
        "MEGABYTES": lambda text: text + "m" if text.isdigit() else text,
        "LEVEL": lambda text: LEVELS.get(text.lower(), text.lower()),
    }
    return [one[kind](value) if kind in one else value]


ADDRESS = re.compile(r"(|\*|localhost|[\d.]+|\[[\da-fA-F:.]+\]|\$\{[^}]*\}):(\d+|\$\{[^}]*\})")


def bind_address(text: str) -> Optional[str]:
    """Our form of an address, or None."""
    path = re.sub("^unix:(//)?", "", text)
    if path != text or text.startswith(("/", "@", "%(here)")) or re.search(r"\.sock(et)?$", text):
        return "unix:" + (path if path.startswith(("/", "@", "%(here)", "$")) else "%(here)/" + path)
    variable = re.fullmatch(r"\$\{\w+:-(.*)\}", text)
    if variable and bind_address(variable[1]) == variable[1]:
        return text
    tcp = re.sub("^tcp://", "", text)
    return tcp if ADDRESS.fullmatch(tcp) else None


class Converter:
    """What both servers have in common: a key is converted by its row of the table, unless there is a method for it."""

    server = ""

    def __init__(self, rows: List[Row], result: Result, app: Optional[str]) -> None:
        self.rows = rows
        self.result = result
        self.app = app  # from the command line
        self.reload: Optional[Setting] = None  # when files change

    def convert_all(self, settings: List[Setting]) -> None:
        for setting in settings:
            special: Optional[Callable[[Setting], None]]
            special = getattr(self, "on_" + setting.name.replace("-", "_"), None)
            if special:
                special(setting)
            else:
                self.convert_by_row(setting)

    def convert_by_row(self, setting: Setting) -> None:
        row = find_row(self.rows, self.server, setting.name)
        if row is None:
            self.result.drop("--migrate does not know this key", setting.origin())
        elif row.relation == "SAME" or (row.relation == "LIKE" and row.kind in NUMBERS):
            self.set_by_row(setting, row)
        elif row.relation == "LIKE":
            self.result.drop(f"here it is \"{row.key}\" in [{row.section}]: {row.note}", setting.origin())
        elif row.kind != "FLAG" or is_true(setting.value):
            self.result.drop(re.sub("^leave it out: ", "", row.note), setting.origin())

    def set_by_row(self, setting: Setting, row: Row) -> None:
        note = row.note if row.relation == "LIKE" or row.key == "request-timeout" else ""
        if setting.template is not None and row.kind in ("TEXT", "PATH", "COUNT", "SECONDS", "BYTES"):
            self.result.set(row.section, row.key, setting.template, setting.origin(has_template=True), note)
            return
        if row.kind in ("RELOAD", "RELOAD_EVERY"):
            self.reload = setting if is_true(setting.value) else None
            return
        for value in convert(row.kind, str(setting.value)):
            self.result.set(row.section, row.key, value, setting.origin(), note)

    def bind(self, address: str, setting: Setting, suffix: str = "", note: str = "") -> None:
        value = bind_address(address)
        if value:
            self.result.set("server", "bind", value + suffix, setting.origin(setting.template is not None), note)
        else:
            self.result.drop("write it as \"bind = HOST:PORT\" or \"bind = unix:/path\"; names are not resolved",
                             setting.origin())

    def finish_app(self) -> None:
        """There must be something to serve, and it is there that files change."""
        if self.reload:
            directory = self.result.get("wsgi", "chdir") or ["."]
            self.result.set("server", "reload-on-change", directory[0], self.reload.origin())
        if self.app:
            self.result.set("wsgi /", "app", self.app, "the command line")
        elif not any(self.result.has(title, "app") for title in self.result.sections):
            self.result.set("wsgi /", "app", PLACEHOLDER_APP, "",
                            "the file names none: write yours, MODULE:APP or FILE.py:APP")

    def limit_concurrency(self, count: int) -> None:
        requests = "1 request" if count == 1 else f"{count} requests"
        self.result.remark("limits", f"A worker ran at most {requests} at once, and now up to 10000. If each takes a "
                                     f"database connection: max-concurrency = {count}")

    def trust(self, networks: List[str], why: str) -> None:
        for network in networks:
            self.result.set("server", "trusted-proxies", network, "", why)
