#!/usr/bin/python3
"""Run CPython's own tests under syncless-python: `tests/python/suite.py [--mode main|spawned|threads] [MODULE[:PATTERN]
...]`.

Each module runs as `syncless-python -m test` in a process of its own, first on the main coroutine and then, as
spawned.py, in a spawned one. Those about threads run a third time, with --coroutine-threads. What does not pass is run
again under the plain command of the same CPython, in spawned mode in a thread: if it passes there it must pass here, or
be listed in exceptions.txt. Since the machine may have other load, it is tried twice. Network resources stay off. The
logs are in $SYNCLESS_BUILD/tests/python.
"""
import argparse
import concurrent.futures
import fnmatch
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / os.environ.get("SYNCLESS_BUILD", "build")
OURS = BUILD / "syncless-python"
LOGS = BUILD / "tests" / "python"
COROUTINES = "--coroutine-threads"
MODULES = """test_queue test_thread test_threading test_threading_local test_socket test_ssl test_select test_selectors
    test_poll test_epoll test_subprocess test_signal test_asyncio test_httplib test_urllib test_urllib2_localnet
    test_httpservers
    test_socketserver test_ftplib test_smtplib test_poplib test_imaplib test_concurrent_futures
    test_multiprocessing_fork test_os test_posix test_io test_time test_contextvars test_context test_sys_settrace
    test_gc test_faulthandler
    test_sqlite3 test_ctypes
    test_abc test_argparse test_array test_ast test_asyncgen test_atexit test_audit test_base64 test_baseexception
    test_bdb test_binascii test_bisect test_bool test_builtin test_bytes test_call test_class test_cmd test_code
    test_codecs test_collections test_compare test_complex test_configparser test_contains test_contextlib
    test_contextlib_async test_copy test_copyreg test_coroutines test_csv test_dataclasses test_datetime
    test_decorators test_deque test_descr test_dict test_dictviews test_difflib test_dis test_dynamic test_enum
    test_enumerate test_except_star test_exception_hierarchy test_exceptions test_fcntl test_fork1 test_frame
    test_fstring test_functools test_generators test_getopt test_grammar test_hash test_hashlib test_heapq test_hmac
    test_http_cookies test_inspect test_int test_ioctl test_ipaddress test_isinstance test_iter test_itertools
    test_json test_linecache test_list test_logging test_math test_memoryview test_operator test_optparse
    test_ordered_dict test_pdb test_pprint test_property test_pty test_pwd test_raise test_range test_reprlib
    test_runpy test_sched test_secrets test_set test_slice test_string test_struct test_super""".split()
USES = {"test_socketserver": ["-u", "network"]}  # it uses only the loopback
# In a thread, most tests of asyncio's subprocesses fail, since they need the main thread, and leave the rest hanging,
# under any python. One class is made for threads; it is run by itself.
# Of test_threading, one test (3.15) fails in a thread too, and leaves one behind that sleeps for a day; and where a
# subinterpreter ends without waiting for its threads, 3.13 may end the process.
APART = {("spawned", "test_asyncio"): ["*test_asyncio.test_subprocess.*", "*.test_asyncio_run_without_uncancel"],
         ("spawned", "test_threading"): ["*.test_PyThreadState_SetAsyncExc_interrupts_sleep",
                                         "*.SubinterpThreadingTests.test_threads_join*"]}
MORE = {"spawned": ["test_asyncio:*SubprocessThreadedWatcherTests*"]}
THREADS = "test_queue test_thread test_threading test_threading_local test_concurrent_futures test_socketserver".split()
MODULE_SECONDS = 1200
QUIET_SECONDS = 90    # without output a test hangs, since the name of each is printed when it starts
MEMORY = 4 << 30      # bytes of one process: some tests that hang also grow
HANGS = 6             # at most that many such tests in a module
START = re.compile(r"^(?:[\d.]+s )?(\w+) \((?:test\.)?([\w.]+)\)", re.M)
FAILED = re.compile(r"^(?:FAIL|ERROR): (\w+) \((?:test\.)?([\w.]+)\)", re.M)
UNEXPECTED = re.compile(r"^UNEXPECTED SUCCESS: (\w+) \((?:test\.)?([\w.]+)\)", re.M)


