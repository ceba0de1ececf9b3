"""The gatekeeper's side of one pydevd that runs in the test's own process, and requests of several developers there."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from stagedoor.dap.client import DapClient
from stagedoor.dap.rules import Rule, encode
from stagedoor.dap.wire import Message
from stagedoor.tracing import Pause, Sessions, Tracing
from support import sessions_site
from support.pooled import PooledThread

FILE = sessions_site.__file__


class Listener:
    """Keeps what a worker is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.pauses: list[Pause] = []
        self.passed: list[tuple[str, str | None]] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def attached(self) -> None: ...

    def detached(self) -> None: ...

    def paused(self, pause: Pause) -> None:
        self.pauses.append(pause)

    def resumed(self, pause: Pause, seconds: float) -> None: ...

    def not_paused(self, request: str, limit: int, session: str | None) -> None:
        self.passed.append((request, session))

    def ran_past(self, number: int, session: str | None) -> None: ...


class Side:
    """A gatekeeper with two developers, anna (``s1``) and ben (``s2``), and a worker whose requests the test runs."""

    def __init__(self, **arguments: Any) -> None:
        ours, theirs = socket.socketpair()
        self.listener = Listener()
        self.tracing = Tracing(self.listener)
        self.tracing.start_over(theirs)
        self.tracing.sessions = Sessions({"anna": "s1", "ben": "s2"})
        self.client = DapClient(ours)
        self.client.attach(arguments=arguments)
        self._threads: list[PooledThread] = []

    def close(self) -> None:
        self.tracing.stop()
        self.client.close()
        for thread in self._threads:
            thread.end()

    def thread(self, name: str) -> PooledThread:
        thread = PooledThread(name)
        self._threads.append(thread)
        return thread

    def set(self, *rules: tuple[str | int, Rule], file: str = FILE) -> list[Message]:
        """The breakpoints of a file, each at a named line or a number."""
        entries = [
            {"line": sessions_site.line_of(where) if isinstance(where, str) else where, "condition": encode(rule)}
            for where, rule in rules
        ]
        return list(
            self.client.request("setBreakpoints", {"source": {"path": file}, "breakpoints": entries})["breakpoints"]
        )

    def filters(self, **sessions: Iterable[str]) -> None:
        """On what each session stops."""
        told = {key: {"filters": list(each)} for key, each in sessions.items()}
        self.client.request("stagedoorFilters", {"sessions": told})
        union = sorted({each for filters in told.values() for each in filters["filters"]})
        self.client.request("setExceptionBreakpoints", {"filters": union})

    def start(
        self, session: str | None, function: Callable[..., Any], *arguments: Any, on: PooledThread | None = None
    ) -> Future[Any]:
        """A request of this session's, on a thread of its own or the given one; ``None``: a visitor's."""
        name = "visitor" if session is None else session
        thread = on or self.thread(f"{name}-{len(self._threads)}")
        return thread.submit(self.serve, session, function, *arguments)

    def serve(self, session: str | None, function: Callable[..., Any], *arguments: Any) -> Any:
        """The same on the calling thread."""
        label = f"GET /{function.__name__}"
        matching = self.tracing.begin(label, session=session, shown=f"{label}?x=1") if session is not None else None
        if matching is None or not self.tracing.enter(matching):
            assert session is None
            return function(*arguments)
        try:
            return function(*arguments)
        finally:
            self.tracing.leave(matching)
            self.tracing.end(matching)

    def stopped(self, session: str) -> Message:
        """The next stop of a session's."""
        return self.client.wait_event("stopped", lambda body: (body.get("stagedoor") or {}).get("session") == session)

    def resume(self, stop: Message) -> None:
        self.client.request("continue", {"threadId": stop["threadId"], "singleThread": True})

    def events(self, name: str, session: str | None = None) -> list[Message]:
        """The bodies of all events of that name, of one session if it is given."""
        bodies = [event.get("body") or {} for event in self.client.events if event["event"] == name]
        return [body for body in bodies if session is None or (body.get("stagedoor") or {}).get("session") == session]

    def settle(self) -> None:
        """Wait until all that was sent before has come."""
        self.client.request("threads")

    def printed(self, session: str | None = None) -> str:
        """What was sent of standard output and error."""
        return "".join(
            body["output"] for body in self.events("output", session) if body.get("category") in ("stdout", "stderr")
        )
