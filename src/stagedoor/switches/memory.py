"""The memory switch: a window that Python opens, in this process alone."""

from __future__ import annotations

import threading
from datetime import timedelta

from stagedoor import forking
from stagedoor.window.lifetime import Deadline
from stagedoor.window.window import SYSTEM_CLOCK, Clock, Window

from .base import Switch


class MemorySwitch(Switch):
    """Holds the window in a variable, for ``door.open(for_=timedelta(minutes=30))``.

    Other processes do not see it, forked ones included, and a restart closes it. Any thread may open, close and read.
    """

    def __init__(self, *, max_window: timedelta, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(max_window=max_window, clock=clock)
        self.name = "the memory switch"
        self.token_shown = "the window that door.open() has returned holds it"
        self._lock = threading.Lock()
        self._deadline: Deadline | None = None
        forking.register(self)

    def read(self) -> Window | None:
        # Without the lock: one read of an attribute is atomic.
        deadline = self._deadline
        if deadline is None or deadline.is_over:
            return None
        return deadline.window

    def open(self, for_: timedelta, *, opened_by: str) -> Window:
        with self._lock:
            window = self._next_window(self.read(), for_, opened_by)
            self._deadline = Deadline(window, self.clock)
            return window

    def close(self) -> bool:
        with self._lock:
            was_open = self.read() is not None
            self._deadline = None
            return was_open

    def forget_in_child(self) -> None:
        """In a forked child: the lock may be held by a thread that the child does not have. The window is the parent's,
        which could not close it here any more.
        """
        self._lock = threading.Lock()
        self._deadline = None
