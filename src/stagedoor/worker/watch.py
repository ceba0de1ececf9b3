"""Watching the switch: which window is open now, as seen by one process."""

from __future__ import annotations

import logging
import threading
from typing import NamedTuple

from stagedoor import forking
from stagedoor.audit import Audit
from stagedoor.control.register import Register
from stagedoor.errors import SwitchError
from stagedoor.switches.base import Switch
from stagedoor.window.lifetime import Deadline, Ending
from stagedoor.window.window import SYSTEM_CLOCK, Clock, Window

from .history import History

#: Seconds between two looks at the switch: a change is noticed within one second, and no request pays for more than a
#: comparison of the time.
LOOK_EVERY = 0.5


class Patience(NamedTuple):
    """How long whoever asks waits for somebody else's look, in seconds."""

    #: From the beginning of a process's first look, for the requests that come meanwhile. Nothing is known before it, so
    #: "closed" would be a guess. After that they go on undebugged: a disk that hangs holds up nobody for longer, and nobody
    #: twice.
    first_look: float = 1.0
    #: For whoever has to look now. After that it goes by what is known: the window's thread has an end to keep.
    look: float = 0.5


USUAL = Patience()


class WindowWatch:
    """What one process knows of the window, renewed at most every :data:`LOOK_EVERY` seconds by whoever asks.

    Everything that is wrong with the switch or the clock counts as closed, and is recorded once.

    :param switch: where the window is read from.
    :param audit: where what happens to the window is recorded.
    :param clock: the clock seam.
    :param register: what all processes of all applications with this switch know of the window; ``None`` where this is
        the only one.
    :param patience: how long whoever asks waits for somebody else's look.
    """

    def __init__(
        self,
        switch: Switch,
        audit: Audit,
        clock: Clock = SYSTEM_CLOCK,
        register: Register | None = None,
        patience: Patience = USUAL,
    ) -> None:
        self.switch = switch
        #: Until then (monotonic seconds) the window is known to be closed; 0.0 while one is open.
        self.closed_until = 0.0
        #: Until then :attr:`window` is known to be open; 0.0 while none is.
        self.open_until = 0.0
        #: The window that was open at the last look, or ``None``.
        self.window: Window | None = None
        self._audit = audit
        self._clock = clock
        self._history = History(audit, register, switch.name)
        self._patience = patience
        self._lock = threading.Lock()
        self._next_look = 0.0
        #: Whether this process has looked at all; one that was forked has not.
        self._has_looked = False
        self._first_look_since: float | None = None
        #: The end of the window that is open, as far as the last look could tell.
        self._deadline: Deadline | None = None
        #: The end of the window whose own end was not seen yet. A look that could not tell leaves it as it was.
        self._known: Deadline | None = None
        self._trouble: str | None = None
        self._distrusted: str | None = None
        self._distrust_reason: str | None = None
        forking.register(self)

    def current(self, *, look: bool = False) -> Window | None:
        """The window that is open now, or ``None``. Never raises.

        :param look: look at the switch now, not only when it is time to.
        """
        now = self._clock.monotonic()
        if look or now >= self._next_look or not self._has_looked:
            self._look_or_wait(now, look=look)
        deadline = self._deadline
        if deadline is None or deadline.is_over or not self._has_looked:
            return None
        return deadline.window

    def remaining(self) -> float:
        """Seconds until the open window's end; zero or less when none is open."""
        deadline = self._deadline
        return deadline.remaining() if deadline is not None else 0.0

    def forget_in_child(self) -> None:
        """In a forked child: the lock may be held by a thread that the child does not have, and what was known is what
        the parent saw, perhaps half of it. The window is kept to compare the first look with: a clock that was set
        before the fork stays a reason for distrust.
        """
        self._lock = threading.Lock()
        self._has_looked, self._first_look_since = False, None
        self._history.forget_in_child()
        self._next_look = self.closed_until = self.open_until = 0.0

    def _look_or_wait(self, now: float, *, look: bool) -> None:
        """Look, unless somebody else does so already and it is known meanwhile what to go by, which is at most one look
        old.
        """
        patience = self._patience.look if look else 0.0
        if not self._has_looked:
            since = self._first_look_since
            patience = max(patience, self._patience.first_look - (now - since if since is not None else 0.0))
        if self._lock.acquire(timeout=patience):
            try:
                now = self._clock.monotonic()  # It may have waited.
                if look or now >= self._next_look:
                    if self._first_look_since is None:
                        self._first_look_since = now
                    self._look(now)
            finally:
                self._has_looked = True
                self._lock.release()

    def _look(self, now: float) -> None:
        self._next_look = now + LOOK_EVERY
        before = self._known
        window, could_tell = self._read()
        if not could_tell:
            # Closed while nobody can tell, and yet no end: another application would take it for a window that is free.
            window = before.window if before is not None else None
        if window is None:
            deadline = None
        elif before is not None and before.window == window:
            deadline = before
        else:
            deadline = Deadline(window, self._clock)
        # Also of a window that just went away: the switch may have found it over because the clock was set.
        judged = deadline or before
        ending = judged.ending(window) if judged is not None else None
        reason = self._distrust(judged.window, ending) if judged is not None else None
        if reason is not None:
            self._untrusted(reason)
        if reason is not None or ending is not None:
            deadline = None
        self._known = self._history.record(before, deadline, is_believed=reason is None)
        self._deadline = deadline = self._known if could_tell else None
        if deadline is None:
            self.open_until, self.window, self.closed_until = 0.0, None, self._next_look
        else:
            self.closed_until, self.window = 0.0, deadline.window
            self.open_until = min(self._next_look, now + deadline.remaining())

    def _read(self) -> tuple[Window | None, bool]:
        """The window that the switch holds, and whether it could tell."""
        try:
            window = self.switch.read()
        except SwitchError as error:
            self._untrusted(str(error))
            return None, False
        except Exception as error:  # A switch of somebody else's making: closed all the same.
            self._untrusted(f"{self.switch.name} failed with {type(error).__name__}: {error}")
            return None, False
        is_distrusted = self._trouble is not None and self._trouble == self._distrust_reason
        if not is_distrusted or (window is not None and window.token != self._distrusted):
            self._trouble = None
        return window, True

    def _distrust(self, window: Window, ending: Ending | None) -> str | None:
        """Why this window is not believed: once the clock was set, its end is anybody's guess for this process."""
        if window.token != self._distrusted:
            if ending is None or ending.doubt is None:
                return None
            self._distrusted = window.token
            self._distrust_reason = (
                f"{ending.doubt}, so the window opened by {window.opened_by} counts as closed. Open a new one."
            )
        return self._distrust_reason

    def _untrusted(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._audit.record("untrusted", trouble, level=logging.WARNING, switch=self.switch.name)
