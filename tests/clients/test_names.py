"""Name resolution: `resolver = c-ares` gives the answers of glibc (`resolver = system`), with dnsmasq as name
server."""
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from conftest import Daemon, server_args, server_env, write_files

HERE = pathlib.Path(__file__).parent

FILES = {
    "hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n192.0.2.100 Host.test nick nick2 # comment\n"
             "2001:db8::100 hosts-six.test\n192.0.2.101 hosts-both.test\n2001:db8::101 hosts-both.test\n",
    "nsswitch.conf": "hosts: files dns\nservices: files\nprotocols: files\n",
    "resolv.conf": "nameserver 127.0.0.1\nsearch corp.test deep.corp.test\noptions timeout:1 attempts:1\n",
    "many": "192.0.2.50 many.test\n192.0.2.51 many.test\n192.0.2.52 many.test\n"
            "192.0.2.60 ranks.test\n127.0.0.60 ranks.test\n2001:db8:1::60 ranks.test\n2001:db8:1:2::60 ranks.test\n"
            "fd00::60 ranks.test\n2002:c000:0204::60 ranks.test\nfec0::60 ranks.test\n2001::60 ranks.test\n"
            "::60 ranks.test\n192.0.2.61 near.test\n198.51.100.61 near.test\n198.51.100.128 near.test\n",
    "dnsmasq.conf": """
no-resolv
no-hosts
no-round-robin
bind-interfaces
listen-address=127.0.0.1
addn-hosts={folder}/many
local=/test/
local=/2.0.192.in-addr.arpa/
host-record=a.test,192.0.2.1
host-record=both.test,192.0.2.3,2001:db8::3
host-record=six.test,2001:db8::6
host-record=www.corp.test,192.0.2.10
host-record=deep.deep.corp.test,192.0.2.11
host-record=api.v2.corp.test,192.0.2.12
host-record=under_score.test,192.0.2.13
cname=alias.test,a.test
cname=double.test,alias.test
""",
}

NETWORKS = {  # arguments for the command ip
    "loopback only": "link set lo up",
    "with addresses": "link set lo up\naddr add 198.51.100.1/24 dev lo\naddr add 2001:db8:1::1/64 dev lo\n",
    "with routes": "link set lo up\naddr add 198.51.100.1/24 dev lo\naddr add 2001:db8:1::1/64 dev lo\n"
                   "addr add fd00::1/64 dev lo\nroute add default dev lo\n-6 route add default dev lo\n",
    "without IPv6": "link set lo up\naddr add 198.51.100.1/24 dev lo\n",
}
UNSHARE = ["unshare", "--mount", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]


@pytest.fixture
def answers(tmp_path):
    """answers(network, resolver) -> the lines that the application answers with."""
    if subprocess.run([*UNSHARE, "true"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no permission for namespaces")

    def ask(network, resolver):
        ini = f"[server]\nbind = unix:{tmp_path}/socket\nresolver = {resolver}\n[wsgi /]\napp = names_app\n"
        write_files(tmp_path, {name: text.replace("{folder}", str(tmp_path)) for name, text in FILES.items()})
        app = (HERE / "names_app.py").read_text()
        write_files(tmp_path, {"server.ini": ini, "ip": NETWORKS[network], "names_app.py": app})
        command = [*UNSHARE, sys.executable, HERE / "island.py", tmp_path, *server_args(tmp_path, ini, [])]
        try:
            server = Daemon(tmp_path, command, server_env())
            try:
                return server.get("/", timeout=50)[2].decode().splitlines()
            finally:
                server.end()
        finally:
            os.kill(int((tmp_path / "dnsmasq.pid").read_text()), signal.SIGTERM)

    return ask


@pytest.mark.limit(120)
@pytest.mark.parametrize("network", NETWORKS)
def test_same_answers_as_glibc(answers, network):
    expected, found = answers(network, "system"), answers(network, "c-ares")
    assert len(expected) == len(found) > 2000
    different = [f"glibc: {line}\nours:  {ours}" for line, ours in zip(expected, found) if line != ours]
    assert not different, f"{len(different)} of {len(found)}:\n" + "\n".join(different[:10])
    text = "\n".join(expected)
    for part in ("('192.0.2.1', 80)", "('2001:db8::6', 80, 0, 0)", "'www.corp.test'"):
        assert part in text
