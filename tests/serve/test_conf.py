"""The ini file and the command line as users see them: what is accepted, and the error messages for the rest."""
import os
import re
import signal
import subprocess

import pytest

from conftest import BUILD, ROOT, SERVER, TIMEOUT, write_files

CONFIG, USAGE, OK = 78, 2, 0


@pytest.fixture
def refused(run_server):
    """refused(ini) -> the error messages of a start that must fail with exit code 78 before anything listens."""
    def run(ini, args=[], files={}, env={}):
        done = run_server(args, ini, files, env)
        assert done.returncode == CONFIG, done
        assert "listening" not in done.stderr and "Traceback" not in done.stderr
        return done.stderr
    return run


# ---- complaints: file, line, what is wrong, and the nearest name that would be right ----

BAD = {
    "unknown key": ("[server]\nworkrs = 2\n[hello /]\n", r"server\.ini:2: .*workrs.*\bworkers\b"),
    "unknown key of a module": ("[hello /]\n\n\ngreting = x\n", r"server\.ini:4: .*greting"),
    "unknown section": ("[servr]\nworkers = 2\n[hello /]\n", r"server\.ini:1: .*servr.*\bserver\b"),
    "unknown module": ("[server]\n[helo /]\n", r"server\.ini:2: .*helo"),
    "number": ("[server]\n\nworkers = many\n[hello /]\n", r"server\.ini:3: .*workers.*many"),
    "negative number": ("[server]\nworkers = -1\n[hello /]\n", r"server\.ini:2: .*workers.*-1"),
    "duration": ("[limits]\nrequest-timeout = 10 parsecs\n[hello /]\n",
                 r"server\.ini:2: .*request-timeout.*10 parsecs"),
    "size": ("[limits]\nmax-body-size = 1x\n[hello /]\n", r"server\.ini:2: .*max-body-size.*1x"),
    "address": ("[server]\nbind = 127.0.0.1:http\n[hello /]\n", r"server\.ini:2: .*bind.*127\.0\.0\.1:http"),
    "port": ("[server]\nbind = 127.0.0.1:70000\n[hello /]\n", r"server\.ini:2: .*bind.*70000"),
    "line without =": ("[server]\nworkers\n[hello /]\n", r"server\.ini:2: "),
    "key before a section": ("workers = 2\n[hello /]\n", r"server\.ini:1: "),
    "section not closed": ("[server\nworkers = 2\n", r"server\.ini:1: "),
    "prefix without a slash": ("[hello hello]\n", r"server\.ini:1: .*hello"),
    "same prefix twice": ("[hello /a/]\n[hello /a]\n", r"server\.ini:2: .*/a"),
    "required key is missing": ("[static /]\n", r"server\.ini:1: .*\broot\b"),
    "include of nothing": ("include = missing.ini\n[hello /]\n", r"server\.ini:1: .*missing\.ini"),
    "environment variable": ("[server]\nbind = ${SYNCLESS_NO_SUCH}\n[hello /]\n", r"server\.ini:2: .*SYNCLESS_NO_SUCH"),
    "unknown %()": ("[static /]\nroot = %(hre)/x\n", r"server\.ini:2: .*hre"),
    "range": ("[server]\n[limits]\nmax-headers = 0\n[hello /]\n",
              r'server\.ini:3: "max-headers = 0": expected 1 to 100000'),
    "range of a size": ("[server]\nstack-size = 1k\n[hello /]\n",
                        r'server\.ini:2: "stack-size = 1k": expected 64k to 1g'),
    "key of another section": ("[server]\naccess-log = stderr\n[hello /]\n",
                               r'server\.ini:2: unknown key "access-log" in \[server\]; it belongs to \[log\]'),
    "uWSGI's key": ("[server]\nprocesses = 4\n[hello /]\n",
                    r'server\.ini:2: unknown key "processes" in \[server\]; here it is "workers"\n'),
    "uWSGI's key in a mount": ("[wsgi /]\napp = a\nharakiri = 4\n",
                               r'server\.ini:3: unknown key "harakiri" in \[wsgi /\]; here it is "request-timeout"'),
    "gunicorn's key": ("[wsgi /]\napp = a\nworker_class = gevent\n",
                       r'server\.ini:3: unknown key "worker-class" in \[wsgi /\]; leave it out'),
    "uWSGI's file": ("[uwsgi]\nmodule = a\n", r'server\.ini:1: .*uWSGI.*"syncless-server --migrate \S*server\.ini"'),
    "log level": ("[log]\nlevel = loud\n[hello /]\n", r"server\.ini:2: .*loud"),
}


