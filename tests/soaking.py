"""What the soaks share: clients that run for some seconds, and the figures of the server when it is idle again."""
import json
import threading

from conftest import wait_until


def run_clients(clients):
    """Run threads that have `errors` and `served`. Returns the number of requests."""
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert [error for client in clients for error in client.errors] == []
    return sum(client.served for client in clients)


def figures_at_rest(server, path, timeout):
    """What path answers, and `resident`; requests of clients that left early may still run at first."""
    def at_rest():
        before = json.loads(server.get(path)[2])
        threading.Event().wait(2.1)  # longer than any page, and than the interval in which stacks are trimmed
        after = json.loads(server.get(path)[2])
        return before["descriptors"] == after["descriptors"] and {**after, "resident": server.rss()}

    return wait_until(at_rest, timeout)
