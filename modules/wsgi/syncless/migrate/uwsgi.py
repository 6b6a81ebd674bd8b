"""The keys of uWSGI."""
from __future__ import annotations

import dataclasses
import re
from typing import List, Optional

from .converter import VARIABLES, Converter, bind_address
from .result import Result, Setting, is_true
from .table import Row, find_row


class Uwsgi(Converter):
    server = "uWSGI"

    def __init__(self, rows: List[Row], result: Result, app: Optional[str]) -> None:
        super().__init__(rows, result, app)
        self.module: Optional[Setting] = None
        self.callable: Optional[Setting] = None
        self.mounts: List[Setting] = []
        self.requests = 1  # that a worker runs at once
        self.logs_requests = True

    def on_http(self, setting: Setting) -> None:
        self.bind(setting.value, setting)

    on_http_socket = on_http

    def convert_all(self, settings: List[Setting]) -> None:
        self.speaks_http = any(setting.name in ("protocol", "socket-protocol") and setting.value == "http"
                               for setting in settings)
        super().convert_all(settings)

    def on_protocol(self, setting: Setting) -> None:
        if not self.speaks_http:
            self.result.drop("only HTTP is spoken", setting.origin())

    on_socket_protocol = on_protocol

    def on_socket(self, setting: Setting) -> None:
        if self.speaks_http:
            self.on_http(setting)
            return
        row = find_row(self.rows, self.server, setting.name)
        self.bind(setting.value, setting, note=row.note if row else "")
        local = bind_address(setting.value) or ""
        self.trust(["unix" if local.startswith("unix:") else "127.0.0.1"],
                   "the proxy tells who the client is, by X-Forwarded-For and X-Forwarded-Proto, as uwsgi_params did")

    on_uwsgi_socket = on_socket

    def on_processes(self, setting: Setting) -> None:
        computed = setting.value in ("%k", "@(exec://nproc)")
        self.result.set("server", "workers", "auto" if computed else setting.value, setting.origin())

    on_workers = on_processes

    def on_threads(self, setting: Setting) -> None:
        self.requests = int(setting.value) if setting.value.isdigit() else self.requests
        self.convert_by_row(setting)

    on_gevent = on_async = on_threads

    def on_module(self, setting: Setting) -> None:
        self.module = setting

    on_wsgi = on_module

    def on_wsgi_file(self, setting: Setting) -> None:
        self.module = dataclasses.replace(setting, value=file_app(setting.value))

    on_file = on_wsgi_file

    def on_callable(self, setting: Setting) -> None:
        self.callable = setting

    def on_mount(self, setting: Setting) -> None:
        self.mounts.append(setting)

    def set_mount(self, setting: Setting) -> None:
        prefix, equals, app = setting.value.partition("=")
        if equals and "/" in prefix:
            self.result.set(f"wsgi {prefix}", "app", self.with_callable(file_app(app) if is_file(app) else app),
                            setting.origin())
        else:
            self.convert_by_row(setting)

    def with_callable(self, app: str) -> str:
        return app if ":" in app or not self.callable else f"{app}:{self.callable.value}"

    def on_static_map(self, setting: Setting) -> None:
        prefix, equals, root = setting.value.partition("=")
        if equals and prefix.startswith("/") and not re.search(r"\.\w+$", root):
            self.result.set(f"static {prefix.rstrip('/') or '/'}", "root", root, setting.origin())
        else:
            self.result.drop("a mount of [static] is a directory: [static /prefix] with root = DIRECTORY",
                             setting.origin())

    on_static_map2 = on_static_map

    def on_chmod_socket(self, setting: Setting) -> None:
        mode = setting.value if re.fullmatch("[0-7]{3,4}", setting.value) else "666"
        self.result.set("server", "socket-mode", mode, setting.origin())

    on_chmod = on_chmod_socket

    def on_buffer_size(self, setting: Setting) -> None:
        if setting.value.isdigit() and int(setting.value) <= 32768:
            self.result.drop("\"max-header-size\" is 32k by default, which is enough", setting.origin())
        else:
            self.convert_by_row(setting)

    def on_touch_reload(self, setting: Setting) -> None:
        if setting.value == f"%(here)/{self.result.source}":
            self.result.drop("use \"syncless-server -s reload\"", setting.origin())
        else:
            self.convert_by_row(setting)

    on_touch_workers_reload = on_touch_chain_reload = on_fs_reload = on_touch_reload

    def on_env(self, setting: Setting) -> None:
        self.result.set("wsgi", "env", setting.value if "=" in setting.value else setting.value + "=", setting.origin())

    def on_pythonpath(self, setting: Setting) -> None:
        if set("*?[") & set(setting.value):
            self.result.drop("write each directory as a line \"pythonpath = DIRECTORY\"", setting.origin())
        else:
            self.convert_by_row(setting)

    on_pp = on_python_path = on_pythonpath

    def on_daemonize(self, setting: Setting) -> None:
        self.result.set("server", "daemonize", "yes", setting.origin())
        self.on_logto(setting)

    on_daemonize2 = on_daemonize

    def on_logto(self, setting: Setting) -> None:
        if re.fullmatch(r"[^/]*:\d+", setting.value):
            self.result.drop("logs are not sent over the network: write \"error-log = syslog\"", setting.origin())
        else:
            self.result.set("log", "error-log", setting.value, setting.origin())

    on_logto2 = on_logto

    def on_logger(self, setting: Setting) -> None:
        self.log("error-log", setting)

    def on_req_logger(self, setting: Setting) -> None:
        self.log("access-log", setting)

    def on_log_syslog(self, setting: Setting) -> None:
        self.result.set("log", "error-log", "syslog", setting.origin())

    def log(self, key: str, setting: Setting) -> None:
        """Its loggers are written KIND:ARGUMENTS."""
        kind, _, path = re.sub(r"^\w+ ", "", setting.value).partition(":")
        known = {"file": path, "stdio": "stderr", "syslog": "syslog"}
        if known.get(kind):
            self.result.set("log", key, known[kind], setting.origin())
        else:
            self.result.drop(f"\"{key}\" in [log] is stderr, syslog or a file", setting.origin())

    def on_disable_logging(self, setting: Setting) -> None:
        self.logs_requests = not is_true(setting.value)

    def on_log_format(self, setting: Setting) -> None:
        text = re.sub(r"%\((r?)size\)", lambda match: "%(size)" if match[1] else "%(rsize)", setting.value)
        unknown = sorted(set(re.findall(r"%\(([\w.]+)\)", text)) - VARIABLES)
        if unknown:
            self.result.drop(f"\"log-format\" has no {', '.join(unknown)}: see docs/logs.md", setting.origin())
        else:
            self.result.set("log", "log-format", text, setting.origin())

    def finish(self) -> None:
        """What takes several keys, and what uWSGI does without being asked for."""
        for mount in self.mounts:
            self.set_mount(mount)
        if self.module:
            self.result.set("wsgi /", "app", self.with_callable(self.module.value), self.module.origin())
        self.finish_app()
        self.limit_concurrency(self.requests)
        if not self.result.has("limits", "max-body-size"):
            self.result.set("limits", "max-body-size", "0", "", "uWSGI has no limit without limit-post")
        if self.logs_requests and not self.result.has("log", "access-log"):
            logs = self.result.get("log", "error-log")
            self.result.set("log", "access-log", logs[0] if logs else "stderr", "",
                            "uWSGI logs requests unless it has disable-logging")
        if not self.result.has("server", "bind"):
            self.result.remark("server", "The file has no address; without one it is bind = 127.0.0.1:8080")


def is_file(app: str) -> bool:
    return "/" in app or app.endswith((".py", ".wsgi"))


def file_app(path: str) -> str:
    """A file is told from a module by a slash."""
    return path if "/" in path else "./" + path