@pytest.mark.parametrize("name", BAD)
def test_complaint(refused, name):
    ini, regex = BAD[name]
    assert re.search(regex, refused(ini))


def test_every_mistake_is_reported_at_once(refused):
    said = refused("[server]\nworkrs = 2\nbacklg = 3\n[hello /]\n")
    assert re.search(r"server\.ini:2: .*workers", said) and re.search(r"server\.ini:3: .*backlog", said)


@pytest.mark.parametrize("module", sorted({path.stem.split("-")[0] for path in (BUILD / "modules").glob("*.so")}))
def test_defaults_of_a_module_are_in_their_ranges(run_server, module):
    """Defaults are checked like values of the user: the only errors are about required keys."""
    said = run_server(["--check"], f"[{module} /]\n").stderr
    assert re.sub(r'^\S*server\.ini:1: \[\w+ /\] needs "[\w-]+": .*\n', "", said, flags=re.M) == ""


def test_complaint_names_the_included_file(refused):
    files = {"conf.d/a.ini": "[server]\n", "conf.d/b.ini": "\n[server]\nworkrs = 1\n"}
    said = refused("include = conf.d/*.ini\n[hello /]\n", files=files)
    assert re.search(r"conf\.d/b\.ini:3: .*workrs", said)


def test_complaint_about_an_option(run_server):
    done = run_server(["-o", "server.workrs=2"], "[hello /]\n")
    assert done.returncode in (CONFIG, USAGE) and re.search(r"-o.*workrs.*workers", done.stderr)


def test_file_that_is_not_there(run_server):
    done = run_server(["-c", "/no/such/file.ini"])
    assert done.returncode == CONFIG
    assert done.stderr == "cannot read /no/such/file.ini: No such file or directory\n"


@pytest.mark.parametrize("ini", ["", "[server]\nworkers = 1\n", "[hello]\ngreeting = defaults of no section\n"])
def test_nothing_to_serve(refused, ini):
    assert refused(ini) == "nothing to serve: add a section such as [static /] or [wsgi /]\n"


def test_two_instances_disagree_on_a_process_key(refused):
    said = refused("[wsgi /a]\napp = a:a\nvirtualenv = /one\n[wsgi /b]\napp = b:b\nvirtualenv = /two\n")
    assert re.search(r"server\.ini:\d+: .*virtualenv", said)


def test_long_values_and_names_are_not_cut(refused):
    """inih would cut them silently."""
    said = refused("[hello /]\n" + "k" * 60 + " = 1\n")
    assert "k" * 60 in said or "long" in said


# ---- what is accepted ----


def probe_ini(modules, rest):
    return f"[server]\nmodule-path = {modules}\n{rest}"


def probe_text(daemon, modules, rest, **options):
    return daemon(probe_ini(modules, rest), **options).get("/")[2].decode()


def test_values(daemon, c_modules):
    ini = "[probe /]\n; a comment\n# another\ntext = two words ; and a comment\n"
    assert probe_text(daemon, c_modules, ini) == "two words"


def test_value_longer_than_inih_takes(daemon, c_modules):
    assert probe_text(daemon, c_modules, "[probe /]\ntext = " + "x" * 1000 + "\n") == "x" * 1000


def test_here_and_environment(daemon, c_modules):
    ini = "[probe /]\ntext = %(here)|${SYNCLESS_A}|${SYNCLESS_B:-b}\n"
    server = daemon(probe_ini(c_modules, ini), env={"SYNCLESS_A": "a"})
    assert server.get("/")[2].decode() == f"{server.dir}|a|b"


def test_defaults_of_a_module(daemon, c_modules):
    server = daemon(probe_ini(c_modules, "[probe]\ntext = default\n[probe /a]\n[probe /b]\ntext = own\n"))
    assert (server.get("/a/")[2], server.get("/b/")[2]) == (b"default", b"own")


def test_include(daemon, c_modules):
    files = {"conf.d/a.ini": "[probe /a]\ntext = a %(here)\n", "conf.d/b.ini": "[probe /b]\n"}
    server = daemon(probe_ini(c_modules, "") + "[server]\ninclude = conf.d/*.ini\n", files=files)
    assert server.get("/a/")[2].decode() == f"a {server.dir}/conf.d" and server.get("/b/")[0] == 200


