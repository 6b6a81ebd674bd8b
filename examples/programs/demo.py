"""An HTTP server, a chat on standard input that ends after 3.5 idle seconds, and DNS, at once and in one thread.

Arguments: -s for HTTPS (with a certificate made by openssl), --address HOST:PORT, --idle SECONDS.
"""
import argparse
import subprocess
import sys
import tempfile

import syncless
import syncless.wsgi
import wsgiapp


def make_certificate(folder):
    files = f"{folder}/cert.pem", f"{folder}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-out", files[0], "-keyout", files[1],
                    "-days", "30", "-subj", "/CN=localhost"], check=True, capture_output=True)
    return files


def chat(idle):
    """Answers each line; ends at the end of input, or after so many seconds without a line."""
    print("What is your name?", flush=True)
    while True:
        try:
            with syncless.Timeout(idle, TimeoutError):
                line = sys.stdin.readline()
        except TimeoutError:
            print("You are so silent. Bye!")
            return
        if not line:
            return
        print(f"Hello, {line.strip()}!", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-s", action="store_true", help="HTTPS")
    parser.add_argument("--address", default="127.0.0.1:6666")
    parser.add_argument("--idle", type=float, default=3.5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tls = make_certificate(folder) if args.s else None
        with syncless.wsgi.start(wsgiapp.application, args.address, tls) as server:
            print("serving on", server.url, flush=True)
            chat(args.idle)


if __name__ == "__main__":
    main()
