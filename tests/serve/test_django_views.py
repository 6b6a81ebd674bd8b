"""Django's own test views, over the wire: each answer must be what Django's in-process test client gets.

The views are in Django's source package, not in python3-django, so it is fetched with apt, once, into
$SYNCLESS_BUILD/sources, from where python3-django comes from. Where that has no sources the test is skipped, and says
so.
"""
import json
import subprocess
import tarfile

import pytest

from conftest import BUILD, ROOT, server_env

HERE = ROOT / "tests/serve/django_views"
SERVERS_OWN = {"date", "server", "connection", "transfer-encoding", "set-cookie"}
TESTS = "[Dd]jango-*/tests"
APT = r"""
set -e
mkdir -p lists/partial
origins=$(apt-cache madison python3-django | sed -n 's,.*| \(http.*\) \(.*\)/\(.*\) .* Packages$,deb-src \1 \2 \3,p')
echo "$origins" >sources.list
set -- -q -o Dir::Etc::SourceList=$PWD/sources.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=$PWD/lists
apt-get "$@" update
apt-get "$@" --download-only --tar-only source python3-django
"""


@pytest.fixture(scope="module")
def django_tests():
    """The folder tests/ of Django's source tree."""
    folder = BUILD / "sources"
    if not list(folder.glob(TESTS)):
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["sh", "-c", APT], cwd=folder, capture_output=True, text=True, timeout=50)
        archives = list(folder.glob("python-django_*.orig.tar.[gx]z"))
        if done.returncode or not archives:
            pytest.skip(f"Django's source package cannot be fetched: {done.stderr[-300:]}")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(folder)
    return next(folder.glob(TESTS))


@pytest.fixture(scope="module")
def reference(django_tests):
    env = server_env({"DJANGO_TESTS": django_tests})
    done = subprocess.run(["/usr/bin/python3", HERE / "django_site.py"], env=env, capture_output=True, text=True,
                          timeout=50)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def comparable(status, headers, body):
    """An answer without what may differ. The debug page of a 500 shows the environment of its own process."""
    if status == 500:
        return status
    return status, sorted((name.lower(), value) for name, value in headers if name.lower() not in SERVERS_OWN), body


def test_every_view_answers_as_in_process(shared_daemon, django_tests, reference):
    ini = f"[wsgi /]\napp = django_site:application\npythonpath = {HERE}\n"
    server = shared_daemon(ini, env={"DJANGO_TESTS": django_tests})
    wrong = []
    for (method, target, kind, body), (status, headers, content) in zip(reference["requests"], reference["answers"]):
        fields = {"Host": "testserver", **({"Content-Type": kind} if kind else {})}
        answer = server.request(method, target, fields, body or None)
        got = comparable(answer[0], answer[1].items(), answer[2])
        expected = comparable(status, headers, content.encode("latin-1"))
        if got != expected:
            wrong.append((method, target, got, expected))
    assert not wrong and len(reference["answers"]) > 60
