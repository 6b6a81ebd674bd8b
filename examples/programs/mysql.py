"""A thousand queries with PyMySQL on ten coroutines, with a ticker. Needs python3-pymysql and a server: HOST PORT or
the path of a socket, USER, PASSWORD."""
import sys

import pymysql

import syncless
from ticker import ticking


def query(count, place):
    connection = pymysql.connect(**place)
    with connection, connection.cursor() as cursor:
        total = 0
        for n in range(count):
            cursor.execute("select %s + sleep(0.002)", (n,))
            total += int(cursor.fetchone()[0])
    return total


if __name__ == "__main__":
    where, user, password = (sys.argv[1:] + ["/run/mysqld/mysqld.sock", "root", ""][len(sys.argv) - 1:])[:3]
    host, _, port = where.partition(":")
    place = {"unix_socket": where} if where.startswith("/") else {"host": host, "port": int(port)}
    with ticking():
        workers = [syncless.spawn(query, 100, {**place, "user": user, "password": password}) for _ in range(10)]
        sums = [worker.get() for worker in workers]
    print(len(sums) * 100, "queries,", sum(sums) == 10 * sum(range(100)))
