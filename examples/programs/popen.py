"""A child of os.popen, read line by line while the dots go on; its exit status."""
import os

from ticker import ticking

if __name__ == "__main__":
    with ticking():
        pipe = os.popen("for n in 1 2 3; do sleep 0.2; echo line $n; done; exit 10")
        for line in pipe:
            print(line.rstrip(), flush=True)
        status = pipe.close()
    print("status", hex(status))
