"""C code that has no lock but the GIL: where threads cannot come in, coroutines do not either."""
from harness import in_requests, on_coroutines, wheels

UVLOOP = '''
import asyncio, subprocess, sys, uvloop


async def one(n):
    process = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", f"print({n})", stdout=subprocess.PIPE)
    output = (await process.communicate())[0]
    try:
        await asyncio.create_subprocess_exec("/nonexistent")
    except FileNotFoundError:
        return process.returncode, output.decode()


def run(n):
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(one(n))
    finally:
        loop.close()


def scene():
    return together(*[lambda n=n: run(n) for n in range(8)])
'''


def test_uvloop_spawns_alone(daemon):
    """uvloop keeps the GIL from the fork until the child executes its program, and refuses a second spawn meanwhile.
    It sets that up with Python code, so that on threads some of the eight fail."""
    expected = [[0, f"{n}\n"] for n in range(8)]
    assert on_coroutines(UVLOOP, wheels("uvloop")) == expected
    assert in_requests(daemon, UVLOOP, wheels("uvloop"), count=2) == [expected] * 2