def test_option_replaces_the_file(daemon, c_modules):
    text = probe_text(daemon, c_modules, "[probe /]\ntext = file\n", args=["-o", "probe /.text=option"])
    assert text == "option"
    ini = "[server]\nmodule-path = %s\nbind = 127.0.0.1:1\nbind = 127.0.0.1:2\n[probe /]\n" % c_modules
    server = daemon(ini, args=["-o", "server.bind=127.0.0.1:0"])
    assert len(re.findall("listening on", server.log)) == 1


def test_underscores_are_accepted(daemon, c_modules):
    server = daemon(f"[server]\nmodule_path = {c_modules}\n[limits]\nrequest_timeout = 5s\n[probe /]\n")
    assert server.get("/")[0] == 200


# ---- keys that were renamed ----

RENAMED = {"server": {"hog-limit": ("watchdog-timeout", "2s")}}


@pytest.fixture(params=[(section, old) for section in RENAMED for old in RENAMED[section]], ids=lambda param: param[1])
def renamed(request):
    """A key of each section that was renamed: an ini file with it, its new name, and the warning in line 2."""
    section, old = request.param
    new, value = RENAMED[section][old]
    warning = rf'server\.ini:2: "{old}" has been renamed to "{new}"; the old name still works'
    return f"[{section}]\n{old} = {value}\n[hello /]\n", f"{new} = {value}", warning


def test_old_name_is_accepted_with_a_warning(run_server, renamed):
    ini, line, warning = renamed
    done = run_server(["--check"], ini)
    assert done.returncode == OK and re.fullmatch(rf".*{warning}\n", done.stderr) and "good" in done.stdout
    done = run_server(["-T"], ini)
    assert re.search(rf"^{line} ; .*server\.ini:2$", done.stdout, re.M) and len(re.findall(warning, done.stderr)) == 1


def test_old_name_and_new_name_are_one_key(refused, renamed):
    ini, line, warning = renamed
    said = refused(ini.replace("\n[hello", f"\n{line}\n[hello"))
    assert re.search(r'server\.ini:3: ".*" is given twice; first at .*server\.ini:2\n', said)
    assert re.search(warning, said)


def test_old_name_is_logged_once_when_the_configuration_is_read(daemon, renamed):
    ini, _, warning = renamed
    server = daemon(ini)
    assert len(re.findall(rf"\[warn\] .*{warning}$", server.log, re.M)) == 1
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log(rf"\[warn\] .*{warning}$", count=2)


def test_renamed_keys_are_documented():
    table = (ROOT / "docs/configuration.md").read_text().split("| section | old name | name |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `\[(.*)\]` \| `(.*)` \| `(.*)` \|$", table, re.M)
    assert sorted(rows) == sorted((section, old, keys[old][0]) for section, keys in RENAMED.items() for old in keys)


# ---- the command line ----


def test_check_of_a_good_file(run_server):
    for flag in ("-t", "--check"):
        done = run_server([flag], "[hello /]\n")
        assert done.returncode == OK and "listening" not in done.stderr
        assert re.search(r"configuration.*\bgood\b", done.stdout)


def test_check_of_a_bad_file(run_server):
    done = run_server(["--check"], "[hello /]\nx = 1\n")
    assert done.returncode == CONFIG and "server.ini:2:" in done.stderr


def test_version(run_server):
    done = run_server(["-v"])
    assert done.returncode == OK and re.search(r"syncless-server \d+\.\d+", done.stdout)


def test_help_names_every_option(run_server):
    done = run_server(["-h"])
    assert done.returncode == OK
    assert all(re.search(rf"(^|\s){flag}\b", done.stdout) for flag in ("-c", "-t", "-o", "-m", "-b", "-v", "-h"))


@pytest.mark.parametrize("args", [["--nonsense"], ["-c"], ["stop"], ["-k", "gevent", "app:app"], ["-o", "nonsense"],
                                  ["-o", "=x"]])
def test_usage_errors(run_server, args):
    done = run_server(args)
    assert done.returncode == USAGE and "-h" in done.stderr


@pytest.mark.parametrize("args", [["x.ini", "extra", "-t"], ["extra", "-c", "x.ini", "-t"]])
def test_stray_argument_is_named(run_server, args):
    done = run_server(args)
    assert done.returncode == USAGE
    assert 'unexpected argument "extra": remove it' in done.stderr


