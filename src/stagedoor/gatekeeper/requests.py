"""The threads of a session: its developer's requests, wherever they run, and one that stands for the window."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stagedoor.dap import wire
from stagedoor.dap.ids import OWN, IdTable
from stagedoor.dap.wire import Message

from .workers import Worker

#: The thread that stands for the window, among those of no worker.
WINDOW = "window"


@dataclass(slots=True)
class DebuggedRequest:
    """A request of the session's that is running or paused.

    :param worker: the worker that serves it.
    :param number: its number there.
    :param label: how the developer reads it.
    :param thread: pydevd's number of its thread, as far as it is known.
    :param place: where it was paused last; empty if it was not.
    """

    worker: Worker
    number: int
    label: str
    thread: int | None
    is_paused: bool = False
    place: str = ""
    since: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        return f"{self.label} (worker {self.worker.pid})"


class Requests:
    """The requests of one session.

    :param ids: the session's numbers.
    :param send: sends its client a message.
    """

    def __init__(self, ids: IdTable, send: Callable[[Message], None]) -> None:
        self._ids = ids
        self._send = send
        self._all: dict[tuple[str, int], DebuggedRequest] = {}
        #: The session's number of the thread that stands for the window.
        self.window = ids.given(OWN, "thread", WINDOW)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def paused(self) -> list[DebuggedRequest]:
        return [request for request in self._all.values() if request.is_paused]

    def of(self, worker: str, number: int | None) -> DebuggedRequest | None:
        return self._all.get((worker, number)) if number is not None else None

    def is_paused(self, worker: str, number: int) -> bool:
        request = self.of(worker, number)
        return request is not None and request.is_paused

    def begun(self, worker: Worker, number: int, label: str, thread: int | None = None) -> DebuggedRequest:
        """A request begins."""
        request = self._all[worker.key, number] = DebuggedRequest(worker, number, label, thread)
        self._send(wire.event("thread", {"reason": "started", "threadId": self.id_of(request)}))
        return request

    def stopped(self, worker: Worker, number: int, thread: int, place: str) -> DebuggedRequest:
        """It is paused at ``place``."""
        request = self.of(worker.key, number) or self.begun(worker, number, "a request")
        request.thread, request.is_paused, request.since = thread, True, time.monotonic()
        request.place = place
        return request

    def runs_on(self, worker: str, number: int) -> DebuggedRequest | None:
        """It runs on: what was known of its pause is forgotten."""
        request = self.of(worker, number)
        if request is not None and request.is_paused:
            request.is_paused, request.since = False, time.monotonic()
            self._ids.forget_request(worker, number)
        return request

    def over(self, worker: str, number: int) -> None:
        """It has ended, if it is this session's."""
        request = self._all.pop((worker, number), None)
        if request is not None:
            self._send(wire.event("thread", {"reason": "exited", "threadId": self.id_of(request)}))
            self._ids.forget_thread(worker, number)

    def parted(self, worker: str) -> None:
        """A worker's debugger has gone, and all its requests with it."""
        for key, number in list(self._all):
            if key == worker:
                self.over(key, number)
        self._ids.forget_worker(worker)

    def id_of(self, request: DebuggedRequest) -> int:
        """The session's number of its thread."""
        return self._ids.given(request.worker.key, "thread", request.thread, request.number)

    def threads(self, window: str) -> list[dict[str, Any]]:
        """The threads, as DAP's ``threads`` lists them.

        :param window: what the window is called.
        """
        named = [{"id": self.id_of(request), "name": request.name} for request in self._all.values()]
        return [{"id": self.window, "name": window}, *named]

    def status(self) -> list[dict[str, Any]]:
        """What ``status`` tells of them: JSON-ready."""
        now = time.monotonic()
        return [
            {
                "request": request.label.split("?")[0],
                "worker": request.worker.pid,
                "paused": request.is_paused,
                "place": request.place if request.is_paused else None,
                "seconds": round(now - request.since, 1),
            }
            for request in self._all.values()
        ]
