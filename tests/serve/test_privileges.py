"""What workers may do beyond their user: setuid programs, capabilities, groups, debuggers."""
import grp
import os
import pathlib
import pwd
import re
import shutil

import pytest

from conftest import SANITIZED

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change users")


def status_of(server):
    """{name: value} of /proc/PID/status of the first worker."""
    server.wait_log("all workers are ready")
    pid = server.wait_log(r"\] (\d+)#1 worker 1 is ready")[1]
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {"pid": pid, **dict(re.match(r"(\w+):\s*(.*)", line).groups() for line in lines)}


@pytest.mark.parametrize("preload", ["no", "yes"])
def test_no_new_privileges(daemon, preload):
    assert status_of(daemon(f"[server]\npreload = {preload}\n[hello /]\n"))["NoNewPrivs"] == "1"
    allowed = daemon(f"[server]\npreload = {preload}\nno-new-privileges = no\n[hello /]\n")
    assert status_of(allowed)["NoNewPrivs"] == "0"


@root_only
@pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv")
@pytest.mark.parametrize("preload", ["no", "yes"])
def test_inherited_capabilities(daemon, preload):
    """A service manager gives them to bind a low port; what the application starts is not to have them."""
    ini = f"[server]\npreload = {preload}\n[hello /]\n"
    given = ["setpriv", "--inh-caps=+net_raw", "--ambient-caps=+net_raw"]
    server = daemon(ini, before=given)
    before = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    assert re.search(r"CapAmb:\s+0*2000$", before, re.M)
    status = status_of(server)
    assert (int(status["CapInh"], 16), int(status["CapAmb"], 16)) == (0, 0)


@root_only
def test_groups_of_a_user_by_number(daemon):
    """They are those of its name, as for a user that is given by name."""
    group = next((g for g in grp.getgrall() for name in g.gr_mem if g.gr_gid != pwd.getpwnam(name).pw_gid), None)
    if not group:
        pytest.skip("no user of this machine is in a further group")
    user = pwd.getpwnam(group.gr_mem[0])
    assert str(group.gr_gid) in status_of(daemon(f"[server]\nuser = {user.pw_uid}\n[hello /]\n"))["Groups"].split()


@root_only
@pytest.mark.parametrize("user", ["nobody", "4711", None])
def test_supplementary_groups(daemon, user):
    server = daemon("[server]\nsupplementary-groups = daemon\nsupplementary-groups = 4712\n" +
                    (f"user = {user}\n" if user else "") + "[hello /]\n")
    found = set(status_of(server)["Groups"].split())
    assert {str(grp.getgrnam("daemon").gr_gid), "4712"} <= found


@root_only
@pytest.mark.skipif(SANITIZED, reason="LeakSanitizer uses ptrace")
@pytest.mark.parametrize("preload", ["no", "yes"])
def test_dumpable(daemon, preload):
    """The files of a process that is not dumpable are root's."""
    for key, owner in (("", 0), ("dumpable = yes\n", pwd.getpwnam("nobody").pw_uid)):
        server = daemon(f"[server]\nuser = nobody\npreload = {preload}\n{key}[hello /]\n")
        assert os.stat(f"/proc/{status_of(server)['pid']}/mem").st_uid == owner
