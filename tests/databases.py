"""Database servers for tests and benchmarks, each with a Unix socket and files in a new directory."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from timeouts import TIMEOUT, wait_until


class Database:
    """A server that runs until end(), not as root. A subclass has command(), and `env`: variables that tell clients
    where it is."""

    owner = "nobody"
    stop_signal = signal.SIGTERM

    def __init__(self, **options):
        """options are subprocess.Popen's."""
        # Not pytest's tmp_path, which other users cannot enter.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"syncless-{type(self).__name__.lower()}-"))
        self.user = {}
        if os.getuid() == 0:
            owner = pwd.getpwnam(self.owner)
            os.chown(self.dir, owner.pw_uid, owner.pw_gid)
            self.user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        self.socket = self.dir / "socket"
        self.prepare()
        with open(self.dir / "log", "w") as log:
            command = [str(word) for word in self.command()]
            self.process = subprocess.Popen(command, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            **self.user, **options)
        try:
            wait_until(self.is_up_or_ended, TIMEOUT * 3)
        except AssertionError as error:
            text = (self.dir / "log").read_text()
            self.end()
            raise AssertionError(f"{error}\n{text}") from None

    def prepare(self):
        """Create the files that the server needs."""

    def is_up_or_ended(self):
        assert self.process.poll() is None, f"{self.command()[0]} ended with {self.process.returncode}"
        return self.is_up()

    def is_up(self):
        with socket.socket(socket.AF_UNIX) as sock:
            return sock.connect_ex(str(self.socket)) == 0

    def end(self):
        self.process.send_signal(self.stop_signal)
        self.process.wait(TIMEOUT)
        shutil.rmtree(self.dir)


class Postgres(Database):
    """A PostgreSQL cluster; `env` has the variables of libpq."""

    owner = "postgres"
    stop_signal = signal.SIGINT  # a fast shutdown, which does not wait for clients

    def __init__(self, max_connections=200, **options):
        self.max_connections = max_connections
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[-2]))
        super().__init__(**options)
        self.env = {"PGHOST": str(self.dir), "PGUSER": "postgres", "PGDATABASE": "postgres"}

    def prepare(self):
        command = [self.bin / "initdb", "-D", self.dir / "data", "-U", "postgres", "-E", "UTF8", "--auth=trust",
                   "--no-sync"]
        subprocess.run(command, cwd=self.dir, check=True, capture_output=True, timeout=TIMEOUT * 4, **self.user)

    def command(self):
        return [self.bin / "postgres", "-D", self.dir / "data", "-k", self.dir, "-c", "listen_addresses=",
                "-c", "fsync=off", "-c", f"max_connections={self.max_connections}"]

    def is_up(self):
        return subprocess.run([self.bin / "pg_isready", "-q", "-h", self.dir], timeout=TIMEOUT).returncode == 0


class MariaDB(Database):
    """Without the tables of users and privileges: creating them takes seconds, and no test needs them."""

    def __init__(self):
        super().__init__()
        self.env = {"MARIADB_SOCKET": self.socket}

    def command(self):
        return ["/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.dir}", f"--socket={self.socket}",
                f"--pid-file={self.dir}/pid", "--skip-networking", "--skip-grant-tables",
                "--innodb-buffer-pool-size=8M"]


class Redis(Database):
    def __init__(self):
        super().__init__()
        self.env = {"REDIS_SOCKET": self.socket}

    def command(self):
        return ["/usr/bin/redis-server", "--port", 0, "--unixsocket", self.socket, "--save", ""]
