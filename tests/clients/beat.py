"""The ticker: did the worker keep running while its requests waited?

A request sleeps for 10 ms again and again and records when it woke. On a busy machine it wakes late although nothing
blocks the worker, so two kinds of delay are subtracted, and the limit can stay small: the time for which the worker's
OS thread was ready but got no CPU, as the kernel reports it, and the simultaneous delay of a metronome, a process that
does the same.
"""
import contextlib
import json
import subprocess
import sys
import threading

from conftest import TIMEOUT, wait_until

ALLOWED = 0.030  # seconds

METRONOME = """
import json, select, sys, time
beats = []
while not select.select([sys.stdin], [], [], 0)[0]:
    due = time.monotonic() + 0.010
    time.sleep(0.010)
    beats.append((due, time.monotonic()))
print(json.dumps(beats))
"""


def missed(beats, machine):
    """The delays above ALLOWED, in seconds. `beats` is the answer of the ticker, `machine` that of the metronome."""
    def machine_late(begin, end):
        return sum(max(0, min(end, now) - max(begin, due)) for due, now in machine)

    late = [now - due - delay for due, now, delay in beats]
    late = [seconds - machine_late(beat[0], beat[1]) if seconds > ALLOWED else 0 for seconds, beat in zip(late, beats)]
    return [round(seconds, 3) for seconds in late if seconds > ALLOWED]


class Ticker:
    missed = None  # delays above ALLOWED that the machine does not explain, in seconds
    worst = None  # the longest delay of the ticker, in seconds, whatever the cause
    machine = None  # the longest delay of the metronome
    count = None  # number of beats


@contextlib.contextmanager
def ticking(server):
    """A context manager that runs the server's ticker; the Ticker is filled in at the end."""
    ticker, answers = Ticker(), []
    metronome = subprocess.Popen([sys.executable, "-c", METRONOME], text=True, stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
    thread = threading.Thread(target=lambda: answers.append(server.get("/tick", timeout=600)[2]))
    try:
        thread.start()
        wait_until(lambda: server.get("/ticking")[2] == b"True")
        yield ticker
    finally:
        server.get("/stop")
        thread.join(TIMEOUT)
        machine = json.loads(metronome.communicate("stop\n", TIMEOUT)[0])
    beats = json.loads(answers[0])
    ticker.count = len(beats)
    ticker.missed = missed(beats, machine)
    ticker.worst = max(now - due for due, now, _ in beats)
    ticker.machine = max(now - due for due, now in machine)
