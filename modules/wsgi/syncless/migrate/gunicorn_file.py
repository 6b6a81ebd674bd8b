"""gunicorn.conf.py, which is a program: it is run, and its source tells where each value comes from."""
from __future__ import annotations

import ast
import contextlib
import importlib.machinery
import importlib.util
import os
import re
import sys
import traceback
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .result import Setting, escape, fail
from .table import Row, find_row


def run_config(path: str) -> Dict[str, Any]:
    """The names that the program defines. What it prints is no part of our output."""
    sys.path.insert(0, os.getcwd())
    loader = importlib.machinery.SourceFileLoader("__config__", path)
    spec = importlib.util.spec_from_loader("__config__", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    sys.modules["__config__"] = module
    with contextlib.redirect_stdout(sys.stderr):
        loader.exec_module(module)
    return vars(module)


def assignments(tree: ast.AST) -> Iterator[Tuple[str, ast.AST, Optional[ast.expr]]]:
    """Each name that gets a value, with the statement and the expression."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node, node.value
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node, None


def environment_template(node: ast.expr) -> Optional[str]:
    """The value of an expression as our ini files write it, if it is made of texts and variables with defaults."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int)) and not isinstance(node.value, bool):
        return escape(str(node.value))
    if isinstance(node, ast.FormattedValue):
        return environment_template(node.value)
    if isinstance(node, ast.JoinedStr):
        return join_templates(node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return join_templates([node.left, node.right])
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and len(node.values) == 2:
        return variable_template(node.values[0], node.values[1])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("int", "str") and node.args:
        return environment_template(node.args[0])
    if isinstance(node, ast.Call) and len(node.args) == 2:
        return variable_template(node, node.args[1])
    return None


def join_templates(nodes: List[ast.expr]) -> Optional[str]:
    parts = [environment_template(node) for node in nodes]
    return "".join(part for part in parts if part) if None not in parts else None


def variable_template(call: ast.expr, default: ast.expr) -> Optional[str]:
    """os.environ.get("NAME", default) or os.getenv("NAME", default), where the default may be written apart."""
    if not isinstance(call, ast.Call) or not call.args or call.keywords:
        return None
    name, value = call.args[0], environment_template(default)
    if dotted_name(call.func) not in ("os.environ.get", "os.getenv", "environ.get", "getenv"):
        return None
    if not isinstance(name, ast.Constant) or not isinstance(default, ast.Constant) or not value:
        return None
    return f"${{{name.value!s}:-{value}}}"


def dotted_name(node: ast.expr) -> str:
    """"os.environ.get"; "" for other expressions."""
    if isinstance(node, ast.Attribute):
        return f"{dotted_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def plain_value(value: Any) -> Any:
    """A value of the program, in which nothing is replaced by us."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    return value


def read_gunicorn(path: str, rows: List[Row]) -> List[Setting]:
    path = re.sub("^file:", "", path)
    with open(path, "rb") as file:
        source = file.read()
    text = source.decode("utf-8", "replace")
    try:
        values = run_config(path)
    except BaseException as error:  # also SystemExit
        traceback.print_exc()
        hint = "; activate the virtualenv in which gunicorn runs it" if isinstance(error, ImportError) else ""
        fail(f"{path} has failed, with {type(error).__name__}{hint}")
    places = {name: (node, expression) for name, node, expression in assignments(ast.parse(source, path))}
    settings = []
    for name, value in values.items():
        if find_row(rows, "gunicorn", name.replace("_", "-")) is None or isinstance(value, type(sys)):
            continue
        node, expression = places.get(name, (None, None))
        line = getattr(node, "lineno", 0)
        settings.append((line, make_setting(name, value, line, expression, text)))
    return [setting for _, setting in sorted(settings, key=lambda item: item[0])]


def make_setting(name: str, value: Any, line: int, expression: Optional[ast.expr], text: str) -> Setting:
    written = ast.get_source_segment(text, expression) if expression else None
    is_fixed = not written or callable(value) or is_literal(expression)
    return Setting(name=name.replace("_", "-"), value=plain_value(value), place=f"line {line}" if line else "",
                   shown=f"def {name}" if callable(value) and not expression else f"{name} = {written or repr(value)}",
                   template=environment_template(expression) if expression and not is_fixed else None,
                   here="" if is_fixed else repr(value))


def is_literal(node: Optional[ast.expr]) -> bool:
    try:
        ast.literal_eval(node)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return False
    return True
