"""The static module: what fields of the request do: conditions, ranges, codings."""
import email
import email.utils
import gzip
import os
import re
import time

import pytest

from static_site import DATE, EARLIER, FILES, LATER, MODIFIED, THOUSAND, link, new, site  # noqa: F401


# ---- conditional requests ----

def conditions():
    """Rows of RFC 9110 section 13.2.2; TAG stands for the file's ETag."""
    yield 200, {}
    yield 200, {"If-Match": "TAG"}
    yield 200, {"If-Match": "*"}
    yield 200, {"If-Match": '"x", TAG ,"y"'}
    yield 412, {"If-Match": '"x"'}
    yield 412, {"If-Match": "W/TAG"}  # strong comparison
    yield 412, {"If-Match": "nonsense"}
    yield 200, {"If-Unmodified-Since": DATE}
    yield 200, {"If-Unmodified-Since": LATER}
    yield 412, {"If-Unmodified-Since": EARLIER}
    yield 200, {"If-Unmodified-Since": "nonsense"}
    yield 200, {"If-Match": "TAG", "If-Unmodified-Since": EARLIER}  # If-Match goes first
    yield 412, {"If-Match": '"x"', "If-Unmodified-Since": LATER}
    yield 304, {"If-None-Match": "TAG"}
    yield 304, {"If-None-Match": "W/TAG"}  # weak comparison
    yield 304, {"If-None-Match": "*"}
    yield 304, {"If-None-Match": '"x",TAG'}
    yield 304, {"If-None-Match": ', "a,b" ,, W/"x" , TAG'}
    yield 200, {"If-None-Match": '"x", "y"'}
    yield 200, {"If-None-Match": '"x'}
    yield 200, {"If-None-Match": ""}
    yield 304, {"If-Modified-Since": DATE}
    yield 304, {"If-Modified-Since": LATER}
    yield 200, {"If-Modified-Since": EARLIER}
    yield 200, {"If-Modified-Since": "nonsense"}
    yield 200, {"If-Modified-Since": DATE + " and more"}
    yield 304, {"If-Modified-Since": "Sunday, 06-Nov-94 08:49:37 GMT"}
    yield 304, {"If-Modified-Since": "Sun Nov  6 08:49:37 1994"}
    yield 200, {"If-Modified-Since": "Sun Nov  6 08:49:36 1994"}
    yield 200, {"If-None-Match": '"x"', "If-Modified-Since": DATE}  # If-None-Match goes first
    yield 304, {"If-None-Match": "TAG", "If-Modified-Since": EARLIER}
    yield 412, {"If-Match": '"x"', "If-None-Match": "TAG"}
    yield 304, {"If-Match": "TAG", "If-None-Match": "TAG"}
    yield 412, {"If-Unmodified-Since": EARLIER, "If-Modified-Since": DATE}
    yield 304, {"If-Unmodified-Since": DATE, "If-Modified-Since": DATE}
    yield 304, {"If-None-Match": "TAG", "Range": "bytes=0-1"}
    yield 412, {"If-Match": '"x"', "Range": "bytes=0-1"}
    yield 304, {"if-none-match": "TAG"}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("expected, fields", conditions())
def test_conditions(site, method, expected, fields):
    etag = site.get("/thousand.bin")[1]["ETag"]
    fields = {name: value.replace("TAG", etag) for name, value in fields.items()}
    status, headers, body = site.request(method, "/thousand.bin", fields)
    assert status == expected
    if status == 304:
        assert (headers["ETag"], body) == (etag, b"")
        assert "Content-Type" not in headers and "Last-Modified" not in headers
    elif status == 200:
        assert body == (THOUSAND if method == "GET" else b"")


def test_list_in_two_lines(site):
    etag = site.get("/thousand.bin")[1]["ETag"]
    head = ('GET /thousand.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n'
            f'If-None-Match: "x"\r\nIf-None-Match: {etag}\r\n\r\n')
    assert site.raw(head.encode()).startswith(b"HTTP/1.1 304 ")


def test_etag_tells_contents_apart(site, new):
    etags = set()
    path = new("changing", b"1")
    for modified, size in ((1, 1), (2, 1), (2, 2)):
        path.write_bytes(b"x" * size)
        os.utime(path, ns=(0, modified))
        etags.add(site.get("/changing")[1]["ETag"])
    other = new("other", b"xx")
    os.utime(other, ns=(0, 2))
    os.rename(other, path)  # the same time and size
    etags.add(site.get("/changing")[1]["ETag"])
    assert len(etags) == 4


