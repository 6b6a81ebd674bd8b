"""The application: a page for each client library, which waits in it, and a ticker that notices when something
blocks."""
import contextlib
import ctypes
import json
import os
import ssl
import time
import urllib.request

import dns.resolver
import MySQLdb
import psycopg2
import pymysql
import redis
import requests

WAIT = 0.3  # seconds that each call waits for its server
URL = f"{os.environ['HTTPS_URL']}/{WAIT}"
CA = os.environ["HTTPS_CA"]


def fetch_one(connection, query):
    with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def page_psycopg2():
    return fetch_one(psycopg2.connect(""), f"SELECT 'waited' || pg_sleep({WAIT})")


def page_mysqlclient():
    connection = MySQLdb.connect(unix_socket=os.environ["MARIADB_SOCKET"], user="test")
    return fetch_one(connection, f"SELECT IF(SLEEP({WAIT}), 'interrupted', 'waited')")


def page_pymysql():
    connection = pymysql.connect(unix_socket=os.environ["MARIADB_SOCKET"], user="test")
    return fetch_one(connection, f"SELECT IF(SLEEP({WAIT}), 'interrupted', 'waited')")


redis_pool = redis.Redis(unix_socket_path=os.environ["REDIS_SOCKET"])


def page_redis():
    return "waited" if redis_pool.blpop("a list that stays empty", timeout=WAIT) is None else "an element"


def page_requests():
    return requests.get(URL, verify=CA).text


def page_urllib():
    with urllib.request.urlopen(URL, context=ssl.create_default_context(cafile=CA)) as response:
        return response.read().decode()


def page_dnspython():
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = int(os.environ["DNS_PORT"])
    name = f"{WAIT}".replace(".", "-") + ".example"
    return "waited" if resolver.resolve(name)[0].address == "192.0.2.1" else "another address"


def page_sleep():
    time.sleep(WAIT)
    return "waited"


def page_block():
    """Block the worker: by a function of libc itself, that ours does not stand before."""
    return "waited" if ctypes.CDLL("libc.so.6").usleep(int(WAIT * 1e6)) == 0 else "not waited"


# ---- the ticker ----

BEAT = 0.010
ticking = False


def run_delay():
    """Seconds for which this OS thread was ready to run but did not get a CPU: a delay caused by the machine."""
    with open("/proc/thread-self/schedstat") as file:
        return int(file.read().split()[1]) / 1e9


def page_tick():
    """Sleep for one beat after the other until page_stop. Returns [(due, woken, delay caused by the machine)], in
    seconds."""
    global ticking
    ticking, beats = True, []
    delay = run_delay()
    while ticking:
        due = time.monotonic() + BEAT
        time.sleep(BEAT)
        now, delay_before, delay = time.monotonic(), delay, run_delay()
        beats.append((due, now, delay - delay_before))
    return json.dumps(beats)


def page_ticking():
    return str(ticking)


def page_stop():
    global ticking
    ticking = False
    return ""


def application(environ, start_response):
    body = globals()["page" + environ["PATH_INFO"].replace("/", "_")]().encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
