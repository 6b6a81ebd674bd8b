"""The keys of gunicorn."""
from __future__ import annotations

import re
from typing import Dict, List, Optional

from .converter import Converter, bind_address, networks
from .result import Result, Setting, is_true
from .table import Row

class Gunicorn(Converter):
    server = "gunicorn"

    def __init__(self, rows: List[Row], result: Result, app: Optional[str]) -> None:
        super().__init__(rows, result, app)
        self.suffix = ""  # of addresses
        self.requests = 1
        self.worker_class = "sync"

    def convert_all(self, settings: List[Setting]) -> None:
        by_name = {setting.name: setting for setting in settings}
        proxy = by_name.get("proxy-protocol")
        if proxy and is_true(proxy.value):
            self.suffix = " proxy-protocol"
        worker_class = by_name["worker-class"].value if "worker-class" in by_name else "sync"
        self.worker_class = worker_class if isinstance(worker_class, str) else getattr(worker_class, "__name__", "")
        super().convert_all([setting for setting in settings if setting.value is not None])
        self.set_defaults(by_name)

    def on_bind(self, setting: Setting) -> None:
        addresses = setting.value if isinstance(setting.value, (list, tuple)) else str(setting.value).split(",")
        if setting.template is not None and bind_address(setting.template):
            addresses = [setting.template]
        else:
            setting.template = None
        for address in addresses:
            address = str(address).strip()
            has_port = ":" in address or address.startswith("/")
            self.bind(address if has_port else address + ":8000", setting, self.suffix)

    def on_proxy_protocol(self, setting: Setting) -> None:
        if is_true(setting.value):
            self.result.remark("server", f"Connections begin with the PROXY header, {setting.origin()}")

    def on_workers(self, setting: Setting) -> None:
        if "cpu" in setting.shown and setting.template is None:
            self.result.set("server", "workers", "auto", setting.origin(), "one for each CPU is enough")
        else:
            self.convert_by_row(setting)

    def on_worker_class(self, setting: Setting) -> None:
        if re.search("uvicorn|asgi", self.worker_class, re.I):
            self.result.remark("wsgi /", f"{setting.origin()}: the application is an ASGI application, which is not "
                                         "served so far: name a WSGI application")
        self.convert_by_row(setting)

    def on_threads(self, setting: Setting) -> None:
        self.requests = setting.value if isinstance(setting.value, int) else 1
        self.convert_by_row(setting)

    def on_worker_connections(self, setting: Setting) -> None:
        if self.worker_class not in ("sync", "gthread"):  # to these it says nothing of requests
            self.convert_by_row(setting)

    def on_raw_env(self, setting: Setting) -> None:
        for value in [setting.value] if isinstance(setting.value, str) else setting.value:
            self.result.set("wsgi", "env", str(value), setting.origin())

    def on_umask(self, setting: Setting) -> None:
        mask = int(setting.value, 0) if isinstance(setting.value, str) else int(setting.value)
        self.result.set("server", "umask", f"{mask:03o}", setting.origin())

    def on_reload_extra_files(self, setting: Setting) -> None:
        for path in [setting.value] if isinstance(setting.value, str) else setting.value:
            self.result.set("server", "reload-on-change", str(path), setting.origin())

    def on_forwarded_allow_ips(self, setting: Setting) -> None:
        value = setting.value if isinstance(setting.value, str) else ",".join(setting.value)
        for network in networks(value):
            self.result.set("server", "trusted-proxies", network, setting.origin())

    def on_limit_request_line(self, setting: Setting) -> None:
        if setting.value == 0:
            self.result.set("limits", "max-request-line", "1m", setting.origin(), "the largest that can be set")
        else:
            self.convert_by_row(setting)

    def on_syslog(self, setting: Setting) -> None:
        if is_true(setting.value):
            self.result.set("log", "error-log", "syslog", setting.origin())

    def on_access_log_format(self, setting: Setting) -> None:
        text = re.sub(r"%\((\w)\)s", lambda match: ATOMS.get(str(match[1]), str(match[0])), str(setting.value))
        text = re.sub(r"%\((\{[\w-]+\}[io])\)s", r"%\1", text)
        unknown = sorted(set(re.findall(r"%\([^)]*\)s", text)))
        if unknown:
            self.result.drop(f"\"log-format\" has nothing for {', '.join(unknown)}: see docs/logs.md", setting.origin())
        else:
            self.result.set("log", "log-format", text, setting.origin())

    def set_defaults(self, given: Dict[str, Setting]) -> None:
        """What gunicorn does without being asked for."""
        result = self.result
        self.finish_app()
        if not result.has("limits", "max-concurrency"):
            self.limit_concurrency(self.requests if self.worker_class in ("sync", "gthread") else 1000)
        if not result.has("server", "bind"):
            result.set("server", "bind", "127.0.0.1:8000" + self.suffix, "", "gunicorn's default")
        if "workers" not in given:
            result.set("server", "workers", "${WEB_CONCURRENCY:-1}", "", "gunicorn's default")
        result.set("limits", "max-body-size", "0", "", "gunicorn has no limit")
        if "forwarded-allow-ips" not in given:
            is_local = any(address.startswith("unix:") for address in result.get("server", "bind"))
            self.trust(["127.0.0.1", "::1"] + ["unix"] * is_local,
                       "gunicorn's default; here X-Forwarded-For is REMOTE_ADDR too")
        is_daemon = "daemon" in given and is_true(given["daemon"].value)
        if is_daemon and result.get("log", "error-log") in ([], ["stderr"]):
            result.set("log", "error-log", "syslog", "", "a daemon has no standard error")


# Its log format to ours.
ATOMS = {"h": "%(addr)", "l": "-", "u": "%(user)", "t": "[%(ltime)]", "r": "%(method) %(uri) %(proto)",
         "m": "%(method)", "U": "%(path)", "q": "%(query)", "H": "%(proto)", "s": "%(status)", "b": "%(size)",
         "B": "%(size)", "f": "%(referer)", "a": "%(uagent)", "D": "%(micros)", "M": "%(msecs)", "L": "%(secs)",
         "p": "%(pid)"}
