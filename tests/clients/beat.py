"""The ticker: did everything else in the worker run on, while it waited for many things at once?

A request sleeps from beat to beat of 10 ms and notes when it woke. On a busy machine it wakes late through no fault of the
worker's. So that the bound can stay narrow, such time is taken off: what the kernel says that the worker's OS thread was
ready and not let run, and what a metronome, another process that does the same, was late at the same moment.
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
    """Seconds by which beats came too late: beats as the ticker answers them, machine as the metronome does."""
    def machine_late(begin, end):
        return sum(max(0, min(end, now) - max(begin, due)) for due, now in machine)

    late = [now - due - delay for due, now, delay in beats]
    late = [seconds - machine_late(beat[0], beat[1]) if seconds > ALLOWED else 0 for seconds, beat in zip(late, beats)]
    return [round(seconds, 3) for seconds in late if seconds > ALLOWED]


class Ticker:
    missed = None  # seconds by which beats came too late
    worst = None  # seconds of lateness of the ticker, whoever's fault
    machine = None  # the same of the metronome
    count = None  # of beats


@contextlib.contextmanager
def ticking(server):
    """Have the server's ticker run during the block. The Ticker it gives is filled in at the end."""
    ticker, answers = Ticker(), []
    metronome = subprocess.Popen([sys.executable, "-c", METRONOME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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
