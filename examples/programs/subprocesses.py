"""Ten children by subprocess at once, of half a second each, take little more than that."""
import subprocess
import time

import syncless
from ticker import ticking

if __name__ == "__main__":
    began = time.monotonic()
    with ticking():
        children = [syncless.spawn(subprocess.run, f"sleep 0.5; echo child {n}; exit {n}", shell=True,
                                   capture_output=True, text=True) for n in range(10)]
        done = [child.get() for child in children]
    print([child.returncode for child in done], "".join(child.stdout for child in done).count("child"), "children,",
          "side by side" if time.monotonic() - began < 3 else "one after the other")