@pytest.mark.parametrize("modified, expected", [(2 ** 40, None), (-5000, "Thu, 01 Jan 1970 00:00:00 GMT")])
def test_dates_that_cannot_be_said(site, new, modified, expected):
    new("odd", b"x", modified=modified)
    status, headers, _ = site.get("/odd")
    assert status == 200
    said = email.utils.parsedate_to_datetime(headers["Last-Modified"])
    assert said <= email.utils.parsedate_to_datetime(headers["Date"])
    assert expected in (None, headers["Last-Modified"])


# ---- ranges ----

@pytest.mark.parametrize("value, first, last", [
    ("bytes=0-0", 0, 0), ("bytes=0-499", 0, 499), ("bytes=500-", 500, 999), ("bytes=-1", 999, 999),
    ("bytes=-300", 700, 999),
    ("bytes=999-", 999, 999), ("bytes=0-", 0, 999), ("bytes=0-99999", 0, 999), ("bytes=-99999", 0, 999),
    ("bytes=10-99999999999999999999999999", 10, 999), ("BYTES=1-2", 1, 2), ("bytes= 1-2 ,", 1, 2),
    ("bytes=0-10,5-20", 0, 20), ("bytes=5-20,0-10", 0, 20), ("bytes=0-10,11-20", 0, 20), ("bytes=0-10,50-60", 0, 60),
    ("bytes=0-10,5000-", 0, 10), ("bytes=700-710,600-610,655-656", 600, 710), ("bytes=0-,0-,0-,-1,5-6", 0, 999),
])
def test_one_range(site, value, first, last):
    status, headers, body = site.get("/thousand.bin", {"Range": value})
    assert (status, headers["Content-Range"]) == (206, f"bytes {first}-{last}/1000")
    assert body == THOUSAND[first:last + 1]
    assert headers["Content-Length"] == str(last + 1 - first)
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["ETag"] and headers["Last-Modified"] == DATE


@pytest.mark.parametrize("value", ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=5000-,-0",
                                   "bytes=" + 30 * "9" + "-"])
def test_range_out_of_the_file(site, value):
    status, headers, body = site.get("/thousand.bin", {"Range": value})
    assert (status, headers["Content-Range"]) == (416, "bytes */1000")
    assert THOUSAND[:20] not in body


@pytest.mark.parametrize("value", [
    "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=5", "bytes=5-1", "bytes=1-2x", "bytes=1 -2",
    "bytes=1-2 3-4",
    "bytes=+1-2", "bytes=--2", "bytes=0-1;2-3", "bytes =0-1", "lines=0-1", "bytes=0-1,x", "bytes=0x1-0x2",
    "bytes=" + ",".join(f"{i}-{i}" for i in range(65)),
])
def test_range_is_ignored(site, value):
    status, headers, body = site.get("/thousand.bin", {"Range": value})
    assert (status, body, headers["Content-Range"]) == (200, THOUSAND, None)


def test_range_of_an_empty_file(site):
    assert site.get("/empty.txt", {"Range": "bytes=0-"})[0] == 416
    assert site.get("/empty.txt", {"Range": "bytes=-5"})[0] == 200


def test_range_is_for_get_only(site):
    status, headers, _ = site.request("HEAD", "/thousand.bin", {"Range": "bytes=0-1"})
    assert (status, headers["Content-Length"]) == (200, "1000")


@pytest.mark.parametrize("value, ranges", [
    ("bytes=0-9,500-509", [(0, 9), (500, 509)]),
    ("bytes=500-509,0-9,-10", [(500, 509), (0, 9), (990, 999)]),
    ("bytes=0-0, ,200-200,\t400-400", [(0, 0), (200, 200), (400, 400)]),
    ("bytes=0-9,500-509,5-15,2000-", [(0, 15), (500, 509)]),
    ("bytes=400-409,0-9,100-390", [(100, 409), (0, 9)]),
    ("bytes=300-310,600-610,0-10,250-550", [(250, 610), (0, 10)]),
])
def test_several_ranges(site, value, ranges):
    status, headers, body = site.get("/thousand.bin", {"Range": value})
    assert status == 206 and "Content-Range" not in headers
    boundary = re.fullmatch(r"multipart/byteranges; boundary=([0-9a-f]{32})", headers["Content-Type"])[1]
    part = b"%s--%s\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes %d-%d/1000\r\n\r\n%s"
    expected = b"".join(part % (
        b"\r\n" if i else b"", boundary.encode(), first, last, THOUSAND[first:last + 1])
        for i, (first, last) in enumerate(ranges))
    assert body == expected + b"\r\n--%s--\r\n" % boundary.encode()
    assert headers["Content-Length"] == str(len(body))
    message = email.message_from_bytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body)
    assert len(message.get_payload()) == len(ranges)


