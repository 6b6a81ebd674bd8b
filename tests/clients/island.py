"""island.py FOLDER COMMAND...: run a command with a network of its own, which has only loopback and a name server.

To be called in new network and mount namespaces. Files of FOLDER are mounted over /etc/hosts, /etc/resolv.conf and
/etc/nsswitch.conf. dnsmasq runs on 127.0.0.1:53 with FOLDER/dnsmasq.conf; its pid is written to FOLDER/dnsmasq.pid.
"""
import os
import pathlib
import socket
import subprocess
import sys
import time


def run(*command):
    subprocess.run(command, check=True, timeout=10)


def wait_for_port(port):
    deadline = time.monotonic() + 10
    with socket.socket() as sock:
        while sock.connect_ex(("127.0.0.1", port)) != 0:
            assert time.monotonic() < deadline, "dnsmasq does not start"
            time.sleep(0.01)


def main(folder, *command):
    for name in ("hosts", "resolv.conf", "nsswitch.conf"):
        run("mount", "--bind", f"{folder}/{name}", f"/etc/{name}")
    for arguments in pathlib.Path(folder, "ip").read_text().splitlines():
        run("ip", *arguments.split())
    # --no-daemon keeps it from changing its user: a user namespace may have no other.
    dnsmasq = f"dnsmasq --no-daemon --conf-file={folder}/dnsmasq.conf >{folder}/dnsmasq.log 2>&1"
    run("sh", "-c", f"{dnsmasq} & echo $! >{folder}/dnsmasq.pid")
    wait_for_port(53)
    os.execvp(command[0], command)


main(*sys.argv[1:])
