"""One window's debugging in one process, as its requests meet it: which of them get the debugger, and when they wait."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from typing import NamedTuple, Self

from stagedoor.control.burnt import TokenBurnt
from stagedoor.errors import StagedoorError
from stagedoor.tracing import Tracing
from stagedoor.window.window import Window

from .life import Life, Terms
from .servers import Server


class Armed(NamedTuple):
    """What a matching request gets.

    :param tracing: the debugger, if there is one; without a client attached it does nothing.
    :param busy: why this request is not debugged though a client is attached, for the response header.
    :param session: in which session it is debugged; ``None`` without a gatekeeper.
    :param others: who is attached, where none of these is it.
    """

    tracing: Tracing | None
    busy: str | None
    session: str | None = None
    others: tuple[str, ...] = ()


class Run(Life):
    """One window's debugging in this process. What differs between the back ends is abstract: here what a request gets, and
    in :class:`~.life.Life` what the window's thread does.
    """

    #: The back end, as ``debugger=`` and ``STAGEDOOR_DEBUGGER`` name it.
    name: str

    def __init__(self, terms: Terms, window: Window, server: Server) -> None:
        super().__init__(terms, window, server)
        #: Why the debugger could not be started, sentences.
        self.failure: str | None = None
        self._failed_at = 0.0
        self._is_hopeful = True
        #: Until when requests wait for it to begin, on the monotonic clock.
        self._patient_until = 0.0

    # What differs between the back ends, on a request's thread

    @abstractmethod
    def armed(self, request: str, owner: str) -> Armed:
        """The debugger for one matching request, now that all has begun."""

    def is_worth_waiting(self) -> bool:
        """Whether a client may be attached already, so that a request waits for the debugger to start."""
        return True

    def explain(self, reason: str, owner: str) -> None:
        """Tell the developer whose request it is, if attached, why it is not debugged."""

    # On a request's thread

    def serves(self, window: Window) -> bool:
        """Whether this is ``window``'s run. One that has just failed to start is: it is not tried again for every request."""
        is_tried_again = (
            self.failure is not None and self._is_hopeful and time.monotonic() > self._failed_at + self._patience.retry
        )
        return self.window.token == window.token and not self.is_ending and not is_tried_again

    def start(self, *, after: Self | None = None) -> None:
        self._patient_until = time.monotonic() + self._patience.start
        super().start(after=after)

    def serve(self, pause_limit: int) -> None:
        """The calling thread serves a matching request.

        :param pause_limit: how many of this process may be paused at the same time, as far as is known now.
        """
        self.pause_limit = pause_limit
        tracing = self.tracing
        if tracing is not None:
            tracing.pause_limit = pause_limit
        self.limits.came()

    def arm(self, request: str, owner: str) -> Armed:
        """The debugger for one matching request, which waits for it to begin: only the first ones of a window do."""
        if not self.ready.is_set() and not self.is_worth_waiting():
            return Armed(None, None)
        if not self.ready.wait(max(0.0, self._patient_until - time.monotonic())):
            return Armed(None, "the debugger has not started yet")
        if self.failure is not None:
            return Armed(None, self.failure)
        if self.hindrance is not None:
            return Armed(None, self.hindrance)
        if not self.begun:
            return Armed(None, "the window has just ended")
        if self.limits.must_end:
            return Armed(None, "this worker has to end")
        return self.armed(request, owner)

    # On the window's thread

    def failed(self, error: Exception) -> None:
        """Remember and record why the debugger could not be started."""
        self._failed_at = time.monotonic()
        self._is_hopeful = not isinstance(error, TokenBurnt)
        self.failure = str(error) if isinstance(error, StagedoorError) else f"{type(error).__name__}: {error}."
        self._audit.record(
            "failed",
            f"{self.failure} Requests go on undebugged"
            f"{f'; one after {self._patience.retry:g} s tries again' if self._is_hopeful else ''}.",
            level=logging.ERROR,
            debugger=self.name,
        )
