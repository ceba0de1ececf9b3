"""The gatekeeper's picture of one worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from stagedoor.control import protocol

from .debuggee import Debuggee


class WorkerSession(Protocol):
    """A client's session with one worker."""

    configured: bool

    def end(self, why: str | None) -> None:
        """End it: the worker's requests run on."""


@dataclass(slots=True)
class PausedRequest:
    """A paused request, as the worker has reported it."""

    request: str
    place: str
    since: float = field(default_factory=time.monotonic)


class Worker:
    """A server process that runs the application, from its hello until its control connection ends.

    :param pid: its process id, from the kernel.
    :param writer: its control connection.
    """

    def __init__(self, pid: int, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.since = time.monotonic()
        #: Its debugger, once it has joined.
        self.debuggee: Debuggee | None = None
        #: When it did so last, on the monotonic clock; ``None`` if it has not.
        self.joined_at: float | None = None
        self.child: WorkerSession | None = None
        #: The request for which it brought its debugger.
        self.joined_for = "a request"
        #: No request of its waits for the client: that has closed its session, or did not open one in time.
        self.ignored = False
        #: The second of these: once the client has come, or the debugger has ended, requests wait for it again.
        self.is_late = False
        #: What it has last confirmed of the client.
        self.seen = ""
        self.paused: dict[int, PausedRequest] = {}
        self._writer = writer

    def send(self, message: Mapping[str, Any]) -> None:
        """Send it one control message; without effect once it is gone."""
        with suppress(OSError, RuntimeError):
            self._writer.write(protocol.encode(message))

    def take(self, message: Mapping[str, Any]) -> None:
        """Take what it reports of itself."""
        if "seen" in message:
            self.seen = str(message["seen"])
        elif "join" in message:
            self.joined_for = str(message["join"])[:300]
        elif isinstance(report := message.get("paused"), dict):
            request, place = str(report.get("request"))[:300], str(report.get("place"))[:1000]
            self.paused[int(report.get("thread", 0))] = PausedRequest(request, place)
        elif isinstance(report := message.get("resumed"), dict):
            self.paused.pop(int(report.get("thread", 0)), None)

    def close(self) -> None:
        if self.debuggee is not None:
            self.debuggee.close()
        self._writer.close()

    def status(self) -> dict[str, Any]:
        """What ``status`` tells of it: JSON-ready."""
        now = time.monotonic()
        return {
            "pid": self.pid,
            "seconds": round(now - self.since),
            "joined": self.debuggee is not None,
            "joined_seconds": round(now - self.joined_at) if self.debuggee is not None and self.joined_at else None,
            "attached": self.child is not None and self.child.configured,
            "paused": [
                {"request": pause.request, "place": pause.place, "seconds": round(now - pause.since, 1)}
                for pause in self.paused.values()
            ],
        }


def who_is_late(worker: Worker, patience: float, *, opens_sessions: bool) -> str:
    """Whom a session waits for that is not configured yet.

    :param patience: seconds that it was waited for.
    :param opens_sessions: whether the client announced that it knows ``startDebugging``.
    """
    requests = f"so the requests of worker {worker.pid} are not paused"
    if worker.child is not None and worker.debuggee is not None and worker.debuggee.unanswered:
        return f"the debugger of worker {worker.pid} did not answer within {patience:g} s, {requests} until it has."
    if worker.child is not None:
        return (
            f"the session for worker {worker.pid} was not configured within {patience:g} s"
            f' (your IDE has not sent "configurationDone"), {requests} until it is.'
        )
    late = f"your IDE did not open a session for worker {worker.pid} within {patience:g} s, {requests}"
    if opens_sessions:
        return f"{late} until it has."
    return f"{late}. It has not announced startDebugging; Stagedoor needs a client that knows that or debugpyAttach."
