"""Queue, Channel, ThreadPool."""
from scripts import script


def test_queue(script):
    """The original's queue_test: items keep their order, and the one that waits first is served first."""
    out = script("""
        queue = Queue([1, 2])
        queue.append(3)
        queue.appendleft(0)
        print(list(queue), len(queue), queue.popleft(), queue.pop(), queue.get())
        queue.pop()
        takers = [spawn(queue.popleft), spawn(queue.pop), spawn(queue.popleft)]
        yield_now()
        print(queue.pending_receiver_count, len(queue))
        for n in range(3):
            queue.append(n)
        print([co.get() for co in takers], queue.pending_receiver_count)
        began = time.monotonic()
        try:
            queue.popleft(timeout=0.02)
        except TimeoutError as error:
            print(error, queue.pending_receiver_count)
        with Timeout(0.02, False):
            queue.popleft()
        print(queue.pending_receiver_count, len(queue))
        try:
            queue.popleft(-1)
        except ValueError as error:
            print(error)
        """)
    assert out == ("[0, 1, 2, 3] 4 0 3 1\n3 0\n[0, 1, 2] 0\nnothing was put into the queue within 0.02 s 0\n0 0\n"
                   "timeout must not be negative: -1\n")


def test_queue_between_threads_and_coroutines(script):
    out = script("""
        queue, back = Queue(), Queue()
        def thread():
            for _ in range(1000):
                back.append(queue.popleft() + 1)
        threads = [threading.Thread(target=thread) for _ in range(3)]
        for t in threads:
            t.start()
        total = 0
        for n in range(3000):
            queue.append(n)
        for n in range(3000):
            total += back.popleft()
        print(total == sum(range(1, 3001)))
        """)
    assert out == "True\n"


def test_channel(script):
    out = script("""
        channel = Channel()
        senders = [spawn(channel.send, n) for n in range(3)]
        yield_now()
        print(channel.balance, [channel.receive() for _ in range(3)], channel.balance, all(co.join() for co in senders))
        receivers = [spawn(channel.receive) for n in range(2)]
        yield_now()
        print(channel.balance)
        channel.send("a")
        channel.send("b")
        print([co.get() for co in receivers])
        spawn(channel.send_exception, KeyError("sent"))
        try:
            channel.receive()
        except KeyError as error:
            print("raised", error)
        for wait in lambda: channel.send(1, timeout=0.01), lambda: channel.receive(timeout=0.01):
            try:
                wait()
            except TimeoutError as error:
                print(error, channel.balance)
        print(receive_with_timeout(0.01, channel, "default"))
        """)
    assert out == ("3 [0, 1, 2] 0 True\n-2\n['a', 'b']\nraised 'sent'\nnothing was sent within 0.01 s 0\n"
                   "nothing was received within 0.01 s 0\ndefault\n")


def test_channel_closed(script):
    out = script("""
        channel = Channel()
        reader = spawn(lambda: list(channel))
        for n in range(3):
            channel.send(n)
        channel.close()
        print(reader.get(), channel.closed)
        other = Channel()
        waiting = spawn(other.send, 1)
        yield_now()
        other.close()
        for wait in waiting.get, other.receive, lambda: other.send(1):
            try:
                wait()
            except ChannelClosed as error:
                print(error)
        """, stderr=[])
    assert out == "[0, 1, 2] True\n" + "the channel was closed\n" * 3


def test_killed_while_waiting_for_a_channel(script):
    out = script("""
        channel = Channel()
        victim, heir = spawn(channel.receive), spawn(channel.receive)
        yield_now()
        victim.kill()
        victim.join()
        print(channel.balance)
        channel.send(5)
        print(heir.get())
        """)
    assert out == "-1\n5\n"


def test_thread_pool(script):
    """The original's demo_thread_pool: four calls on four threads take as long as one, on three as long as two."""
    out = script("""
        for size in 4, 3:
            pool = ThreadPool(size)
            began = time.monotonic()
            all = [spawn(pool, time.sleep, 0.3) for _ in range(4)]
            for co in all:
                co.join()
            print(round((time.monotonic() - began) / 0.3))
        def work(n):
            assert threading.current_thread().name.startswith("syncless-")
            if n == 2:
                raise KeyError(n)
            return n * n
        for n in range(3):
            try:
                print(run_in_thread(work, n), end=" ")
            except KeyError as error:
                print("raised", error)
        import contextvars
        var = contextvars.ContextVar("var")
        var.set("seen")
        print(run_in_thread(var.get))
        for bad in 0, "x":
            try:
                ThreadPool(bad)
            except ValueError as error:
                print(error)
        """)
    assert out == ("1\n2\n0 1 raised 2\nseen\nthe size of a pool must be at least 1, not 0\n"
                   "the size of a pool must be at least 1, not 'x'\n")


def test_pool_does_not_hold_up_the_end(script):
    out = script("""
        spawn(run_in_thread, time.sleep, 60)
        sleep(0.05)
        print("over")
        """)
    assert out == "over\n"