def test_nothing_given(run_server):
    done = run_server([])
    assert done.returncode == USAGE and "-c" in done.stderr


TINY = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'one line']\n"


@pytest.mark.parametrize("args", [
    ["-m", "tiny:app", "-b", "127.0.0.1:0"],
    ["tiny:app", "-b", "127.0.0.1:0", "-w", "2"],  # gunicorn
    ["tiny:app", "--host", "127.0.0.1", "--port", "0", "--workers", "2", "--log-level", "info"],  # uvicorn
    ["--http", "127.0.0.1:0", "--wsgi-file", "tiny.py", "--callable", "app", "--processes", "2"],  # uWSGI
], ids=lambda args: args[0])
def test_one_liner(daemon, args):
    server = daemon(None, {"tiny.py": TINY}, args)
    assert server.get("/any/path")[::2] == (200, b"one line")
    server.wait_log("worker .* is ready", count=1 if args[0] == "-m" else 2)


def test_ini_file_without_an_option(daemon):
    ini = "[server]\nbind = 127.0.0.1:0\n[wsgi /]\napp = tiny:app\n"
    server = daemon(None, {"tiny.py": TINY, "x.ini": ini}, ["x.ini"])
    assert server.get("/")[2] == b"one line"


def test_options_are_heeded_by_a_reload(daemon):
    """The command line counts again, with what it says of other servers' options."""
    server = daemon(None, {"tiny.py": TINY}, ["tiny:app", "-b", "127.0.0.1:0", "--processes", "2"])
    server.wait_log("all workers are ready")
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log("all workers are ready", count=2)
    assert server.get("/")[2] == b"one line"
    server.wait_until(lambda: len(server.worker_pids()) == 2)


# ---- where modules are ----


def test_module_path_adds_to_the_servers_own_modules(run_server, c_modules, tmp_path):
    """A folder with one module of one's own: the others are found all the same, and the folder's come first."""
    write_files(tmp_path, {"own/keep": ""})
    (tmp_path / "own/probe.so").symlink_to(c_modules / "probe.so")
    (tmp_path / "own/hello.so").write_text("not a module")
    done = run_server(["--check"], "[server]\nmodule-path = own\n[probe /]\n[static /s]\nroot = .\n")
    assert done.returncode == 0, done.stderr
    done = run_server(["--check"], "[server]\nmodule-path = own\n[hello /]\n")
    assert done.returncode == 78 and f"{tmp_path}/own/hello.so" in done.stderr


@pytest.mark.parametrize("name", ["mine", "statics"])
def test_module_that_is_in_no_folder(run_server, tmp_path, name):
    """The message says which file was looked for and where, also if another module has nearly that name."""
    done = run_server(["--check"], f"[server]\nmodule-path = a\nmodule-path = b\n[{name} /]\n")
    assert done.returncode == 78
    assert (f"server.ini:4: unknown section [{name} /]: there is no {name}.so in {tmp_path}/a, {tmp_path}/b, "
            f"{(BUILD / 'modules').resolve()}; ") in done.stderr


# ---- -t opens what a start would open ----

OPENED = {
    "bind = unix:%(here)/no/s": "cannot create a socket in DIR/no: No such file or directory",
    "bind = unix:%(here)/file": "cannot listen there: Address already in use: another server listens there, or the",
    "bind = 192.0.2.1:80": "cannot listen there: Cannot assign requested address: no interface of this machine",
    "pidfile = no/pid": "cannot create files in DIR/no: No such file or directory",
    "pidfile = .": "DIR is a directory",
    "error-log = no/e.log": "cannot create files in DIR/no: No such file or directory",
    "access-log = folder": "DIR/folder is a directory",
    "[static /a]\nroot = no": "cannot open DIR/no: No such file or directory",
    "[static /a]\nroot = .\nmime-types = no": "cannot open DIR/no: No such file or directory",
    "[static]\nroot = no\n[static /a]": "cannot open DIR/no: No such file or directory",
    "[cgi /a]\nroot = no": "cannot open DIR/no: No such file or directory",
    "[wsgi /a]\napp = a:b\nchdir = no": "cannot open DIR/no: No such file or directory",
    "[wsgi /a]\napp = a:b\nvirtualenv = no": "virtualenv = DIR/no: this is not a virtualenv",
    "[hello /a]\naccess-log = no/a.log": "cannot create files in DIR/no: No such file or directory",
    "slow-log = no/s.log": "cannot create files in DIR/no: No such file or directory",
    "control = no/c.sock": "cannot create a socket in DIR/no: No such file or directory",
    "control = file": "there is a file of that name, which is no socket",
    "chroot = no": "cannot open DIR/no: No such file or directory",
    "chroot = file": "cannot open DIR/file: Not a directory",
    "[static /a]\nroot = file": "cannot open DIR/file: Not a directory",
    "[cgi /a]\nroot = file": "cannot open DIR/file: Not a directory",
    "[wsgi /a]\napp = a:b\nchdir = file": "cannot open DIR/file: Not a directory",
}


