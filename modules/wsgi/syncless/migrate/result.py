"""What was read from the other server's configuration, and the ini file that is made of it."""
from __future__ import annotations

import dataclasses
import re
import sys
from typing import Any, Dict, List, NoReturn, Optional, Tuple

LISTS = {"bind", "trusted-proxies", "env", "pythonpath", "reload-on-change", "index"}  # keys that may be repeated


def fail(text: str) -> NoReturn:
    sys.exit(f"syncless-server --migrate: {text}")


@dataclasses.dataclass
class Setting:
    """A key of the other server. The value is text, or any object of gunicorn's."""
    name: str  # in kebab case
    value: Any
    place: str  # "line 5"; "" if it is not known
    shown: str = ""  # key and value as the file has them
    template: Optional[str] = None  # the value, written with ${VARIABLE}
    here: str = ""  # the value, if it may be another one elsewhere

    def origin(self, has_template: bool = False) -> str:
        """Where it comes from, for a comment."""
        here = f" (here {self.here})" if self.here and not has_template else ""
        return (f"{self.place}: " if self.place else "") + self.shown + here


def is_true(value: Any) -> bool:
    return str(value).strip().lower() not in ("false", "no", "off", "0", "none", "")


def escape(text: str) -> str:
    """Text in which nothing is replaced."""
    return text.replace("${", "$${")


class Result:
    """The ini file: sections with their lines, and what could not be converted."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sections: Dict[str, List[Tuple[str, str, str, str]]] = {}  # title: (key, value, origin, note)
        self.rest: List[str] = []
        self.remarks: Dict[str, List[str]] = {}  # title: comments above its keys

    def set(self, section: str, key: str, value: str, origin: str = "", note: str = "") -> None:
        lines = self.sections.setdefault(section, [])
        if re.search(r"\s;|\n", value) or value != value.strip():
            self.drop(f"{key} = {value!r} cannot be written in an ini file", origin)
            return
        same = [line for line in lines if line[0] == key and (key not in LISTS or line[1] == value)]
        for line in same:  # as in other servers, the last one counts
            lines.remove(line)
            if line[1] != value:
                self.drop(f"replaced by {origin}", line[2])
        lines.append((key, value, origin, note))

    def has(self, section: str, key: str) -> bool:
        return any(line[0] == key for line in self.sections.get(section, []))

    def get(self, section: str, key: str) -> List[str]:
        return [line[1] for line in self.sections.get(section, []) if line[0] == key]

    def drop(self, why: str, origin: str) -> None:
        self.rest.append(f"{origin}: {why}" if origin else why)

    def remark(self, section: str, text: str) -> None:
        self.sections.setdefault(section, [])
        self.remarks.setdefault(section, []).append(text)

    def write(self) -> str:
        order = ["server", "log", "limits", "wsgi"]
        titles = sorted(self.sections, key=lambda title: (order.index(title) if title in order else 9, title))
        out = [f"; {self.source} as an ini file of syncless-server. Read it, then: syncless-server --check=app -c FILE"]
        if any(is_relative(key, value) for lines in self.sections.values() for key, value, _, _ in lines):
            out += [f"; Keep it in the directory of {self.source}: relative paths begin there, as does %(here)."]
        for title in titles:
            out += ["", f"[{title}]", *(comment(text) for text in self.remarks.get(title, []))]
            for key, value, origin, note in self.sections[title]:
                out += [comment(f"{key}: {note}")] if note and comment(f"{key}: {note}") not in out[-3:] else []
                out += [f"{f'{key} = {value}':<39} {comment(origin)}" if origin else f"{key} = {value}"]
        if self.rest:
            out += ["", "; Without a counterpart here:", *map(comment, self.rest)]
        return "\n".join(out) + "\n"


def is_relative(key: str, value: str) -> bool:
    paths = ("chdir", "virtualenv", "pythonpath", "pidfile", "error-log", "access-log", "root", "reload-on-change",
             "chroot")
    words = ("stderr", "syslog", "off")
    return "%(here)" in value or (key in paths and value not in words and not value.startswith(("/", "$")))


def comment(text: str) -> str:
    return "; " + " ".join(text.split())
