"""Forks of one process, each in a state of its own, that time requests when they are told to.

What a debugger switches on can concern a whole process, so a bare application next to it would be slowed down as well,
and hide the cost. Hence every state has a process to itself. The processes are forks of one that has served requests
before, so memory layout, hash seed and specialised bytecode are the same; all are alive at once and one of them runs at
a time, round by round, so that a machine that is slower for a while is slower for all of them.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from benchmarks.workloads import Application, application, make_environ, serve
from support.pooled import PooledThread

#: Seconds that a twin may take to answer.
PATIENCE = 60.0


class Site:
    """In the twin: the application with what is around it, and the threads of its server.

    :param wrap: puts the state's middleware around the application, and starts what is started with it.
    """

    def __init__(self, wrap: Callable[[Application], Application]) -> None:
        self.app = wrap(application)
        self._others = PooledThread("server")
        self._matching: list[Future[bytes]] = []

    def time(self, view: str, requests: int) -> tuple[float, float]:
        """What a request that does not match takes on a pooled thread: seconds, and those of them on a processor."""
        return self._others.submit(time_requests, self.app, view, requests).result()

    def time_threads(self, view: str, requests: int, threads: int) -> float:
        """The same with so many threads at once, which are started now: seconds for one request of each."""
        together = threading.Barrier(threads + 1)

        def run() -> None:
            environ = make_environ(view)
            together.wait()
            for _ in range(requests):
                serve(self.app, environ.copy())

        with no_garbage_collection():
            running = [threading.Thread(target=run) for _ in range(threads)]
            for thread in running:
                thread.start()
            together.wait()
            started = time.perf_counter()
            for thread in running:
                thread.join()
            return (time.perf_counter() - started) / requests

    def send(self, view: str, on_pooled_thread: bool) -> None:
        """Begin a matching request: on the thread that serves the others too, or on one of its own."""
        thread = self._others if on_pooled_thread else PooledThread("matching")
        self._matching.append(thread.submit(serve, self.app, make_environ(view, matching=True)))

    def answered(self) -> int:
        """Wait for the answers to all matching requests; returns how many there were."""
        answers = [future.result(PATIENCE) for future in self._matching]
        assert all(answers), answers
        self._matching.clear()
        return len(answers)

    def open(self) -> None:
        self.app.open(timedelta(hours=1))  # type: ignore[attr-defined]

    def close(self) -> None:
        self.app.close()  # type: ignore[attr-defined]

    def threads(self) -> list[str]:
        return [thread.name for thread in threading.enumerate()]


def time_requests(app: Application, view: str, requests: int) -> tuple[float, float]:
    environ = make_environ(view)
    with no_garbage_collection():
        # The collection, and the other twins, have left little in the processor's caches.
        for _ in range(1 + requests // 4):
            serve(app, environ.copy())
        started, started_cpu = time.perf_counter(), time.thread_time()
        for _ in range(requests):
            serve(app, environ.copy())
        return (time.perf_counter() - started) / requests, (time.thread_time() - started_cpu) / requests


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collections come by the number of objects, which a loaded debugger changes, and not by the request."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Twin:
    """A fork of this process. All are to be forked before any thread is started here.

    :param wrap: see :class:`Site`.
    """

    def __init__(self, wrap: Callable[[Application], Application] = lambda app: app) -> None:
        context = multiprocessing.get_context("fork")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_live, args=(theirs, wrap), daemon=True)
        self._process.start()
        theirs.close()
        self._receive("start")

    def ask(self, command: str, *arguments: Any) -> Any:
        """Let the twin call a method of its :class:`Site`, and return what that returns.

        :raises RuntimeError: if it fails there, or takes too long.
        """
        self._connection.send((command, arguments))
        return self._receive(command)

    def _receive(self, command: str) -> Any:
        if not self._connection.poll(PATIENCE):
            raise RuntimeError(f"A twin has not answered {command!r} within {PATIENCE:g} s.")
        is_well, answer = self._connection.recv()
        if not is_well:
            raise RuntimeError(f"{command!r} failed in a twin: {answer}")
        return answer

    def end(self) -> None:
        with suppress(OSError):
            self._connection.send(("end", ()))
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _live(connection: Any, wrap: Callable[[Application], Application]) -> None:
    site = _answer(connection, lambda: Site(wrap))
    while True:
        command, arguments = connection.recv()
        if command == "end":
            # Without anything that a debugger or multiprocessing would still do at an exit.
            os._exit(0)
        _answer(connection, lambda: getattr(site, command)(*arguments))  # noqa: B023


def _answer(connection: Any, call: Callable[[], Any]) -> Any:
    try:
        answer = call()
        connection.send((True, None if isinstance(answer, Site) else answer))
        return answer
    except BaseException as error:
        connection.send((False, repr(error)))
