"""The flight recorder: a trace of the last events after a 504, a blocked event loop, a crash, and for an operator."""
import collections
import json
import os
import re
import signal
import subprocess
import threading

import pytest

from conftest import BUILD, SANITIZED, TIMEOUT, wait_until

CTL = BUILD / "syncless-ctl"
APP = """
import ctypes, hashlib, os, re, signal, threading, time
lock = threading.Lock()

def app(environ, start_response):
    path, query = environ['PATH_INFO'], environ['QUERY_STRING']
    if path == '/sleep':
        time.sleep(float(query))
    if path == '/lock':
        with lock:
            time.sleep(float(query))
    if path == '/spin':
        end = time.monotonic() + float(query)
        while time.monotonic() < end:
            pass
    if path == '/hog':
        re.match('(a+)+$', 'a' * int(query) + 'b')
    if path == '/hash':
        hashlib.pbkdf2_hmac('sha1', b'p', b's', int(query))
    if path == '/crash':
        ctypes.string_at(8)
    if path == '/fork':
        pid = os.fork()
        if pid == 0:
            ctypes.string_at(8)
        assert os.waitpid(pid, 0)[1] & 127 == signal.SIGSEGV
    if path == '/abort':
        os.abort()
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def recorded(daemon, tmp_path):
    """Start a server that writes its traces to tmp_path/traces."""
    def start(server="", more="", workers=1):
        (tmp_path / "traces").mkdir(exist_ok=True)
        started = daemon(f"[server]\nworkers = {workers}\ncontrol = s.ctl\nflight-recorder-dir = {tmp_path}/traces\n"
                         f"{server}\n[wsgi /]\napp = flight:app\n{more}", {"flight.py": APP})
        started.wait_log("#0 all workers are ready")
        started.traces = tmp_path / "traces"
        return started
    return start


def record(server, *args):
    return subprocess.run([CTL, "-s", server.dir / "s.ctl", "record", *args], capture_output=True, text=True,
                          timeout=TIMEOUT)


def check(events):
    """In order, and in pairs that nest. Returns the slices: the names of each and of those around it, with its time."""
    slices, opened = collections.defaultdict(list), collections.defaultdict(list)
    for pid in {event["pid"] for event in events}:
        times = [event["ts"] for event in events if event["ph"] in "BEi" and event["pid"] == pid]
        assert times == sorted(times)
    for event in events:
        track = opened[event["pid"], event["tid"]]
        if event["ph"] == "B":
            track.append(event)
        elif event["ph"] == "E":
            begin = track.pop()
            slices[" / ".join([re.sub(r" \d.*", "", e["name"]) for e in track + [begin]])].append(
                event["ts"] - begin["ts"])
    assert not any(opened.values()), opened
    return slices


def read(path):
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    return json.loads(path.read_text())["traceEvents"]


def test_record(recorded):
    """All workers, every kind of event, requests by the numbers that syncless-ctl knows."""
    server = recorded("time-slice = 1ms", workers=2)
    threads = [threading.Thread(target=server.get, args=(path,)) for path in
               ("/lock?0.1", "/lock?0.1", "/lock?0.1", "/spin?0.1", "/spin?0.1", "/spin?0.1", "/hash?200000",
                "/hog?21", "/")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    pids = set()
    while len(pids) < 2:
        pids.add(int(server.get("/")[2]))
    result = record(server)
    assert result.returncode == 0, result
    events = json.loads(result.stdout)["traceEvents"]
    slices = check(events)
    assert {event["pid"] for event in events} == pids
    names = {event["args"]["name"] for event in events if event.get("name") == "process_name"}
    assert names == {"worker 1", "worker 2"}
    assert max(slices["request / waits: lock"]) >= 90000, slices
    assert max(slices["request / waits: sleep"]) >= 90000, slices
    assert slices["request / preempted"] and slices["request / ready"], slices
    assert len(slices["request"]) >= 11, slices
    assert min(event["args"]["descriptor"] for event in events if event.get("name") == "accept") > 2
    assert max(event["dur"] for event in events if event.get("name") == "long iteration") > 50000
    for pid in pids:
        numbers = [int(event["name"].split(".")[1]) for event in events
                   if event.get("name", "").startswith("request ") and event["pid"] == pid]
        assert sorted(numbers) == list(range(1, len(numbers) + 1)), numbers


def test_the_ring_is_bounded(recorded):
    """The last events, however many there were; the numbers of the requests are still right."""
    server = recorded("flight-recorder = 4k")
    with server.connect() as sock:
        for _ in range(500):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(1000).startswith(b"HTTP/1.1 200")
    events = json.loads(record(server).stdout)["traceEvents"]
    check(events)
    numbers = [int(event["name"].split(".")[1]) for event in events if event.get("name", "").startswith("request ")]
    assert numbers == list(range(numbers[0], 501)) and 50 < len(numbers) <= 256, numbers


def test_off(recorded):
    server = recorded("flight-recorder = 0")
    assert server.get("/")[0] == 200
    result = record(server)
    assert result.returncode == 0 and json.loads(result.stdout)["traceEvents"] == [], result
    assert server.get("/sleep?0")[0] == 200


def test_to_a_file(recorded):
    server = recorded()
    assert server.get("/")[0] == 200
    path = server.dir / "out.json"
    result = record(server, "-o", path)
    assert result.returncode == 0 and not result.stdout, result
    assert "request" in check(json.loads(path.read_text())["traceEvents"])
    result = record(server, "-o", server.dir / "none" / "out.json")
    assert result.returncode == 73 and "cannot create" in result.stderr, result


def test_after_a_504(recorded):
    server = recorded(more="request-timeout = 200ms")
    assert server.get("/sleep?30")[0] == 504
    path = server.wait_log(r"GET /sleep\?30 has timed out: what happened before is in (\S+)")[1]
    assert re.fullmatch(rf"{server.traces}/syncless-\d+-504-1.json", path)
    [file] = server.traces.iterdir()
    slices = check(read(file))
    assert max(slices["request / waits: sleep"]) >= 150000, slices
    assert server.get("/sleep?30")[0] == 504
    assert len(list(server.traces.iterdir())) == 1  # one in ten seconds


def test_when_the_loop_is_blocked(recorded):
    """The file is there while the worker is still stuck."""
    server = recorded("watchdog-timeout = 200ms")
    assert server.get("/sleep?0.05")[0] == 200
    thread = threading.Thread(target=server.get, args=("/hog?25",))
    thread.start()
    path = server.wait_log(r"event loop blocked: what happened before is in (\S+/syncless-\d+-stuck-1\.json)$")[1]
    assert thread.is_alive()
    [file] = server.traces.iterdir()
    slices = check(read(file))
    assert str(file) == path and len(slices["request"]) == 2, slices
    thread.join()


@pytest.mark.skipif(SANITIZED, reason="the sanitizer has handlers of its own")
@pytest.mark.parametrize("how, said", [("crash", "segmentation fault"), ("abort", "aborted")])
def test_after_a_crash(recorded, how, said):
    server = recorded()
    assert server.get("/sleep?0.05")[0] == 200
    with pytest.raises(OSError):
        server.get(f"/{how}")
    path = server.wait_log(r"^\[error\] \d+: what happened before is in (\S+/syncless-\d+-crash-1\.json)$")[1]
    assert f": {said} in GET /{how}\n" in server.log
    [file] = server.traces.iterdir()
    slices = check(read(file))
    assert str(file) == path and len(slices["request"]) == 2 and slices["request / waits: sleep"], slices
    server.wait_log(r"was killed by signal")
    assert server.get("/")[0] == 200


def test_only_the_last_files_are_kept(recorded, tmp_path):
    """And nothing else in the folder is touched, nor is a link followed."""
    (tmp_path / "traces").mkdir()
    for number in range(1, 7):
        path = tmp_path / "traces" / f"syncless-1-504-{number}.json"
        path.write_text("{}")
        os.utime(path, (number, number))
    (tmp_path / "traces" / "notes.json").write_text("mine")
    server = recorded("flight-recorder-files = 3", "request-timeout = 100ms")
    assert server.get("/sleep?30")[0] == 504
    server.wait_log("has timed out: what happened before is in ")
    names = sorted(path.name for path in server.traces.iterdir())
    assert names[:3] == ["notes.json", "syncless-1-504-5.json", "syncless-1-504-6.json"] and len(names) == 4, names
    assert (server.traces / "notes.json").read_text() == "mine"


def test_a_name_that_is_taken(recorded, tmp_path):
    server = recorded(more="request-timeout = 100ms")
    pid = int(server.get("/")[2])
    (tmp_path / "victim").write_text("mine")
    (server.traces / f"syncless-{pid}-504-1.json").symlink_to(tmp_path / "victim")
    assert server.get("/sleep?30")[0] == 504
    path = server.wait_log(r"has timed out: what happened before is in (\S+)")[1]
    assert path.endswith(f"syncless-{pid}-504-2.json") and (tmp_path / "victim").read_text() == "mine"


def test_a_folder_that_is_not_there(recorded, run_server, tmp_path):
    done = run_server(["-t"], "[server]\nflight-recorder-dir = /none/at/all\n[hello /]\n")
    assert done.returncode == 78 and re.search(r"server.ini:2: .*cannot create files in /none/at/all", done.stderr)
    server = recorded(more="request-timeout = 100ms")
    server.traces.rmdir()
    assert server.get("/sleep?30")[0] == 504
    server.wait_log(r"cannot write \S+-504-1.json, .*: No such file or directory")
    assert server.get("/")[0] == 200


def test_a_forked_child_writes_nothing(recorded):
    """Its crash is its own."""
    server = recorded()
    assert server.get("/fork")[0] == 200
    assert not list(server.traces.iterdir())
