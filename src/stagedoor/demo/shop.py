"""A small staging application: a shop, served by Werkzeug's threaded server, with Stagedoor around it."""

import logging
import socket
import sys
import threading
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.serving import ThreadedWSGIServer

from stagedoor import StageDoor

CENTS = {"apples": 40, "pears": 55}


def total(items: dict[str, int]) -> int:
    return sum(CENTS[fruit] * count for fruit, count in items.items())


def basket(customer: str) -> str:
    items = {"apples": 3, "pears": 2}
    cents = total(items)  # anna's breakpoint
    return f"{customer} pays {cents / 100:.2f}"  # ben's breakpoint


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = f"{basket(environ['PATH_INFO'].rpartition('/')[2])}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def listening(hosts: list[str], attempts: int = 20) -> list[socket.socket]:
    """A socket on each of ``hosts``, with the same port: one that is free on all of them."""
    made: list[socket.socket] = []
    try:
        for host in hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            made.append(socket.create_server((host, made[0].getsockname()[1] if made else 0), family=family))
    except OSError:
        for listener in made:
            listener.close()
        if attempts == 0:
            raise
        return listening(hosts, attempts - 1)
    return made


def main() -> None:
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("stagedoor.audit").setLevel(logging.INFO)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # STAGEDOOR_ALLOW, STAGEDOOR_SWITCH and STAGEDOOR_BIND are set by the demo.
    door = StageDoor(application)
    for listener in listening(sys.argv[1:]):
        host, port = listener.getsockname()[:2]
        server = ThreadedWSGIServer(host, port, door, fd=listener.detach())
        server.daemon_threads = False  # The end of this process waits for the answers that are on their way.
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(port, flush=True)
    sys.stdin.read()  # returns when the demo ends, however it ends


if __name__ == "__main__":
    main()
