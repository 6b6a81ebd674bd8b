"""resolve: records of all types, from a real name server (dnsmasq) in a network of the test's own."""
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from scripts import PYTHON, TIMEOUT, script

CLIENTS = pathlib.Path(__file__).resolve().parents[1] / "clients"
UNSHARE = ["unshare", "--mount", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]
FILES = {
    "hosts": "127.0.0.1 localhost\n192.0.2.99 only-hosts.test\n",
    "nsswitch.conf": "hosts: files dns\n",
    "resolv.conf": "nameserver 127.0.0.1\nsearch corp.test\noptions timeout:1 attempts:1\n",
    "ip": "link set lo up\n",
    "dnsmasq.conf": """
no-resolv
no-hosts
bind-interfaces
listen-address=127.0.0.1
local-ttl=77
local=/test/
host-record=a.test,192.0.2.1
host-record=both.test,192.0.2.3,2001:db8::3
host-record=www.corp.test,192.0.2.10
cname=alias.test,a.test
mx-host=test,mail2.test,20
mx-host=test,mail1.test,10
srv-host=_http._tcp.test,www.test,8080,1,2
txt-record=txt.test,"first part","second"
ptr-record=1.2.0.192.in-addr.arpa,"a.test"
ptr-record=3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa,both.test
""",
}

SCRIPT = """
import threading, time
from syncless import *
def show(*args):
    try:
        for record in sorted(resolve(*args)) or ["nothing"]:
            print(*record if record != "nothing" else [record])
    except (DnsError, ValueError) as error:
        print(type(error).__name__, error)
show("a.test"), show("both.test", "A"), show("both.test", "AAAA"), show("alias.test"), show("www")
show("test", "MX"), show("_http._tcp.test", "SRV"), show("txt.test", "TXT"), show("alias.test", "CNAME")
show("192.0.2.1", "PTR"), show("2001:db8::3", "PTR"), show("1.2.0.192.in-addr.arpa", "PTR")
show("a.test", "MX"), show("gone.test"), show("only-hosts.test"), show("a" * 64 + ".test"), show("a.test", "XX")
thread = threading.Thread(target=show, args=("a.test",))
thread.start()
thread.join()
thread = threading.Thread(target=show, args=("gone.test",))
thread.start()
thread.join()
"""


def test_records(tmp_path):
    if subprocess.run([*UNSHARE, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this machine allows no namespaces")

    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    command = [*UNSHARE, sys.executable, CLIENTS / "island.py", tmp_path, PYTHON, "-c", SCRIPT]
    try:
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)
    finally:
        os.kill(int((tmp_path / "dnsmasq.pid").read_text()), signal.SIGTERM)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "a.test A 77 192.0.2.1", "both.test A 77 192.0.2.3", "both.test AAAA 77 2001:db8::3", "a.test A 77 192.0.2.1",
        "www.corp.test A 77 192.0.2.10",
        "test MX 77 Mx(preference=10, host='mail1.test')", "test MX 77 Mx(preference=20, host='mail2.test')",
        "_http._tcp.test SRV 77 Srv(priority=1, weight=2, port=8080, target='www.test')",
        "txt.test TXT 77 first partsecond", "alias.test CNAME 77 a.test",
        "1.2.0.192.in-addr.arpa PTR 77 a.test",
        "3." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa PTR 77 both.test", "1.2.0.192.in-addr.arpa PTR 77 a.test",
        "nothing", "DnsError [Errno 2] gone.test A: there is no such name",
        "DnsError [Errno 2] only-hosts.test A: there is no such name",
        f"DnsError [Errno 2] {'a' * 64}.test A: there is no such name",
        "ValueError type 'XX' is not one of A, NS, CNAME, PTR, MX, TXT, AAAA, SRV",
        "a.test A 77 192.0.2.1", "DnsError [Errno 2] gone.test A: there is no such name"]


def test_malformed_replies(script):
    """Every reply gives records or DnsError: here they are cut and changed at random."""
    out = script("""
        import random, struct
        from syncless import dns
        head = struct.pack("!6H", 1, 0x8180, 1, 2, 0, 0) + b"\\1a\\4test\\0" + struct.pack("!HH", 15, 1)
        record = b"\\xc0\\x0c" + struct.pack("!HHIH", 15, 1, 60, 9) + struct.pack("!H", 10) + b"\\4mail\\xc0\\x0e"
        reply = head + record * 2
        dns._ask = lambda name, number: reply
        good = resolve("a.test", "MX")
        print(good[0], len(good))
        random.seed(1)
        ends = set()
        for _ in range(20000):
            changed = bytearray(head + record * 2)
            for _ in range(random.randrange(1, 5)):
                changed[random.randrange(len(changed))] = random.randrange(256)
            reply = bytes(changed[:random.randrange(len(changed) + 1)]) if random.random() < 0.5 else bytes(changed)
            try:
                resolve("a.test", random.choice(list(dns.TYPES)))
                ends.add("records")
            except DnsError:
                ends.add("error")
        print(sorted(ends))
        """)
    assert out == ("Record(name='a.test', type='MX', ttl=60, value=Mx(preference=10, host='mail.test')) 2\n"
                   "['error', 'records']\n")


def test_foreign_records(script):
    """Records count if they are of the name in the question or of its aliases. Names have the form of master files."""
    out = script("""
        import struct
        from syncless import dns
        def wire(*labels):
            return b"".join(bytes([len(label)]) + label for label in labels) + b"\\0"
        def record(owner, number, data, kind=1):
            return owner + struct.pack("!HHIH", number, kind, 60, len(data)) + data
        def show(number, name, *records):
            head = struct.pack("!6H", 1, 0x8180, 1, len(records), 0, 0) + wire(b"a", b"test")
            dns._ask = lambda name, number: head + struct.pack("!HH", number, 1) + b"".join(records)
            print([(record.name, record.value) for record in resolve("a.test", name)])
        a, b, c = wire(b"A", b"test"), wire(b"b", b"test"), wire(b"c", b"test")
        address = bytes([192, 0, 2, 1])
        show(1, "A", record(b, 1, bytes(4)), record(a, 5, b), record(c, 1, bytes(4)), record(b, 1, address))
        show(1, "A", record(a, 1, bytes(4), 3), record(b, 5, c), record(c, 1, bytes(4)))
        show(5, "CNAME", record(a, 5, b), record(b, 5, c))
        show(12, "PTR", record(a, 12, wire(b"a.b\\\\", b"<x y>\\0\\xfc")), record(b, 12, c))
        """)
    assert out.splitlines() == ["[('b.test', '192.0.2.1')]", "[]", "[('A.test', 'b.test'), ('b.test', 'c.test')]",
                                r"[('A.test', 'a\\.b\\\\.<x\\032y>\\000\\252')]"]
