"""Tornado's own handlers (its WSGI container would block): tornado_app.py PORT."""
import asyncio
import sys

import tornado.web


class Hello(tornado.web.RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/plain")
        self.write(b"Hello, World\n")


class Sleep(Hello):
    async def get(self):
        await asyncio.sleep(0.1)
        super().get()


async def main(port):
    tornado.web.Application([("/hello", Hello), ("/sleep", Sleep)], log_function=lambda handler: None).listen(
        port, "127.0.0.1", backlog=4096)
    await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1])))