def test_id(name, where):
    """Return test_x.Class.test_y, whichever way this version writes it."""
    return where if where.split(".")[-1] == name else f"{where}.{name}"


class Outcome:
    """The result of one `-m test -v`, from its output."""

    def __init__(self, output, code, seconds):
        self.output, self.code, self.seconds = output, code, seconds
        self.failed = {test_id(*m.groups()) for m in FAILED.finditer(output)}
        self.failed |= {test_id(*m.groups()) for m in UNEXPECTED.finditer(output)}
        self.skipped = set(self._skipped())
        ran = re.findall(r"^Ran (\d+) tests? in", output, re.M)
        self.count = sum(map(int, ran))
        self.absent = bool(re.search(r"^\w+ skipped -- |^\w+ skipped$|No module named 'test\.", output, re.M))
        self.cut = code is None or code < 0 or not (ran or self.absent)

    def _skipped(self):
        last = None
        for line in self.output.splitlines():
            if start := START.match(line):
                last = test_id(*start.groups())
            if last and re.search(r"\.\.\. skipped ['\"]", line):
                yield last
            if re.search(r"\.\.\. (skipped|ok|FAIL|ERROR)", line):
                last = None

    def last_started(self):
        started = [test_id(*m.groups()) for m in START.finditer(self.output)]
        return started[-1] if started else None

    def notable(self):
        return self.failed | self.skipped


def run(python, mode, module, log, patterns=(), ignored=(), quiet=QUIET_SECONDS):
    """One `-m test` process, bounded in time."""
    command = [python, *([COROUTINES] if mode == "threads" and python == OURS else []),
               *([HERE / "spawned.py"] if mode == "spawned" else ["-m", "test"])]
    command += ["-v", *USES.get(module, [])]
    for pattern in patterns:
        command += ["-m", pattern]
    for pattern in ignored:
        command += ["-i", pattern]
    start = time.monotonic()
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with open(log, "wb") as out:
        process = subprocess.Popen([*command, module], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                   start_new_session=True, env=env)
        if "ASAN_OPTIONS" not in os.environ:  # its shadow memory counts
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (MEMORY, MEMORY))
        try:
            code = await_end(process, log, quiet)
        finally:
            end_group(process)
    return Outcome(log.read_text(errors="replace"), code, time.monotonic() - start)


def await_end(process, log, quiet):
    """Return the exit code; None if the process hangs: then it has written its stacks (libregrtest does at SIGUSR1)."""
    end, size = time.monotonic() + MODULE_SECONDS, -1
    while time.monotonic() < end and (grown := log.stat().st_size) != size:
        size = grown
        until = time.monotonic() + quiet
        while time.monotonic() < until and log.stat().st_size == size:
            try:
                return process.wait(1)
            except subprocess.TimeoutExpired:
                pass
    process.send_signal(signal.SIGUSR1)
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        pass
    return None


