"""An application that tells what Stagedoor knows of the server around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from stagedoor.worker.preflight import danger
from stagedoor.worker.servers import A_THREAD_EACH, pauses, surrounding_server, this_process


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    server = surrounding_server()
    multithread = environ["wsgi.multithread"]
    limit, reason = pauses(server, configured=None, seen=1, multithread=multithread)
    known = {
        "name": server.name,
        "threads": "each" if server.threads == A_THREAD_EACH else server.threads,
        "pauses": "each" if limit == A_THREAD_EACH else limit,
        "reason": reason,
        "keeps_alive": server.keep_alive is not None,
        "must_end": server.must_end,
        "kills_after": server.kills_after,
        "warning": server.warning,
        "refusal": danger(this_process()) or server.refusal,
        "multithread": bool(multithread),
        "multiprocess": bool(environ["wsgi.multiprocess"]),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(known).encode()]
