"""The gatekeeper's picture of one worker."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from stagedoor.control import protocol

from .joined import Joined

_numbers = itertools.count(1)


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
        #: What the sessions' tables call it: a process id can come again.
        self.key = f"{pid}-{next(_numbers)}"
        self.since = time.monotonic()
        #: Its debugger, once it has come.
        self.joined: Joined | None = None
        #: When it did so last, on the monotonic clock; ``None`` if it has not.
        self.joined_at: float | None = None
        #: The request for which it brought its debugger.
        self.joined_for = "a request"
        #: What it has last confirmed of what it was told of the sessions.
        self.seen = 0
        self.paused: dict[int, PausedRequest] = {}
        self._writer = writer
        self._waiting: set[asyncio.Future[None]] = set()
        self._is_closed = False

    def send(self, message: Mapping[str, Any]) -> None:
        """Send it one control message; without effect once it is gone."""
        with suppress(OSError, RuntimeError):
            self._writer.write(protocol.encode(message))

    def take(self, message: Mapping[str, Any]) -> None:
        """Take what it reports of itself."""
        if "seen" in message:
            self.seen = int(message["seen"])
            self._wake()
        elif "join" in message:
            self.joined_for = str(message["join"])[:300]
        elif isinstance(report := message.get("paused"), dict):
            request, place = str(report.get("request"))[:300], str(report.get("place"))[:1000]
            self.paused[int(report.get("thread", 0))] = PausedRequest(request, place)
        elif isinstance(report := message.get("resumed"), dict):
            self.paused.pop(int(report.get("thread", 0)), None)

    def close(self) -> None:
        if self.joined is not None:
            self.joined.debuggee.close()
        self._writer.close()
        self._is_closed = True
        self._wake()

    async def has_seen(self, revision: int) -> None:
        """Wait until it treats requests as it was told in this revision, or is gone."""
        while self.seen < revision and not self._is_closed:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            await future

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def status(self) -> dict[str, Any]:
        """What ``status`` tells of it: JSON-ready."""
        now = time.monotonic()
        return {
            "pid": self.pid,
            "seconds": round(now - self.since),
            "joined": self.joined is not None,
            "joined_seconds": round(now - self.joined_at) if self.joined is not None and self.joined_at else None,
            "attached": self.joined is not None and self.joined.configured,
            "paused": [
                {"request": pause.request, "place": pause.place, "seconds": round(now - pause.since, 1)}
                for pause in self.paused.values()
            ],
        }
