"""Files of uWSGI: ini, YAML and JSON, with its variables and its logic."""
from __future__ import annotations

import json
import os
import re
import socket
from typing import Dict, List, Optional, Tuple

from .result import Result, Setting, escape, fail
from .table import Row, find_row

MAX_DEPTH = 10  # of files that name each other
Pairs = List[Tuple[str, str, str]]  # key, value, "line 5"


def read_ini(text: str, section: str) -> Pairs:
    """As core/ini.c of uWSGI does it: no comments behind values, and a key alone is true."""
    pairs: Pairs = []
    current = ""
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip(" \t\r")
        if line.startswith("["):
            current = line[1:-1]
        elif line and line[0] not in ";#" and current == section:
            key, equals, value = line.partition("=")
            pairs.append((key.rstrip(), value.strip() if equals else "true", f"line {number}"))
    if not pairs:
        fail(f"there is no section [{section}] with keys in it")
    return pairs


def read_yaml(text: str, section: str) -> Pairs:
    """The part of YAML that uWSGI reads without libyaml, and lists: below the section, one key: value in each line."""
    pairs: Pairs = []
    key, inside = "", False
    for number, line in enumerate(text.split("\n"), 1):
        line = re.sub(r"(^|\s)#.*", "", line).rstrip()
        item = re.fullmatch(r"\s+-\s+(.*)", line)
        pair = re.fullmatch(r"\s+([\w-]+)\s*:\s*(.*)", line)
        if line and line[0] not in " \t":
            inside = line.rstrip(" :") == section
        elif inside and item and key:
            pairs.append((key, unquote(item[1]), f"line {number}"))
        elif inside and pair:
            key = pair[1]
            if pair[2]:
                pairs.append((key, unquote(pair[2]), f"line {number}"))
        elif inside and line:
            fail(f"line {number}: only \"KEY: VALUE\" and lists of values can be read: {line.strip()}")
    if not pairs:
        fail(f"there is no \"{section}:\" with keys below it")
    return pairs


def unquote(value: str) -> str:
    quoted = re.fullmatch(r"\"(.*)\"|'(.*)'", value)
    return (quoted[1] or quoted[2] or "") if quoted else value


def read_json(text: str, section: str) -> Pairs:
    try:
        data = json.loads(text)
    except ValueError as error:
        fail(f"this is no JSON: {error}")
    if not isinstance(data, dict) or not isinstance(data.get(section), dict):
        fail(f"there is no object \"{section}\"")
    pairs: Pairs = []
    for key, values in data[section].items():
        found = re.search(rf'"{re.escape(key)}"\s*:', text)
        place = f"line {text.count(chr(10), 0, found.start()) + 1}" if found else ""
        for value in values if isinstance(values, list) else [values]:
            pairs.append((key, json.dumps(value) if isinstance(value, (bool, dict)) else str(value), place))
    return pairs


def magic_values(path: str, section: str) -> Dict[str, str]:
    """What stands for % and a letter, see "Magic variables" in uWSGI's documentation."""
    full = os.path.abspath(path)
    directory, name = os.path.split(full)
    stem, dot, extension = name.rpartition(".")
    values = {"%": "%", "(": "%(", "d": "%(here)/", "p": f"%(here)/{name}", "s": name, "n": stem if dot else name,
              "e": extension, "c": os.path.basename(directory), "x": section, "o": path, "k": "%k", "v": os.getcwd(),
              "h": socket.gethostname(), "u": str(os.getuid()), "g": str(os.getgid()),
              **{str(n): part for n, part in enumerate(directory.strip("/").split("/")[:10])}}
    return {**values, **{letter.upper(): values[letter] for letter in "dpsnecxo"}}


class Expansion:
    """Replaces magic variables, placeholders and variables of the environment in values."""

    def __init__(self, pairs: Pairs, magic: Dict[str, str]) -> None:
        self.magic = magic
        self.defined: Dict[str, str] = {}
        self.used: Dict[str, bool] = {}  # keys that are placeholders of others
        for key, value, _ in pairs:
            if key in ("set", "set-placeholder", "set-ph"):
                key, _, value = value.partition("=")
            self.defined.setdefault(key, value)

    def expand(self, value: str, depth: int = 0) -> str:
        value = re.sub("%(.)", lambda match: self.magic.get(match[1], "") if match[1] != "(" else "%(", escape(value))
        value = value.replace("%(here)//", "%(here)/")
        value = re.sub(r"%\(([\w-]+)\)", lambda match: self.placeholder(match[1], depth), value)
        value = re.sub(r"\$\((\w+)\)", r"${\1}", value)
        return "%(here)" if value == "%(here)/" else value

    def placeholder(self, name: str, depth: int) -> str:
        if name == "here" or name not in self.defined or depth > 20:
            return f"%({name})"
        self.used[name] = True
        return self.expand(self.defined[name], depth + 1)


def read_pairs(path: str, section: str) -> Pairs:
    readers = {".yaml": read_yaml, ".yml": read_yaml, ".json": read_json, ".js": read_json}
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    return readers.get(os.path.splitext(path)[1], read_ini)(text, section)


def read_all(path: str, section: str, result: Result, depth: int = 0) -> Pairs:
    """The pairs of a file, with those of the files and sections that it names in their places."""
    pairs: Pairs = []
    magic = magic_values(path, section)
    for key, value, place in read_pairs(path, section):
        if depth:
            place = f"{os.path.basename(path)} [{section}] {place}"
        if key not in ("ini", "yaml", "yml", "json", "include", "inherit"):
            pairs.append((key, value, place))
            continue
        name = re.sub("%(.)", lambda match: magic.get(match[1], ""), value)
        name = name.replace("%(here)", os.path.dirname(path) or ".")
        file, colon, other = name.partition(":")
        if depth < MAX_DEPTH and (not file or os.path.exists(file)):
            pairs += read_all(file or path, other or "uwsgi", result, depth + 1)
        else:
            result.drop("the file is not there: convert it too, and write \"include = FILE\"",
                        f"{place}: {key} = {value}")
    return pairs


def read_uwsgi(path: str, rows: List[Row], result: Result) -> List[Setting]:
    """The settings, with the logic of the file carried out as far as that is possible."""
    path, _, section = path.partition(":")
    section = section or "uwsgi"
    pairs = read_all(path, section, result)
    expansion = Expansion(pairs, magic_values(path, section))
    settings: List[Setting] = []
    condition, items = "", [""]
    for key, value, place in pairs:
        shown = f"{key} = {value}"
        if key in ("end", "endif", "endfor", "end-if", "end-for"):
            condition, items = "", [""]
        elif key == "for":
            items = expansion.expand(value).split()
        elif key.startswith(("if-", "for-")) or key == "if":
            condition = shown
        elif condition:
            result.drop(f"only with {condition}: write it out, or with ${{VARIABLE:-default}}", f"{place}: {shown}")
        else:
            settings += [Setting(key, expansion.expand(value.replace("%(_)", item)), place, shown) for item in items]
    return [setting for setting in settings if is_setting(setting, expansion, rows)]


def is_setting(setting: Setting, expansion: Expansion, rows: List[Row]) -> bool:
    """Whether it is not only there to be used in others."""
    if setting.name in ("set", "set-placeholder", "set-ph"):
        return False
    return find_row(rows, "uWSGI", setting.name) is not None or setting.name not in expansion.used
