"""Servers for the client libraries, besides those of ../databases.py. Each listens on a free port of loopback."""
import http.server
import pathlib
import shutil
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time

import dns.flags
import dns.message
import dns.rrset

from timeouts import TIMEOUT


class Threaded:
    """A socketserver that runs in a thread of the test process."""

    def begin(self):
        self.thread = threading.Thread(target=self.serve_forever, args=[0.01], daemon=True)
        self.thread.start()

    def end(self):
        self.shutdown()
        self.thread.join(TIMEOUT)
        self.server_close()


class SlowPage(http.server.BaseHTTPRequestHandler):
    """GET /SECONDS is answered after that time."""

    def do_GET(self):
        time.sleep(float(self.path[1:]))
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"waited")

    def log_message(self, *args):
        pass


class HTTPS(Threaded, http.server.ThreadingHTTPServer):
    """A TLS server with a self-signed certificate for localhost."""

    request_queue_size = 200

    def __init__(self):
        super().__init__(("127.0.0.1", 0), SlowPage)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="syncless-tls-"))
        key, cert = self.dir / "key.pem", self.dir / "cert.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                   "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                   "-keyout", key, "-out", cert]
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.env = {"HTTPS_URL": f"https://localhost:{self.server_port}", "HTTPS_CA": cert}
        self.begin()

    def finish_request(self, request, client_address):
        """Runs in a thread per connection, so that the handshake does too."""
        with self.context.wrap_socket(request, server_side=True) as sock:
            super().finish_request(sock, client_address)

    def end(self):
        super().end()
        shutil.rmtree(self.dir)


class SlowName(socketserver.BaseRequestHandler):
    """Every name has an address. The first label is the delay in seconds: 0-3.example is answered after 0.3 s."""

    def handle(self):
        query = dns.message.from_wire(self.request[0])
        name = query.question[0].name
        time.sleep(float(name.labels[0].replace(b"-", b".")))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1"))
        self.request[1].sendto(answer.to_wire(), self.client_address)


class DNS(Threaded, socketserver.ThreadingUDPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), SlowName)
        self.env = {"DNS_PORT": self.server_address[1]}
        self.begin()
