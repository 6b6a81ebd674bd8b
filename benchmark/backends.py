"""The services that applications wait for: a slow HTTP server and PostgreSQL, both on the load generator's core."""
import asyncio
import pathlib
import signal
import subprocess
import sys
import time

import measure

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
import databases  # noqa: E402

DELAY = 0.05  # seconds
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nConnection: close\r\n\r\nHello, World\n"


class Slow(asyncio.Protocol):
    """One request per connection, answered after DELAY."""

    def connection_made(self, transport):
        self.transport, self.head = transport, b""

    def data_received(self, data):
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            asyncio.get_running_loop().call_later(DELAY, self.answer)

    def answer(self):
        self.transport.write(ANSWER)
        self.transport.close()


async def serve_upstream():
    server = await asyncio.get_running_loop().create_server(Slow, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Upstream:
    """The slow server, in a process of its own."""

    def __init__(self):
        self.process = subprocess.Popen([measure.PYTHON, __file__], stdout=subprocess.PIPE, text=True,
                                        preexec_fn=measure.pin(measure.LOAD_CORE))
        self.env = {"BENCHMARK_UPSTREAM": f"http://127.0.0.1:{int(self.process.stdout.readline())}/"}

    def end(self):
        self.process.terminate()
        self.process.wait()


class Postgres(databases.Postgres):
    """On the load generator's core, with enough connections for every server."""

    def __init__(self):
        super().__init__(max_connections=450, preexec_fn=measure.pin(measure.LOAD_CORE))

    def active_queries(self, seconds):
        """The highest number of queries of the application that are active at once, sampled every 10 ms."""
        import psycopg2
        query = ("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(0.02)'"
                 " AND pid <> pg_backend_pid()")
        connection = psycopg2.connect(host=str(self.dir), user="postgres", dbname="postgres")
        connection.autocommit = True
        most = 0
        with connection.cursor() as cursor:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                cursor.execute(query)
                most = max(most, cursor.fetchone()[0])
                time.sleep(0.01)
        connection.close()
        return most


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit())
    asyncio.run(serve_upstream())
