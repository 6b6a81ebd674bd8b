"""Children that a script forks end as those of python3 do."""
from scripted import script


def test_children_exit_although_the_parent_has_a_pool_of_threads(script):
    """It is made for calls on files, and is not in the child."""
    assert script("""
        import os, sys, syncless, tempfile
        files = [tempfile.TemporaryFile() for _ in range(8)]
        for one in [syncless.spawn(os.fsync, file.fileno()) for file in files]:
            one.get()
        def fork():
            pid = os.fork()
            if pid == 0:
                sys.exit(3)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        def fork_twice():
            pid = os.fork()
            if pid == 0:
                os.fsync(files[0].fileno()) # with a pool of its own
                sys.exit(fork())
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        tasks = len(os.listdir("/proc/self/task"))
        codes = {function() for function in (fork, fork_twice) for _ in range(20)}
        of_threads = {syncless.spawn(function).get() for function in (fork, fork_twice) for _ in range(20)}
        print(tasks >= 4, codes, of_threads)
        """, leaks=False) == "True {3} {0}\n"
