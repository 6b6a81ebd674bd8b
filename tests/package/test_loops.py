"""Event loops of others, unchanged, on coroutines: asyncio, Tornado, Twisted, websockets."""
import pytest

from scripts import script


def test_asyncio_on_many_coroutines(script):
    """Twenty loops side by side, which talk to a server of asyncio's on another coroutine, and to threads."""
    out = script("""
        import asyncio
        ready = Queue()
        async def serve():
            async def echo(reader, writer):
                await asyncio.sleep(0.1)
                writer.write((await reader.readline()).upper())
                writer.close()
            server = await asyncio.start_server(echo, "127.0.0.1", 0)
            ready.append(server.sockets[0].getsockname()[1])
            await asyncio.sleep(60)
        async def ask(port, n):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello %d\\n" % n)
            answer = await reader.readline()
            writer.close()
            return answer, await asyncio.to_thread(lambda: n)
        server = spawn(asyncio.run, serve())
        port = ready.popleft()
        began = time.monotonic()
        clients = [spawn(asyncio.run, ask(port, n)) for n in range(20)]
        print(all(co.get() == (b"HELLO %d\\n" % n, n) for n, co in enumerate(clients)), time.monotonic() - began < 5)
        server.kill(KeyboardInterrupt())
        print(server.join(5))
        """, stderr=[])
    assert out == "True True\nTrue\n"


@pytest.mark.needs("websockets")
def test_websockets_server_and_client(script):
    out = script("""
        import asyncio, websockets
        ready = Queue()
        async def serve():
            async def reverse(socket):
                async for message in socket:
                    await socket.send(message[::-1])
            async with websockets.serve(reverse, "127.0.0.1", 0) as server:
                ready.append(next(iter(server.sockets)).getsockname()[1])
                await asyncio.Future()
        async def ask(port):
            async with websockets.connect(f"ws://127.0.0.1:{port}/") as socket:
                await socket.send("Syncless")
                return await socket.recv()
        spawn(asyncio.run, serve())
        print(spawn(asyncio.run, ask(ready.popleft())).get())
        """, stderr=[])
    assert out == "sselcnyS\n"


@pytest.mark.needs("twisted")
def test_twisted(script):
    """Both sides wait for each other, and coroutines wake the reactor."""
    out = script("""
        from syncless import reactor as ours
        ours.install()
        from twisted.internet import defer, reactor, task
        running = spawn(reactor.run, installSignalHandlers=False)
        sleep(0.05)
        heard = Queue()
        began = time.monotonic()
        reactor.callLater(0.05, heard.append, "called later")
        print(heard.popleft(timeout=5))
        def slow(n):
            time.sleep(0.1)
            if n == 3:
                raise ValueError(n)
            return n
        def gather():
            return defer.DeferredList([ours.defer_to_coroutine(slow, n) for n in range(4)], consumeErrors=True)
        print([(good, value if good else value.value) for good, value in ours.wait_for(gather)])
        print(ours.wait_for(task.deferLater, reactor, 0.05, lambda: "deferred"), time.monotonic() - began < 3)
        try:
            ours.install()
        except Exception as error:
            print(type(error).__name__)
        reactor.callFromThread(reactor.stop)
        print(running.join(5))
        """)
    assert out == ("called later\n[(True, 0), (True, 1), (True, 2), (False, ValueError(3))]\ndeferred True\n"
                   "ReactorAlreadyInstalledError\nTrue\n")
