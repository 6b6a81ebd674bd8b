"""Requests that compute: /NAME calls the function NAME, / answers at once. One function for each load of ../hogs."""
import hashlib
import io
import itertools
import json
import os
import re
import sqlite3
import tempfile
import zlib

import bcrypt
import numpy
from PIL import Image

NUMBERS = [n * 7919 % 100003 for n in range(50_000)]
BYTES = os.urandom(1 << 20) * 8
MATRIX = numpy.random.default_rng(1).random((300, 300))
PICTURE = Image.frombytes("RGB", (2048, 1024), BYTES[:3 * 2048 * 1024])
TEXT = json.dumps([{"id": n, "name": f"name {n}", "tags": ["a", "b"]} for n in range(20_000)])


def loop():
    """About 0.2 s of Python."""
    for _ in range(6_000_000):
        pass


def json_loads():
    """Calls of C code that do not look whether they should give up the GIL, 15 ms each."""
    for _ in range(8):
        json.loads(TEXT)


def sorted_key():
    """C code that calls Python code."""
    for _ in range(10):
        sorted(NUMBERS, key=lambda n: -n)


def re_sub():
    for _ in range(4):
        re.sub(r"name (\d+)", lambda match: match[1], TEXT)


def pbkdf2():
    """C code without the GIL, as the next three: a login, about 0.2 s."""
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 250_000)


def scrypt():
    hashlib.scrypt(b"password", salt=b"salt", n=32768, r=8, p=1, maxmem=1 << 27)


def compress():
    zlib.compress(BYTES)


def query():
    count = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 500000) SELECT count(*) FROM c"
    sqlite3.connect(":memory:").execute(count).fetchone()


def bcrypt_hash():
    bcrypt.hashpw(b"password", b"$2b$12$abcdefghijklmnopqrstuu")


def numpy_linalg():
    for _ in range(3):
        numpy.linalg.eigvals(MATRIX)


def pillow_jpeg():
    PICTURE.resize((1024, 512), Image.Resampling.LANCZOS).save(io.BytesIO(), "JPEG")


def disk():
    """Writes and syncs a file, and reads it back from the disk."""
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
        for _ in range(4):
            file.write(BYTES)
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            file.seek(0)
            while file.read(65536):
                pass


def mix():
    """The next one of those that are short."""
    next(MIX)()


MIX = itertools.cycle([pbkdf2, re_sub, query, sorted_key, pillow_jpeg, json_loads, compress])
LOADS = {f"/{function.__name__}": function
         for function in (loop, json_loads, sorted_key, re_sub, pbkdf2, scrypt, bcrypt_hash, compress, query,
                          numpy_linalg, pillow_jpeg, disk, mix)}


def app(environ, start_response):
    load = LOADS.get(environ["PATH_INFO"])
    if load:
        load()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
