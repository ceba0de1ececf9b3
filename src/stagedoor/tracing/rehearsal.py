"""What the self-test plays with: a user's code, threads that run it, a session, and how the process was before."""

from __future__ import annotations

import _thread
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from stagedoor.dap.client import DapClient

from .state import TracingListener
from .tracing import Tracing, stop_on_exception

#: Seconds to wait for anything that has to happen.
PATIENCE = 5.0

#: Code of a user's, in a folder of its own: Stagedoor's is never debugged, and pydevd wants the file to be there.
NAME = "application.py"
SOURCE = """\
import threading
seen = []
def view(number):
    doubled = number * 2
    doubled += 1  # line 5
    return doubled
def failing():
    raise KeyError("no such price")  # line 8
def loop():
    total = 0
    for number in range(20_000):
        total += number & 3
    if total < 0:
        total += 1  # line 14
    return total
"""
VIEW, FAILING, LOOP = 5, 8, 14


class Wrong(Exception):
    """A fact is none; the text says what was seen instead."""


class _Nobody:
    """A listener that is told of everything, and does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None


class Played(threading.Thread):
    """A thread that runs one function, and keeps what came of it."""

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._function = function
        self.result: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._function()
        except Exception as error:
            self.result = error

    def finish(self, doing: str) -> Any:
        self.join(PATIENCE)
        insist(not self.is_alive(), f"{doing} did not end")
        return self.result


def insist(condition: object, otherwise: str) -> None:
    if not condition:
        raise Wrong(otherwise)


def until(condition: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        insist(time.monotonic() < deadline, otherwise)
        time.sleep(0.005)


class Session:
    """The debugger and its client, over a pair of sockets: nobody else can connect."""

    def __init__(self, file: str) -> None:
        ours, theirs = socket.socketpair()
        self.tracing = Tracing(cast(TracingListener, _Nobody()))
        self.tracing.start_over(theirs)
        self.client = DapClient(ours, timeout=PATIENCE)
        watched = {"line": VIEW, "condition": "seen.append(threading.get_ident()) or number >= 0"}
        self.client.attach(breakpoints={file: [watched, LOOP]}, exception_filters=["uncaught"])
        until(lambda: self.tracing.attached, "the client's session was not configured")

    def request(self, function: Callable[[], Any]) -> Played:
        """A matching request on a thread of its own."""

        def serve() -> Any:
            matching = self.tracing.begin("GET /")
            if matching is None or not self.tracing.enter(matching):
                raise Wrong("the thread of a matching request is not traced")
            try:
                return function()
            except Exception as error:
                stop_on_exception(error)
                return error
            finally:
                self.tracing.leave(matching)
                self.tracing.end(matching)

        return Played(serve)

    def stopped(self, reason: str, line: int) -> int:
        stop = self.client.stopped()
        frame = self.client.stack(stop["threadId"])[0]
        seen = (stop["reason"], frame["line"])
        insist(seen == (reason, line), f"stopped for {seen[0]!r} in line {seen[1]}, not for {reason!r} in line {line}")
        return int(stop["threadId"])

    @property
    def stops(self) -> int:
        return sum(event["event"] == "stopped" for event in self.client.events)


def state_of_process() -> dict[str, Any]:
    """What a debugger could have changed in this process."""
    monitoring: Any = getattr(sys, "monitoring", None)
    tools = [monitoring.get_tool(number) for number in range(6)] if monitoring else []
    return {
        "tools of sys.monitoring": tools,
        "trace function": sys.gettrace(),
        "trace function of new threads": threading.gettrace(),
        "sys.settrace": sys.settrace,
        "start of threads": _thread.start_new_thread,
        "breakpointhook": sys.breakpointhook,
        "os.fork": getattr(os, "fork", None),
        "standard output": sys.stdout,
        "threads": sorted(each.name for each in threading.enumerate()),
    }


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


@contextmanager
def running(function: Callable[[], object]) -> Iterator[list[int]]:
    """A thread that serves no matching request, and calls ``function`` all the time; yields the number of its calls."""
    ends, turns = threading.Event(), [0]

    def run() -> None:
        while not ends.is_set():
            function()
            turns[0] += 1
            time.sleep(0)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield turns
    finally:
        ends.set()
        thread.join(PATIENCE)


def goes_on(turns: list[int], when: str) -> None:
    before = turns[0]
    until(lambda: turns[0] > before + 20, f"a thread that serves no matching request stood still {when}")


def nothing_is_left(before: dict[str, Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while left := [name for name, value in state_of_process().items() if value != before[name]]:
        insist(time.monotonic() < deadline, f"not as it was before: {', '.join(left)}")
        time.sleep(0.01)