def test_boundaries_differ(site):
    fields = {"Range": "bytes=0-0,500-500"}
    assert len({site.get("/thousand.bin", fields)[1]["Content-Type"] for _ in range(4)}) == 4


def test_many_ranges_do_not_amplify(site, new):
    new("million", bytes(1000000))
    value = "bytes=" + ",".join(f"{i}-" for i in range(64))
    status, _, body = site.get("/million", {"Range": value})
    assert status == 206 and len(body) == 1000000
    value = "bytes=" + ",".join(f"{100 * i}-{100 * i}" for i in range(64))
    status, _, body = site.get("/million", {"Range": value})
    assert status == 206 and len(body) < 64 * 200


@pytest.mark.parametrize("value, status", [
    ("TAG", 206), ('"x"', 200), ("W/TAG", 200), ("TAG, TAG", 200), (DATE, 206), (EARLIER, 200), (LATER, 200),
    ("nonsense", 200),
])
def test_if_range(site, value, status):
    etag = site.get("/thousand.bin")[1]["ETag"]
    fields = {"Range": "bytes=1-3", "If-Range": value.replace("TAG", etag)}
    assert site.get("/thousand.bin", fields)[::2] == (status, THOUSAND[1:4] if status == 206 else THOUSAND)
    fields["Range"] = "bytes=5000-"
    assert site.get("/thousand.bin", fields)[0] == (416 if status == 206 else 200)


def test_if_range_with_a_date_that_may_still_change(site, new):
    new("fresh", THOUSAND, modified=int(time.time()) + 60)  # as if changed just now, at any time
    modified = site.get("/fresh")[1]["Last-Modified"]
    assert site.get("/fresh", {"Range": "bytes=0-1", "If-Range": modified})[0] == 200


def test_huge_file(site, new):
    path = new("huge")
    size = 5 << 30
    with open(path, "r+b") as file:
        file.truncate(size)
        for offset in (1 << 30, (4 << 30) + 5, size - 4):
            file.seek(offset)
            file.write(b"here")
    assert site.request("HEAD", "/huge")[1]["Content-Length"] == str(size)
    for offset in (1 << 30, (4 << 30) + 5, size - 4):
        status, headers, body = site.get("/huge", {"Range": f"bytes={offset}-{offset + 3}"})
        assert (status, body) == (206, b"here")
    assert site.get("/huge", {"Range": "bytes=-4"})[1]["Content-Range"] == f"bytes {size - 4}-{size - 1}/{size}"
    body = site.get("/huge", {"Range": f"bytes=0-0,{1 << 30}-{(1 << 30) + 3},-4"})[2]
    assert body.count(b"here") == 2 and len(body) < 1000


@pytest.mark.limit(120)
def test_gigabyte_from_the_middle(site, new):
    path = new("gigabyte")
    os.truncate(path, 1 << 30)
    connection = site.http(timeout=60)
    connection.request("GET", "/gigabyte", headers={"Range": f"bytes={1 << 20}-"})
    response = connection.getresponse()
    buffer, total = bytearray(1 << 20), 0
    while n := response.readinto(buffer):
        total += n
    assert (response.status, total) == (206, (1 << 30) - (1 << 20))
    connection.close()


# ---- precompressed files ----

@pytest.fixture
def packed(site, new):
    """packed("br gz") writes compressed files beside page.js, whose content is their suffix."""
    def write(suffixes, modified=MODIFIED):
        for suffix in suffixes.split():
            new("page.js." + suffix, suffix.encode(), modified)
    return write


