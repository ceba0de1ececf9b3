"""A small staging application: a shop, served by Werkzeug's threaded server, with Stagedoor around it."""

import logging
import sys
import threading
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.serving import ThreadedWSGIServer

from stagedoor import StageDoor

CENTS = {"apples": 40, "pears": 55}


def basket(visitor: str) -> str:
    items = {"apples": 3, "pears": 2}
    total = sum(CENTS[fruit] * count for fruit, count in items.items())
    return f"{visitor} pays {total / 100:.2f}"  # the demo's breakpoint


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = f"{basket(environ['REMOTE_ADDR'])}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def main() -> None:
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("stagedoor.audit").setLevel(logging.INFO)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # STAGEDOOR_ALLOW, STAGEDOOR_SWITCH and STAGEDOOR_BIND are set by the demo.
    door = StageDoor(application)
    port = 0
    for host in sys.argv[1:]:
        server = ThreadedWSGIServer(host, port, door)
        port = server.port
        server.daemon_threads = False  # The end of this process waits for the answers that are on their way.
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(port, flush=True)
    sys.stdin.read()  # returns when the demo ends, however it ends


if __name__ == "__main__":
    main()
