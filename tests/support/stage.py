"""Server, application and developer in one process: the middleware called on pooled threads of the test's own.

Nothing stands in for the debugger: it is debugpy itself, with its adapter and a client over TCP. What is left out is
the HTTP server, so that a test decides which thread serves which request, and what is done with the body.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from wsgiref.util import setup_testing_defaults

from stagedoor import StageDoor, Window
from stagedoor.dap.client import DapClient
from stagedoor.tracing import current_tracing
from stagedoor.worker.patience import Patience
from support import application
from support.pooled import PooledThread
from support.servers import ALLOWED, OTHER, free_port
from support.waiting import wait_for

Environ = dict[str, Any]


@dataclass
class Response:
    """What a server gets from the application."""

    status: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    blocks: list[bytes] = field(default_factory=list)

    @property
    def text(self) -> str:
        return b"".join(self.written + self.blocks).decode()

    @property
    def header(self) -> str | None:
        """What Stagedoor says about the request."""
        return dict(self.headers).get("Stagedoor")

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info is None and self.status:
            raise AssertionError("start_response was called twice")
        self.status, self.headers = status, list(headers)
        return self.written.append


def make_environ(path: str, source: str | None = ALLOWED, headers: Mapping[str, str] | None = None) -> Environ:
    path, _, query = path.partition("?")
    environ: Environ = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query}
    setup_testing_defaults(environ)
    environ.update({"wsgi.multithread": True, "wsgi.multiprocess": False})
    if source is not None:
        environ["REMOTE_ADDR"] = source
    for name, value in (headers or {}).items():
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return environ


def serve(app: Callable[..., Iterable[bytes]], environ: Environ) -> Response:
    """Do with one request what a server does."""
    response = Response()
    body = app(environ, response.start)
    try:
        response.blocks.extend(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return response


class Worker:
    """A pooled thread of a server: it serves one request after the other."""

    def __init__(self, door: Callable[..., Iterable[bytes]], name: str) -> None:
        self._door = door
        self._thread = PooledThread(name)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self._thread.submit(function, *arguments)

    def start_get(
        self, path: str, source: str | None = ALLOWED, headers: Mapping[str, str] | None = None
    ) -> Future[Response]:
        return self.run(serve, self._door, make_environ(path, source, headers))

    def get(
        self, path: str, source: str | None = ALLOWED, headers: Mapping[str, str] | None = None, timeout: float = 10
    ) -> Response:
        return self.start_get(path, source, headers).result(timeout)

    def stop(self) -> None:
        self._thread.end()


class Stage:
    """The application behind Stagedoor, with a few workers.

    :param app: the application.
    :param host: where the debug port is.
    :param keywords: of :class:`StageDoor`.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]] = application.application,
        *,
        host: str = "127.0.0.1",
        workers: int = 4,
        **keywords: Any,
    ) -> None:
        self.host, self.port = host, free_port(host)
        bind = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        settings = {"allow": ALLOWED, "switch": "memory", "bind": bind, "debugger": "listen", "threads": 100}
        self.door = StageDoor(app, **{**settings, **keywords})
        self.workers = [Worker(self.door, f"worker-{number}") for number in range(workers)]
        self.clients: list[DapClient] = []

    def has_patience(self, **limits: float) -> None:
        """From the next window on it waits less than usual: for limits of :class:`~stagedoor.worker.patience.Patience`."""
        debugger: Any = self.door._debugger
        *others, terms = debugger._new_run.args
        debugger._new_run = partial(debugger._new_run.func, *others, terms._replace(patience=Patience(**limits)))

    def open(self, for_: timedelta = timedelta(minutes=10)) -> Window:
        return self.door.open(for_)

    def attach(self, *stops: str, **keywords: Any) -> DapClient:
        """Attach a client that has breakpoints at the application's lines named ``stops``."""
        client = DapClient((self.host, self.port))
        self.clients.append(client)
        try:
            client.attach(breakpoints=breakpoints(*stops), **keywords)
        except BaseException:
            client.close()
            raise
        return client

    def armed(self, *stops: str, **keywords: Any) -> DapClient:
        """Open a window, let a matching request start the debugger, and attach."""
        self.open()
        # On a machine that is busy with other tests a request may give up before the debugger has started.
        wait_for(lambda: "client=waiting" in str(self.workers[0].get("/hello").header), "the debugger to start")
        return self.attach(*stops, **keywords)

    def passes(self, path: str = "/view?other", source: str = OTHER) -> None:
        """Every worker serves a request that does not match, and none of them waits for a debugger."""
        for worker in self.workers:
            worker.get(path, source, timeout=2)

    def stop(self) -> None:
        self.door.close()
        for client in self.clients:
            client.close()
        for worker in self.workers:
            worker.stop()


def breakpoints(*stops: str) -> dict[str, Sequence[int]]:
    return {application.__file__: [application.stop_line(stop) for stop in stops]}


def unfinished() -> list[str]:
    """The requests of this process that the debugger takes for begun and not over."""
    tracing = current_tracing()
    if tracing is None:
        return []
    tracing.tidy()
    return [matching.request for matching in list(tracing._begun)]


def process_state() -> dict[str, Any]:
    """What a debugger could have changed in this process."""
    monitoring = getattr(sys, "monitoring", None)
    return {
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "settrace": sys.settrace,
        "trace": sys.gettrace(),
        "threading_trace": threading.gettrace(),
        "start_new_thread": _thread.start_new_thread,
        "breakpointhook": sys.breakpointhook,
        "tool": monitoring.get_tool(monitoring.DEBUGGER_ID) if monitoring else None,
        "stdout": sys.stdout,
        "stderr": sys.stderr,
    }
