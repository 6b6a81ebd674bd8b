"""A chat room: `telnet 127.0.0.1 1337`, or lines on standard input. `/nick NAME` changes the name."""
import socket
import sys

import syncless

members = {}  # name: what sends to it


def broadcast(line, but=None):
    for name, send in list(members.items()):
        if name != but:
            try:
                send(line + "\n")
            except OSError:
                members.pop(name, None)


def hear(name, lines):
    broadcast(f"{name} has come")
    try:
        for line in lines:
            line = line.rstrip("\r\n")
            if line.startswith("/nick ") and (new := line[6:].strip()) and new not in members:
                members[new] = members.pop(name)
                broadcast(f"{name} is {new} now")
                name = new
            elif line:
                broadcast(f"{name}: {line}", but=name)
    except OSError:
        pass  # gone without a word
    members.pop(name, None)
    broadcast(f"{name} has left")


def serve(sock, number):
    with sock, sock.makefile("rw", encoding="utf-8", errors="replace", newline="\n") as file:
        def send(line):
            sock.sendall(line.encode())

        members[f"guest{number}"] = send
        hear(f"guest{number}", file)


def accept(listener):
    number = 0
    while True:
        sock, _ = listener.accept()
        number += 1
        syncless.spawn(serve, sock, number)


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 1337))
    print("chat at port", listener.getsockname()[1], flush=True)
    syncless.spawn(accept, listener)
    members["console"] = lambda line: print(line, end="", flush=True)
    hear("console", sys.stdin)
