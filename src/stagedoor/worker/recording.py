"""What happens to clients and pauses of a window in this process, in the audit log and the developer's console."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

from stagedoor.audit import Audit
from stagedoor.tracing import EVERYBODY, Pause


class Recording(ABC):
    """A :class:`~stagedoor.tracing.TracingListener` that records what it hears.

    :param audit: where it is recorded.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    @abstractmethod
    def say(self, sentence: str, session: str | None = None, *, important: bool = False) -> None:
        """Write a line to the debug console.

        :param session: whose; ``None``: everybody's.
        :param important: the IDE is to show it at once.
        """

    def attached(self) -> None:
        self._audit.record("attached", "a client has attached", developer=EVERYBODY, pid=os.getpid())

    def detached(self) -> None:
        self._audit.record("detached", "the client has detached", developer=EVERYBODY, pid=os.getpid())

    def paused(self, pause: Pause) -> None:
        place = f"{pause.file}:{pause.line}"
        self._audit.record(
            "paused",
            f"{_whose(pause)} at {place}",
            developer=pause.developer,
            request=pause.request,
            place=place,
            pid=os.getpid(),
        )

    def not_paused(self, request: str, limit: int, session: str | None) -> None:
        pauses = "one pause" if limit == 1 else f"{limit} pauses"
        sentence = (
            f"{request} was not paused: worker {os.getpid()} may have {pauses} at the same time, because one thread has to be"
            " left for the others, and none is free for it. Further requests run on as well, until one is continued"
        )
        self._audit.record("refused", sentence, reason="busy", request=request, limit=limit, pid=os.getpid())
        self.say(f"{sentence}.", session, important=True)

    def ran_past(self, number: int, session: str | None) -> None:
        sentence = f"{_requests(number)} ran on meanwhile in worker {os.getpid()}. The next is paused again"
        self._audit.record("refused", sentence, reason="busy", number=number, pid=os.getpid())
        self.say(f"{sentence}.", session)

    def resumed(self, pause: Pause, seconds: float) -> None:
        self._audit.record(
            "resumed",
            f"{_whose(pause)} after {seconds:.1f} s",
            developer=pause.developer,
            request=pause.request,
            seconds=round(seconds, 3),
            pid=os.getpid(),
        )


def _whose(pause: Pause) -> str:
    return pause.request if pause.developer == EVERYBODY else f"{pause.request} of {pause.developer}"


def _requests(number: int) -> str:
    return "1 matching request" if number == 1 else f"{number} matching requests"
