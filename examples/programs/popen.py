"""Read the output of a child of os.popen line by line, and its exit status, with a ticker."""
import os

from ticker import ticking

if __name__ == "__main__":
    with ticking():
        pipe = os.popen("for n in 1 2 3; do sleep 0.2; echo line $n; done; exit 10")
        for line in pipe:
            print(line.rstrip(), flush=True)
        status = pipe.close()
    print("status", hex(status))
