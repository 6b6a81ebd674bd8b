"""island.py FOLDER COMMAND...: run a command where the network is an empty loopback with a resolver of its own.

In new namespaces of network and mounts, files of the folder stand in place of /etc/hosts, /etc/resolv.conf and
/etc/nsswitch.conf, and dnsmasq answers at 127.0.0.1:53 as FOLDER/dnsmasq.conf says. Its pid goes to FOLDER/dnsmasq.pid.
"""
import os
import pathlib
import subprocess
import sys


def run(*command):
    subprocess.run(command, check=True, timeout=10)


def main(folder, *command):
    for name in ("hosts", "resolv.conf", "nsswitch.conf"):
        run("mount", "--bind", f"{folder}/{name}", f"/etc/{name}")
    for arguments in pathlib.Path(folder, "ip").read_text().splitlines():
        run("ip", *arguments.split())
    run("dnsmasq", f"--conf-file={folder}/dnsmasq.conf", f"--pid-file={folder}/dnsmasq.pid", "--user=root", "--group=root")
    os.execvp(command[0], command)


main(*sys.argv[1:])
