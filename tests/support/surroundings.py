"""An application that tells what Stagedoor knows of the server around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from stagedoor.servers import surrounding_server, threads_are_off


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    server = surrounding_server(multithread=environ["wsgi.multithread"])
    known = {
        "threads": server.threads,
        "pause_limit": server.pause_limit,
        "keeps_alive": server.keep_alive is not None,
        "must_end": server.must_end,
        "warning": server.warning,
        "threads_are_off": threads_are_off(),
        "multithread": environ["wsgi.multithread"],
        "multiprocess": environ["wsgi.multiprocess"],
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(known).encode()]
