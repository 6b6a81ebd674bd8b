"""What test_static.py and test_static_fields.py share: a daemon with three mounts of one folder, and files in it."""
import email.utils
import os

import pytest

MODIFIED = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
DATE, EARLIER, LATER = (email.utils.formatdate(MODIFIED + seconds, usegmt=True) for seconds in (0, -1, 1))
THOUSAND = bytes(i * 7 % 251 for i in range(1000))
SECRET = b"the secret outside of the root\n"

INI = """
[static /]
root = www

[static /open/]
root = www
listing = on
hidden = yes
follow-symlinks = on
precompressed = off
index = none.html
index = second.html
index = index.html
charset = off
default-type = application/x-none
mime-types = my.types
expires = 2h
header = X-One: 1
header = X-Two: two, too

[static /never/]
root = www
cache-control = no-cache
expires = 1h
index = none.html
"""

FILES = {
    "my.types": "# mine\ntext/x-mine mine js  # two\n\n",
    "secret": SECRET,
    "www/index.html": "<p>index\n",
    "www/thousand.bin": THOUSAND,
    "www/empty.txt": "",
    "www/a.css": "a {}\n",
    "www/a b&c.txt": "spaced\n",
    "www/folder/index.html": "<p>folder\n",
    "www/folder/second.html": "<p>second\n",
    "www/bare/x.txt": "x\n",
    "www/bare/sub/y.txt": "y\n",
    "www/.env": SECRET,
    "www/.git/config": SECRET,
    "www/.well-known/token": "token\n",
    "www/.well-known/.private": SECRET,
    "www/page.js": "console.log('page')\n" * 50,
}


@pytest.fixture(scope="module")
def site(shared_daemon):
    daemon = shared_daemon(INI, files=FILES)
    daemon.www = daemon.dir / "www"
    for name in ("thousand.bin", "empty.txt", "page.js"):
        os.utime(daemon.www / name, (MODIFIED, MODIFIED))
    return daemon


@pytest.fixture
def new(site):
    """new(name, content) writes a file below the root that goes when the test ends."""
    made = []

    def write(name, content=b"", modified=None):
        path = site.www / name
        path.write_bytes(content)
        if modified is not None:
            os.utime(path, (modified, modified))
        made.append(path)
        return path

    yield write
    for path in made:
        path.unlink(missing_ok=True)


@pytest.fixture
def link(site):
    """link(name, target) makes a symbolic link below the root that goes when the test ends."""
    made = []

    def make(name, target):
        path = site.www / name
        path.symlink_to(target)
        made.append(path)

    yield make
    for path in made:
        path.unlink()
