"""What is known of the WSGI server around a request: how many threads it has, and how to keep its worker alive.

A WSGI environ does not tell these. They are read from the server's own objects, which stand on the stack of every
request. Verified with gunicorn 27.0.1, waitress 3.0.2 and uWSGI 2.0.31; of another server nothing is known, and then
nothing is assumed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass(frozen=True, slots=True)
class Server:
    """The server of this process.

    :param threads: how many requests it handles at the same time; ``None`` if nobody knows.
    :param keep_alive: tells the server's arbiter that this worker is well, which it can't do by itself during a request.
    :param retiring: whether the worker has to end, and a paused request would hold that up.
    :param warning: what the developer has to know of pauses in this server, a sentence.
    """

    threads: int | None = None
    keep_alive: Callable[[], None] | None = None
    retiring: Callable[[], bool] | None = None
    warning: str | None = None

    @property
    def must_end(self) -> bool:
        """Whether the worker has to end. Never raises."""
        with suppress(Exception):
            return self.retiring is not None and self.retiring()
        return False

    @property
    def pause_limit(self) -> int | None:
        """How many requests may be paused at the same time, so that one thread is left to serve the others; a worker of
        one thread may have that one paused. ``None``: as many as come.
        """
        return None if self.threads is None else max(1, self.threads - 1)


def surrounding_server(*, multithread: bool) -> Server:
    """The server that has called the application on this thread. Never raises.

    :param multithread: ``environ["wsgi.multithread"]``.
    """
    with suppress(Exception):
        options = _uwsgi_options()
        if options is not None:
            return _uwsgi(options)
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            server = _server_of(frame)
            if server is not None:
                return server
            frame = frame.f_back
    return Server(threads=None if multithread else 1)


def threads_are_off() -> str | None:
    """Why threads can't run in this process, a sentence, or ``None``."""
    options = _uwsgi_options()
    if options is None or "enable-threads" in options or int(options.get("threads", 1)) > 1:
        return None
    return "uWSGI runs no Python threads in this process, and the debugger needs some. Start it with --enable-threads."


def _server_of(frame: FrameType) -> Server | None:
    filename = frame.f_code.co_filename.replace("\\", "/")
    if filename.endswith("gunicorn/workers/sync.py"):
        worker = frame.f_locals["self"]
        # With max_requests reached it ends after this request, which holds up nobody: it serves no other meanwhile.
        return Server(1, worker.notify, lambda: not worker.alive and worker.nr < worker.max_requests)
    if filename.endswith("gunicorn/workers/gthread.py"):
        worker = frame.f_locals["self"]
        # Its main thread tells the arbiter that it is well. Once it has to end it accepts no connection any more, and
        # is replaced only when its last request is over.
        return Server(worker.cfg.threads, None, lambda: not worker.alive)
    if filename.endswith("waitress/task.py") and frame.f_code.co_name == "handler_thread":
        return Server(len(frame.f_locals["self"].threads))
    return None


def _uwsgi(options: dict[str, str]) -> Server:
    mercy = options.get("worker-reload-mercy", "60")
    warning = f"When uWSGI reloads it waits {mercy} s for a paused request (worker-reload-mercy), and kills its worker."
    if "harakiri" in options:
        warning += (
            f" And it kills one whose request takes longer than {options['harakiri']} s (harakiri), a paused one too."
        )
    return Server(int(options.get("threads", 1)), warning=warning)


def _uwsgi_options() -> dict[str, str] | None:
    """The options that uWSGI was started with; ``None`` if this process is not uWSGI's."""
    uwsgi: Any = sys.modules.get("uwsgi")  # A module that uWSGI itself puts there.
    if uwsgi is None or not hasattr(uwsgi, "opt"):
        return None
    return {_text(name): _text(value) for name, value in uwsgi.opt.items()}


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
