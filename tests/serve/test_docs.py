"""The documents are complete: keys, variables of the access log, signals, options, files; and their examples work."""
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from conftest import BUILD, ROOT, VIRTUALENV

CONFIGURATION = (ROOT / "docs/configuration.md").read_text()


def documented(section):
    """The keys in the tables of a section of docs/configuration.md."""
    text = re.search(rf"^## \[{section}\]\n(.*?)(?=^## |\Z)", CONFIGURATION, re.M | re.S)[1]
    cells = re.findall(r"^\| (`[^|]*) \|", text, re.M)
    return {key for cell in cells for key in re.findall(r"`([a-z-]+)`", cell)}


def test_every_key_is_documented_with_its_default(run_server):
    dump = run_server(["-T"], "[hello /]\n").stdout
    for section in ("server", "log", "limits", "tracing"):  # databases.md has those of [outbound PEER]
        text = re.search(rf"^\[{section}\]\n(.*?)(?=^\[|\Z)", dump, re.M | re.S)[1]
        keys = set(re.findall(r"^;? ?([a-z-]+) (?:=|is not set)", text, re.M))
        assert keys == documented(section), section
        for key, preset in re.findall(r"^([a-z-]+) = (.*) ; default$", text, re.M):
            if section != "limits":
                assert re.search(rf"^\| `{key}`.*\| `{re.escape(preset)}` \|", CONFIGURATION, re.M), (key, preset)


def test_every_log_variable_is_documented():
    names = set(re.findall(r'^    \{"(\w+)", \.', (ROOT / "server/access/variables.c").read_text(), re.M))
    table = (ROOT / "docs/logs.md").read_text().split("| variable | |")[1]
    assert len(names) > 20
    cells = re.findall(r"^\| (`[^|]*) \|", table, re.M)
    assert names == {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_signal_is_documented():
    handled = set(re.findall(r"case SIG(\w+):", (ROOT / "server/master/master.c").read_text()))
    table = (ROOT / "docs/deploy.md").read_text().split("| signal to the master |")[1].split("\n\n")[0]
    cells = re.findall(r"^\| ([A-Z][A-Z0-9, ]*) \|", table, re.M)
    assert handled == {name for cell in cells for name in cell.split(", ")}
    assert "\n| RTMIN+1 |" in table


def test_every_option_is_documented(run_server):
    usage = run_server(["-h"]).stdout
    options = set(re.findall(r"(?<![\w-])(--?[a-zA-Z][a-z-]*)", usage))
    manual = (ROOT / "docs/syncless-server.8").read_text().replace("\\-", "-")
    assert len(options) > 15
    for option in options:
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", manual), option
        assert re.search(rf"`{option}[`=, ]", CONFIGURATION) or option in ("-h", "--help"), option


INI_MAN = [sys.executable, ROOT / "docs/ini_man.py"]


@pytest.mark.parametrize("page", ["syncless-server.8", "syncless-ctl.8", "syncless-python.1", "syncless.ini.5"])
def test_manual_page_is_well_formed(page):
    groff = shutil.which("groff")
    if not groff:
        pytest.skip("groff is not installed")
    text = subprocess.check_output(INI_MAN) if page == "syncless.ini.5" else (ROOT / "docs" / page).read_bytes()
    done = subprocess.run([groff, "-man", "-ww", "-Kutf8", "-Tutf8"], input=text, capture_output=True)
    assert done.returncode == 0 and done.stderr == b""


def test_manual_page_of_the_configuration_has_every_key(run_server):
    dump = run_server(["-T"], "[static /s]\nroot = .\n[cgi /c]\nroot = .\n[wsgi /]\napp = a:b\n").stdout
    manual = subprocess.check_output(INI_MAN, text=True).replace("\\-", "-")
    keys = re.findall(r"^;? ?([a-z-]+) (?:=|is not set)", dump, re.M)
    assert len(keys) > 60
    assert [key for key in keys if not re.search(rf"^\.TP\n.*\\fB{key}\\fR", manual, re.M)] == []


PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_tour_names_what_there_is():
    names = re.findall(r"`([\w./]+\.[cS])`", (ROOT / "docs/tour.md").read_text())
    assert len(names) > 40
    assert [name for name in names if not list(ROOT.glob(f"server/**/{pathlib.Path(name).name}"))
            and not list((ROOT / "modules/wsgi").rglob(name))] == []


def snippets(language):
    """The code blocks of the pages in that language, with names for the tests."""
    return [pytest.param(text, id=f"{page.name}-{n}") for page in PAGES
            for n, text in enumerate(re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S))]


@pytest.mark.parametrize("text", snippets("ini"))
def test_ini_snippets_are_accepted(run_server, text):
    """A snippet that is a part of a file gets the rest of the file. What it names need not be there."""
    if not text.startswith("["):
        text = "[server]\n" + text
    if not re.search(r"^\[\w+ .*/", text, re.M):
        text += "[hello /]\n"
    text = text.replace("/srv/shop/venv", "%(here)/venv")
    env = {name: "x" for name in re.findall(r"\$\{(\w+)\}", text)}
    done = run_server(["-T"], text, {"hello.so": (BUILD / "modules/hello.so").read_bytes(), **VIRTUALENV}, env)
    assert done.returncode == 0, done.stderr


def test_handler_of_the_readme(daemon, tmp_path):
    source, = re.findall(r"^```c\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    command = ["cc", "-Wall", "-Werror", "-fPIC", "-shared", f"-I{ROOT}/include", "-x", "c", "-",
               "-o", tmp_path / "hello.so"]
    subprocess.run(command, input="#include <syncless.h>\n#include <unistd.h>\n" + source, text=True, check=True)
    server = daemon(f"[server]\nmodule-path = {tmp_path}\n[hello /]\n")
    texts, seconds = server.get_all(["/"] * 50)
    assert texts == ["hello\n"] * 50
    assert 1 <= seconds < 10, seconds


@pytest.mark.parametrize("text", snippets("python"))
def test_python_snippets_compile(text):
    compile(text, "snippet", "exec")
