"""100 times 20 requests at once, of libraries that once crashed or froze a worker. By hand: REPEAT=100."""
import os

import pytest

import test_gil
import test_locks
from harness import PRELUDE, APPLICATION, scene_env, wheels

ROUNDS = int(os.environ.get("REPEAT", 0))
AT_ONCE = 20

# Of each scene a part that 20 requests can run at once on two cores; what else it says is how long it took.
SCENES = {
    "grpcio": test_locks.GRPC.replace("range(8)", "range(2)").replace(
        "results[name].append(time.monotonic() - began < ", "(time.monotonic() - began < ").replace("0.05", "0.1"),
    "confluent-kafka": test_locks.KAFKA.replace("* 4)", "* 1)").replace("return results, ", "return results, 0 < "),
    "polars": test_locks.POLARS.replace("0.2", "0.01").replace("went_on > 20", "went_on >= 0"),
    "uvloop": test_gil.UVLOOP.replace("range(8)", "range(2)"),
}


@pytest.mark.skipif(not ROUNDS, reason="only with REPEAT=100")
@pytest.mark.limit(60 * max(ROUNDS, 1))
@pytest.mark.parametrize("package", SCENES)
def test_many_times(daemon, package):
    site = wheels(package)
    server = daemon("[wsgi /]\napp = scene_app:application\n",
                    {"scene_app.py": PRELUDE + SCENES[package] + APPLICATION},
                    env=scene_env("coroutines", site, {}))
    expected, _ = server.get_all(["/"])
    worker = server.worker_pids()
    for number in range(ROUNDS):
        texts, _ = server.get_all(["/"] * AT_ONCE)
        assert texts == expected * AT_ONCE, (number, [text for text in texts if text != expected[0]][:3])
    assert server.worker_pids() == worker
