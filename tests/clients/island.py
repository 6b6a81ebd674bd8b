"""island.py FOLDER COMMAND...: run a command where the network is an empty loopback with a resolver of its own.

In new namespaces of network and mounts, files of the folder stand in place of /etc/hosts, /etc/resolv.conf and
/etc/nsswitch.conf, and dnsmasq answers at 127.0.0.1:53 as FOLDER/dnsmasq.conf says. Its pid goes to FOLDER/dnsmasq.pid.
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
    # With --no-daemon it stays the user that it is: in a namespace of users there may be no other.
    run("sh", "-c", f"dnsmasq --no-daemon --conf-file={folder}/dnsmasq.conf >{folder}/dnsmasq.log 2>&1 & echo $! >{folder}/dnsmasq.pid")
    wait_for_port(53)
    os.execvp(command[0], command)


main(*sys.argv[1:])
