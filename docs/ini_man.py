#!/usr/bin/python3
"""Write the manual page syncless.ini(5) to standard output, from the pages in this folder.

The tables of keys and the rules of the file are in configuration.md and in the pages of modules, where a test compares
them with the server. This turns the Markdown that these sections use (paragraphs, lists, tables, code) into macros of
man(7): each row of a table becomes a tagged paragraph.
"""
import pathlib
import re
import sys

DOCS = pathlib.Path(__file__).resolve().parent
HEAD = r'''.TH SYNCLESS.INI 5 "" "Syncless"
.SH NAME
syncless.ini \- configuration of syncless\-server
'''
TAIL = r'''.SH SEE ALSO
.BR syncless\-server (8),
and the pages in /usr/share/doc/syncless or /usr/local/share/doc/syncless: configuration.md, limits.md, proxies.md,
logs.md, and one for each module.
'''
MODULES = [("static", "static files"), ("cgi", "CGI programs"), ("wsgi", "Python applications")]


def escaped(text):
    """Text in roff; in code, a hyphen is an ASCII one, to be searched for and copied."""
    return text.replace("\\", r"\e")


def code(text):
    text = escaped(text).replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    return re.sub(r"^\.", r"\&.", text)


def inline(text):
    """A paragraph: code becomes bold, and of links only the text is left."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"``? ?(.+?) ?``?", text)
    parts[0::2] = [escaped(part).replace("**", "") for part in parts[0::2]]
    parts[1::2] = [rf"\fB{code(part)}\fR" for part in parts[1::2]]
    return re.sub(r"^(?=[.'])", r"\\&", "".join(parts))


def table(lines):
    """Rows of two or three cells; the default of a key is behind its name. The first two lines are the head."""
    columns = [cell.strip() for cell in lines[0].strip("|").split("|")]
    for line in lines[2:]:
        first, *middle, last = (cell.strip() for cell in line.strip().strip("|").split(" | "))
        notes = [f"{column} {inline(cell)}" if column == "default" and cell != "required" else inline(cell)
                 for column, cell in zip(columns[1:], middle)]
        yield from (".TP", inline(first) + (f" ({', '.join(notes)})" if notes else ""), inline(last))


def block(text):
    """The lines of roff for a paragraph, list, table or code block."""
    lines = text.splitlines()
    if text.startswith("|"):
        yield from table(lines)
    elif text.startswith("```"):
        yield from (".PP", ".nf", ".RS", *map(code, lines[1:-1]), ".RE", ".fi")
    elif re.match(r"- |\d+\. ", text):
        for item in re.split(r"^(?=- |\d+\. )", text, flags=re.M)[1:]:
            mark, rest = item.split(" ", 1)
            yield from (f".IP {mark} 4".replace("-", r"\(bu"), inline(" ".join(rest.split())))
    else:
        yield from (".PP", inline(" ".join(lines)))


def blocks(text):
    """Blank lines are between blocks, except in code."""
    for part in re.findall(r"^```[\s\S]*?^```$|(?:^(?!```).+\n?)+", text, re.M):
        yield from block(part.strip("\n"))


def section(page, title):
    """The text below a heading of second degree; of the page's own heading if the title is empty."""
    text = (DOCS / page).read_text()
    pattern = rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)" if title else r"\A# .*?\n(.*?)(?=^## |\Z)"
    return re.search(pattern, text, re.M | re.S)[1]


def write():
    yield HEAD.rstrip()
    yield ".SH DESCRIPTION"
    yield from blocks(section("configuration.md", ""))
    for title in ("Sections", "Lines", "Values", "Precedence"):
        yield f".SH {title.upper()}"
        yield from blocks(section("configuration.md", title))
    yield ".SH KEYS"
    for title in ("server", "log", "limits", "tracing"):
        yield f".SS [{title}]"
        yield from blocks(section("configuration.md", f"[{title}]"))
    yield ".SS Keys of every mount"
    yield from blocks(section("configuration.md", "Keys of every mount"))
    yield ".SS [outbound PEER]: connections that applications open"
    yield from table(re.search(r"(?:^\|.*\n)+", section("databases.md", ""), re.M)[0].splitlines())
    for module, subject in MODULES:
        yield rf".SS [{module} /prefix]: {subject}"
        yield from table(re.search(r"(?:^\|.*\n)+", section(f"{module}.md", ""), re.M)[0].splitlines())
    yield ".SS [status /prefix]: what the server tells of itself"
    yield from table(re.search(r"(?:^\|.*\n)+", section("inside.md", "[status]"), re.M)[0].splitlines())
    yield TAIL.rstrip()


if __name__ == "__main__":
    sys.stdout.write("\n".join(write()) + "\n")
