"""Requests that wait for the debugger to join: until it is loaded, and until the gatekeeper has configured it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from stagedoor.tracing import Sessions

_LOADING = "this worker is still loading the debugger"
_CONFIGURATION_IS_DUE = "the debugger of this worker has not got the breakpoints yet"


class Joining:
    """What joins, for whom, and who waits for it.

    :param patience: seconds that is waited for each step of it, see :class:`~.patience.Patience`.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        #: Who is attached.
        self.sessions = Sessions({})
        #: What is just done, for whoever goes on meanwhile.
        self.doing = ""
        #: How many requests wait.
        self.waiting = 0
        # Guards all of this, and wakes who waits.
        self._changed = threading.Condition()
        self._is_asked_for = False
        #: Until when requests wait for what is just done, on the monotonic clock.
        self._patient_until = 0.0

    # On a request's thread

    def wait(self, is_settled: Callable[[], bool], is_needed: Callable[[], bool], ask: Callable[[], None]) -> None:
        """Wait, bounded, until it is settled whether the calling thread's request is debugged.

        :param is_settled: whether it is.
        :param is_needed: whether a debugger has to join, unless one is just doing so.
        :param ask: has one join, and :meth:`over` called.
        """
        with self._changed:
            if not self._is_asked_for and is_needed():
                self._is_asked_for = True
                self._begin_to(_LOADING)
                ask()
            self.waiting += 1
            try:
                while not is_settled() and (left := self._patient_until - time.monotonic()) > 0:
                    self._changed.wait(left)
            finally:
                self.waiting -= 1

    # On the window's thread

    def loaded(self) -> None:
        """From now on it is the gatekeeper that is waited for."""
        with self._changed:
            self._begin_to(_CONFIGURATION_IS_DUE)

    def over(self) -> None:
        """The debugger has joined, or could not."""
        with self._changed:
            self._is_asked_for = False
            self._changed.notify_all()

    def sessions_are(self, sessions: Sessions) -> None:
        """The gatekeeper has said so."""
        with self._changed:
            has_come = bool(sessions.keys - self.sessions.keys)
            self.sessions = sessions
            if has_come:
                self._begin_to(_CONFIGURATION_IS_DUE)
            else:
                self._changed.notify_all()

    def give_up(self) -> None:
        """Nobody is waited for any more."""
        with self._changed:
            self.sessions = Sessions({})
            self._changed.notify_all()

    def _begin_to(self, doing: str) -> None:
        self.doing = doing
        self._patient_until = time.monotonic() + self._patience
        self._changed.notify_all()

    # On pydevd's threads

    def look_again(self) -> None:
        """Something has changed for those who wait."""
        with self._changed:
            self._changed.notify_all()

    def forget_in_child(self) -> None:
        self.sessions = Sessions({})
        self._changed = threading.Condition()
