"""A PostgreSQL server for tests: a cluster of its own in a new folder, on a Unix socket there, ended with the test."""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from conftest import PATIENCE, wait_until


class Postgres:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="syncless-pg-"))  # not pytest's: its folders are ours alone
        self.bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parts[-2]))
        self.user = {}
        if os.getuid() == 0:  # as which PostgreSQL refuses to run
            owner = pwd.getpwnam("postgres")
            os.chown(self.dir, owner.pw_uid, owner.pw_gid)
            self.user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        self.run("initdb", "-D", self.dir / "data", "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8")
        command = [self.bin / "postgres", "-D", self.dir / "data", "-k", self.dir, "-c", "listen_addresses=", "-c", "fsync=off",
                   "-c", "max_connections=200"]
        with open(self.dir / "log", "w") as log:
            self.process = subprocess.Popen(command, cwd=self.dir, stdout=log, stderr=log, **self.user)
        wait_until(self.is_up)

    def run(self, program, *args):
        subprocess.run([self.bin / program, *args], cwd=self.dir, check=True, capture_output=True, timeout=PATIENCE * 4, **self.user)

    def is_up(self):
        assert self.process.poll() is None, (self.dir / "log").read_text()
        done = subprocess.run([self.bin / "pg_isready", "-q", "-h", self.dir], timeout=PATIENCE)
        return done.returncode == 0

    @property
    def env(self):
        """Variables by which libpq finds it."""
        return {"PGHOST": self.dir, "PGUSER": "postgres", "PGDATABASE": "postgres"}

    def end(self):
        self.process.send_signal(signal.SIGINT)  # a fast shutdown: it does not wait for clients
        self.process.wait(PATIENCE)
        shutil.rmtree(self.dir)
