"""The headers of the module API, as compilers of modules meet them."""
import subprocess

import pytest

from conftest import ROOT, compile_module

HEADERS = ["syncless.h", "syncless/serve.h", "syncless/runtime.h"]
STRICT = ["-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include"]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("compiler", ["gcc -xc -std=c99", "gcc -xc -std=c11", "g++ -xc++ -std=c++20"])
def test_header_stands_alone(compiler, header):
    subprocess.run([*compiler.split(), *STRICT, "-fsyntax-only", "-"], input=f"#include <{header}>\n", text=True,
                   check=True)


def test_module_in_c_without_extensions(tmp_path):
    source = ROOT / "tests/serve/modules/strict.c"
    compile_module(source, tmp_path / "strict.so", ["-std=c99", "-U_GNU_SOURCE", *STRICT])


def test_module_in_cxx(daemon, tmp_path):
    compile_module(ROOT / "tests/serve/modules/greeter.cc", tmp_path / "greeter.so", compiler=["g++", "-std=c++20"])
    server = daemon(f"[server]\nmodule-path = {tmp_path}\n[greeter /]\n[greeter /loud]\ngreeting = HELLO\n")
    assert server.get("/")[::2] == (200, b"hello\n")
    assert server.get("/loud")[2] == b"HELLO\n"
