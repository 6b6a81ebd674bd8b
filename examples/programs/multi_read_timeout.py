"""Read three lines from standard input within 3 seconds in all (argument), in three ways: a call, a channel, `with`."""
import sys

import syncless

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 3


def read_three():
    return [sys.stdin.readline().rstrip("\n") for _ in range(3)]


def by_call():
    return syncless.timeout_call(SECONDS, read_three, default="too late")


def by_channel():
    channel = syncless.Channel()
    reader = syncless.spawn(lambda: channel.send(read_three()))
    lines = syncless.receive_with_timeout(SECONDS, channel, "too late")
    if reader.alive:
        reader.kill()
        reader.join()
    return lines


def by_with():
    lines = "too late"
    with syncless.Timeout(SECONDS, False) as limit:
        first = sys.stdin.readline().rstrip("\n")
        limit.change(SECONDS)  # again so much for the other two
        lines = [first] + [sys.stdin.readline().rstrip("\n") for _ in range(2)]
    return lines


if __name__ == "__main__":
    for way in by_call, by_channel, by_with:
        print(f"{way.__name__}:", way(), flush=True)
