"""A machine for tests of packages: systemd as the first process of namespaces, on a copy of a chroot's tree.

The copy is an overlay in memory, so the tree stays as it is. There is no network but the loopback. When `end` is
called, or this program ends in whatever way, the kernel ends all processes of the machine, and its mounts are gone.
"""
import os
import pathlib
import subprocess
import time

SECONDS = 60  # for systemd to be up

# Makes a machine of the tree $1, in a cgroup of its own below $2.
BOOT = """
set -e
mkdir -p "$2"
echo $$ >"$2/cgroup.procs"
exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --ipc --uts --net --cgroup sh -ec '
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
cd /mnt/root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -sf /dev/null etc/systemd/system/console-getty.service
mkdir .old
pivot_root . .old
umount -l .old
rmdir .old
exec env -i container=unshare PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
' boot "$1"
"""


class NoMachine(Exception):
    """This machine cannot hold another; the text says why."""


def cgroup_root():
    """Where cgroups of version 2 are mounted."""
    for line in open("/proc/self/mounts"):
        _, path, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(path)
    raise NoMachine("no file system of type cgroup2 is mounted")


class Machine:
    def __init__(self, tree, log):
        self.cgroup = cgroup_root() / f"syncless-test-{os.getpid()}"
        self.log = log
        with open(log, "ab") as file:
            self.process = subprocess.Popen(["sh", "-c", BOOT, "boot", tree, self.cgroup], stdin=subprocess.DEVNULL,
                                            stdout=file, stderr=file, start_new_session=True)
        try:
            self._wait_until_up()
        except BaseException:
            self.end()
            raise

    def _wait_until_up(self):
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise NoMachine(f"systemd does not start in namespaces here: see the end of {self.log}")
            if self._init() and self.run("systemctl is-system-running")[1].strip() in ("running", "degraded"):
                return
            time.sleep(0.2)
        raise NoMachine(f"systemd is not up after {SECONDS} s: see the end of {self.log}")

    def _init(self):
        """The pid of the machine's first process, None while there is none."""
        try:
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        except OSError:
            return None
        return children[0] if children else None

    def run(self, command, stdin=None):
        """Run a shell command in the machine. Returns its exit code and what it has written."""
        enter = ["nsenter", "--target", self._init(), "--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup"]
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        done = subprocess.run([*enter, "sh", "-c", command], env=env, text=True, errors="replace", input=stdin or "",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with open(self.log, "a") as file:
            file.write(f"\n==== {command}\n{done.stdout}")
        return done.returncode, done.stdout

    def end(self):
        self.process.kill()
        self.process.wait()
        for path in sorted(self.cgroup.rglob("*/"), reverse=True) + [self.cgroup]:
            for _ in range(50):  # the processes in it may still be dying
                try:
                    if path.is_dir():
                        path.rmdir()
                    break
                except OSError:
                    time.sleep(0.1)