@pytest.mark.parametrize("have, accept, chosen", [
    ("gz br zst", "gzip, deflate, br, zstd", "br"),
    ("gz zst", "gzip, deflate, br, zstd", "zst"),
    ("gz", "gzip, deflate, br, zstd", "gz"),
    ("gz br zst", "gzip", "gz"),
    ("gz br zst", "GZIP", "gz"),
    ("gz", "x-gzip", "gz"),
    ("gz br zst", "zstd;q=0.9, br;q=0.5, gzip;q=1", "gz"),
    ("br zst", "zstd;q=0.9, br;q=0.5, gzip;q=1", "zst"),
    ("gz br", "br;q=0, gzip;q=0.001", "gz"),
    ("gz br", "br;q=0.000 , gzip ; q=0", None),
    ("gz br zst", "*", "br"),
    ("gz br zst", "br;q=0, *", "zst"),
    ("gz br zst", "*;q=0", None),
    ("gz br zst", "identity", None),
    ("gz br zst", "identity;q=1, br;q=0.5", None),
    ("gz br zst", "identity;q=0.5, gzip;q=0.7, br;q=0.4", "gz"),
    ("gz br zst", "deflate", None),
    ("gz br zst", "gzipped, bro", None),
    ("gz br zst", "br;q=x, gzip;q=2, zstd;level=1", None),
    ("gz br zst", "", None),
    ("gz br zst", None, None),
    ("br", "gzip", None),
    ("", "gzip, br", None),
])
def test_precompressed(site, packed, have, accept, chosen):
    packed(have)
    plain = site.get("/page.js", {"Accept-Encoding": "identity"})[1]
    request = b"GET /page.js HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    request += b"" if accept is None else b"Accept-Encoding: %s\r\n" % accept.encode()
    head, body = site.raw(request + b"\r\n").split(b"\r\n\r\n", 1)
    headers = email.message_from_bytes(head.split(b"\r\n", 1)[1])
    codings = {"gz": "gzip", "zst": "zstd", "br": "br", None: None}
    assert headers["Content-Encoding"] == codings[chosen]
    assert body == (chosen.encode() if chosen else FILES["www/page.js"].encode())
    assert headers["Content-Length"] == str(len(body))
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert headers["Vary"] == "Accept-Encoding"
    assert (headers["ETag"] == plain["ETag"]) == (chosen is None)


def test_precompressed_conditions_and_ranges(site, new):
    new("page.js.gz", THOUSAND, MODIFIED)
    fields = {"Accept-Encoding": "gzip"}
    etag = site.get("/page.js", fields)[1]["ETag"]
    status, headers, _ = site.get("/page.js", {**fields, "If-None-Match": etag})
    assert (status, headers["ETag"], headers["Vary"]) == (304, etag, "Accept-Encoding")
    assert site.get("/page.js", {"Accept-Encoding": "identity", "If-None-Match": etag})[0] == 200
    status, headers, body = site.get("/page.js", {**fields, "Range": "bytes=2-9", "If-Range": etag})
    assert (status, headers["Content-Encoding"], body) == (206, "gzip", THOUSAND[2:10])
    assert headers["Content-Range"] == "bytes 2-9/1000"
    assert site.get("/page.js", {"Accept-Encoding": "identity", "Range": "bytes=2-9", "If-Range": etag})[0] == 200
    # Several parts of a compressed file have no clear meaning: all of it is sent.
    assert site.get("/page.js", {**fields, "Range": "bytes=0-0,500-500"})[::2] == (200, THOUSAND)


def test_precompressed_etag_differs_even_for_a_hard_link(site, new):
    path = new("twin.js", THOUSAND)
    os.link(path, site.www / "twin.js.br")
    etags = [site.get("/twin.js", {"Accept-Encoding": accept})[1]["ETag"] for accept in ("identity", "br")]
    (site.www / "twin.js.br").unlink()
    assert etags[0] != etags[1]


def test_precompressed_is_not_outdated(site, packed):
    packed("br", modified=MODIFIED - 1)
    packed("gz", modified=MODIFIED)
    assert site.get("/page.js", {"Accept-Encoding": "br, gzip"})[2] == b"gz"


def test_precompressed_needs_the_original(site, new):
    new("alone.txt.gz", gzip.compress(b"x"))
    assert site.get("/alone.txt", {"Accept-Encoding": "gzip"})[0] == 404
    headers = site.get("/alone.txt.gz", {"Accept-Encoding": "gzip"})[1]
    assert (headers["Content-Type"], headers["Content-Encoding"]) == ("application/gzip", None)


def test_precompressed_is_not_for_what_is_compressed(site, new):
    new("x.png", b"png", MODIFIED)
    new("x.png.gz", b"gz", MODIFIED)
    headers = site.get("/x.png", {"Accept-Encoding": "gzip"})[1]
    assert (headers["Content-Encoding"], headers["Vary"]) == (None, None)


def test_precompressed_off(site, packed):
    packed("gz")
    headers = site.get("/open/page.js", {"Accept-Encoding": "gzip"})[1]
    assert (headers["Content-Encoding"], headers["Vary"]) == (None, None)


def test_precompressed_index(site, new):
    new("index.html.gz", b"gz")
    headers = site.get("/", {"Accept-Encoding": "gzip"})[1]
    assert (headers["Content-Encoding"], headers["Content-Type"]) == ("gzip", "text/html; charset=utf-8")


def test_precompressed_stays_inside(site, link):
    link("page.js.gz", site.dir / "secret")
    assert site.get("/page.js", {"Accept-Encoding": "gzip"})[2] == FILES["www/page.js"].encode()