@pytest.mark.parametrize("lines", OPENED)
def test_check_opens_what_a_start_would_open(run_server, tmp_path, lines):
    """And says what cannot be opened with file and line, without making anything."""
    write_files(tmp_path, {"file": "", "folder/keep": ""})
    section = "" if lines.startswith("[") else "[log]\n" if "-log" in lines else "[server]\n"
    done = run_server(["--check"], f"[hello /]\n{section}{lines}\n")
    assert done.returncode == 78, done
    assert re.search(r"server\.ini:\d: .*" + re.escape(OPENED[lines].replace("DIR", str(tmp_path))), done.stderr), done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "server.ini"]


@pytest.mark.parametrize("section, reason", [
    ("static /a]\nroot = .\nheader = none", "static: header = none is not of the form"),
    ("static /a]\nroot = .\nmime-types = file", "file:1: \"nonsense\" is not a media type"),
    ("cgi /a]\nroot = /", "cgi: root = /: "),
    ("cgi /a]\nroot = .\nenv = X", "cgi: env = X: write NAME=VALUE"),
    ("cgi /a]\nroot = .\ninterpreter = .py=/nowhere", "cgi: interpreter = .py=/nowhere: No such file"),
    ("wsgi /a]\napp = a:b\nenv = X", "wsgi: env = X: must be NAME=VALUE"),
    ("wsgi /a]\napp = no.py:create('x')", "wsgi: app = no.py:create('x'): cannot open DIR/no.py: No such file"),
    ("wsgi /a]\napp = folder/site.wsgi\nchdir = /", "cannot open //folder/site.wsgi: No such file"),
])
def test_check_finds_what_modules_would_refuse(run_server, tmp_path, section, reason):
    """By sl_module.check: the reason, and which section it is."""
    write_files(tmp_path, {"file": "nonsense html\n", "folder/keep": ""})
    done = run_server(["--check"], f"[hello /]\n[{section}\n")
    assert done.returncode == 78 and reason.replace("DIR", str(tmp_path)) in done.stderr, done.stderr
    assert re.search(r"server\.ini:\d: \[\w+ /a\] cannot start$", done.stderr, re.M), done.stderr


def test_check_beside_the_server_that_runs(daemon, run_server):
    """What it has open is no mistake, and nothing is touched."""
    server = daemon("[server]\nbind = 127.0.0.1:0\nbind = unix:%(here)/s\npidfile = pid\n[log]\naccess-log = a.log\n"
                    "[hello /]\n")
    port = f"server.bind=127.0.0.1:{server.port}"
    command = [SERVER, "-t", "-c", server.dir / "server.ini", "-o", port, "-o", "server.bind=unix:%(here)/s"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.get("/")[0] == 200 and (server.dir / "s").is_socket()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can set user")
@pytest.mark.parametrize("check", ["--check", "--check=app"])
def test_check_looks_as_the_user_of_the_workers(run_server, open_folder, check):
    """The static files are root's alone; the log is opened by the master."""
    write_files(open_folder, {"private/x": "", "app.py": "import os\nassert os.geteuid() == 1\napp = len\n"})
    os.chmod(open_folder / "private", 0o700)
    ini = (f"[server]\nuser = daemon\n[log]\naccess-log = {open_folder}/private/a.log\n"
           f"[wsgi /]\napp = app:app\nchdir = {open_folder}\n")
    assert run_server([check], ini).returncode == 0
    done = run_server([check], ini + f"[static /a]\nroot = {open_folder}/private\n")
    assert done.returncode == 78 and f"cannot open {open_folder}/private: Permission denied" in done.stderr