def end_group(process):
    """End the process and all that its tests left behind, which is in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def plain_python():
    """Return the command of the CPython that is embedded."""
    code = "from sysconfig import get_config_var as v; print(v('BINDIR') + '/python' + v('VERSION'))"
    return subprocess.run([OURS, "-c", code], check=True, text=True, stdout=subprocess.PIPE, timeout=60).stdout.strip()


def read_exceptions():
    rows = []
    for line in (HERE / "exceptions.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            mode, pattern, reason = line.split(None, 2)
            rows.append((mode, pattern, reason))
    return rows


class Check:
    """A module in one mode: runs it, and compares tests that did not pass. `bad` lists those that are worse here."""

    def __init__(self, module, mode, plain, exceptions):
        self.module, _, self.pattern = module.partition(":")
        self.mode, self.plain = mode, plain
        self.exceptions = [pattern for row_mode, pattern, _ in exceptions if row_mode in (mode, "any")]
        self.bad, self.notes = [], []

    def log(self, kind):
        LOGS.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"\W+", "_", self.module + self.pattern)
        return LOGS / f"{name}.{self.mode}.{kind}.log"

    def excepted(self, name):
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.exceptions)

    def run(self):
        patterns = [self.pattern] if self.pattern else []
        ignored = [] if patterns else list(APART.get((self.mode, self.module), []))
        self.first = run(OURS, self.mode, self.module, self.log("ours"), patterns, ignored)
        while self.first.cut and (name := self.first.last_started()) and len(ignored) < HANGS \
                and self.hangs_there(name, patterns, ignored):
            ignored.append(self.as_pattern(name))
            self.notes.append(f"without {ignored[-1]}, in which plain python hangs too")
            self.first = run(OURS, self.mode, self.module, self.log("ours"), patterns, ignored)
        if self.first.cut:
            self.bad.append(f"{self.module}: ended in {self.first.last_started()}, exit code {self.first.code}, "
                            f"see {self.log('ours')}")
        elif self.first.absent:
            self.check_absent(patterns)
        else:
            self.check_notable()
        return self

    def hangs_there(self, name, patterns, ignored):
        """Whether plain python hangs in that test too, alone or after the others."""
        if run(self.plain, self.mode, self.module, self.log("plain"), [self.as_pattern(name)], quiet=30).cut:
            return True
        there = run(self.plain, self.mode, self.module, self.log("plain"), patterns, ignored, quiet=60)
        return there.cut and there.last_started() == name

    def check_absent(self, patterns):
        there = run(self.plain, self.mode, self.module, self.log("plain"), patterns)
        self.notes.append("not available")
        if not there.absent:
            self.bad.append(f"{self.module}: skipped here, not under {self.plain}")

    def check_notable(self):
        names = {name for name in self.first.notable() if not self.excepted(name)}
        if not names:
            return
        there = run(self.plain, self.mode, self.module, self.log("plain"), [self.as_pattern(name) for name in names])
        worse = (self.first.failed - there.failed | self.first.skipped - there.notable()) & names
        failed_there = self.first.failed & there.failed
        if failed_there:
            self.notes.append(f"{len(failed_there)} fail under plain python too")
        if worse:
            again = run(OURS, self.mode, self.module, self.log("again"), [self.as_pattern(name) for name in worse])
            still = worse if again.cut or not again.count else worse & again.notable()
            self.bad += sorted(still)
            if worse - still:
                self.notes.append("second try: " + ", ".join(sorted(worse - still)))

    @staticmethod
    def as_pattern(name):
        """Return a pattern for `-m`: a method of any class of that name, or all of a class whose set-up failed."""
        parts = name.split(".")
        if parts[-1] in ("setUpClass", "tearDownClass"):
            return parts[-2]
        return "*." + ".".join(parts[-2:]) if parts[-1] not in ("setUpModule", "tearDownModule") else "*"

    def summary(self):
        excepted = sum(map(self.excepted, self.first.notable()))
        words = [f"{self.mode:7} {self.module}: {self.first.seconds:.0f} s, {self.first.count} tests",
                 f"{len(self.first.skipped)} skipped" if self.first.skipped else "",
                 f"{excepted} excepted" if excepted else "", *self.notes, f"{len(self.bad)} BAD" if self.bad else "ok"]
        return "\n    ".join([", ".join(filter(None, words)), *self.bad])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("modules", nargs="*", help="test modules, with a pattern for the tests after a colon")
    parser.add_argument("--mode", choices=["main", "spawned", "threads"], action="append", help="all by default")
    parser.add_argument("-j", type=int, default=1, metavar="N", help="modules at a time")
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in a script's background it is ignored
    plain, exceptions = plain_python(), read_exceptions()
    checks = [Check(module, mode, plain, exceptions) for mode in args.mode or ["main", "spawned", "threads"]
              for module in args.modules or (THREADS if mode == "threads" else MODULES + MORE.get(mode, []))]
    print(f"{OURS} against {plain}", flush=True)
    bad = count = 0
    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        for number, done in enumerate(concurrent.futures.as_completed(pool.submit(check.run) for check in checks), 1):
            check = done.result()
            print(f"[{number}/{len(checks)}] {check.summary()}", flush=True)
            bad += len(check.bad)
            count += check.first.count
    print(f"{count} tests in {len(checks)} modules, {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
