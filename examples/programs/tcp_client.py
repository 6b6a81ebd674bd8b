"""Connect to HOST PORT and print the first line that the server sends, with a ticker."""
import socket
import sys

from ticker import ticking

if __name__ == "__main__":
    with ticking(), socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
        line = sock.makefile().readline()
    print(line, end="")
