"""Servers written in Python: their own objects stand on the stack of every request, and tell.

Verified with gunicorn 27.0.1, waitress 3.0.2, Werkzeug 3.1 and ``socketserver``, and with what calls the application in
a :class:`~concurrent.futures.ThreadPoolExecutor`: asgiref, a2wsgi, uvicorn, Hypercorn, aiohttp. For rarer servers nothing
is looked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from .base import A_THREAD_EACH, Server


def caller(frame: FrameType | None) -> Server | None:
    """The server that has called what runs in ``frame``, or ``None`` if it is none of those that are known."""
    while frame is not None:
        filename = frame.f_code.co_filename.replace("\\", "/")
        for end, look in _LOOKS.items():
            if filename.endswith(end):
                server = look(frame)
                if server is not None:
                    return server
        frame = frame.f_back
    return None


def _gunicorn_sync(frame: FrameType) -> Server:
    worker = frame.f_locals["self"]
    # With max_requests reached it ends after this request, which holds up nobody: it serves no other meanwhile.
    return _gunicorn(
        worker, 1, worker.notify, lambda: _is_orphan(worker) or (not worker.alive and worker.nr < worker.max_requests)
    )


def _gunicorn_gthread(frame: FrameType) -> Server:
    worker = frame.f_locals["self"]
    # Its main thread tells the arbiter that it is well. Once it has to end it accepts no connection any more, and is
    # replaced only when its last request is over.
    return _gunicorn(worker, worker.cfg.threads, None, lambda: not worker.alive or _is_orphan(worker))


def _gunicorn(worker: Any, threads: int, keep_alive: Callable[[], None] | None, retiring: Callable[[], bool]) -> Server:
    return Server(
        "gunicorn",
        threads,
        "Start it with --threads 8, or with several --workers.",
        has_other_processes=worker.cfg.workers > 1,
        keep_alive=keep_alive,
        retiring=retiring,
    )


def _is_orphan(worker: Any) -> bool:
    # gunicorn's own test, to which a worker comes only between requests.
    return bool(worker.ppid != os.getppid())


def _waitress(frame: FrameType) -> Server | None:
    if frame.f_code.co_name != "handler_thread":
        return None
    return Server("waitress", len(frame.f_locals["self"].threads), "Start it with threads=8.")


def _socketserver(frame: FrameType) -> Server | None:
    socketserver: Any = sys.modules["socketserver"]
    server = frame.f_locals.get("self")
    if not isinstance(server, socketserver.BaseServer):
        return None
    # There is none on Windows.
    forking = getattr(socketserver, "ForkingMixIn", None)
    if forking is not None and isinstance(server, forking):
        return Server(
            "The server",
            1,
            refusal="The server starts a process for each request, which ends with it: no debugger can be attached to it."
            " Run it with threads instead (Werkzeug: threaded=True without processes).",
        )
    threads = A_THREAD_EACH if isinstance(server, socketserver.ThreadingMixIn) else 1
    return Server(
        "The server", threads, "Run it with threads (Werkzeug: threaded=True; runserver: without --nothreading)."
    )


def _executor(frame: FrameType) -> Server | None:
    if frame.f_code.co_name != "_worker":
        return None
    executor = frame.f_locals["executor_reference"]()
    if executor is None:
        return None
    return Server(
        "The pool in which the application is called",
        executor._max_workers,
        "Give it more (a2wsgi: workers=10; asgiref's WsgiToAsgi can't have more).",
    )


#: By the end of a source file's name, in the order in which they are asked.
_LOOKS: dict[str, Callable[[FrameType], Server | None]] = {
    "gunicorn/workers/sync.py": _gunicorn_sync,
    "gunicorn/workers/gthread.py": _gunicorn_gthread,
    "waitress/task.py": _waitress,
    "/socketserver.py": _socketserver,
    "concurrent/futures/thread.py": _executor,
}

#: What stands on the stack of a thread that serves a request, also while a body is streamed, and of no other. Not a pool,
#: in which an application runs its own jobs as well.
_SERVING = tuple(end for end, look in _LOOKS.items() if look is not _executor)


def serves_a_request(frame: FrameType | None) -> bool:
    """Whether what runs in ``frame`` was called by one of the servers that are known, for a request."""
    while frame is not None:
        if frame.f_code.co_filename.replace("\\", "/").endswith(_SERVING):
            return True
        frame = frame.f_back
    return False
