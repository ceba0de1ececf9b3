"""The contract of a switch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import timedelta

from stagedoor.window.window import SYSTEM_CLOCK, Clock, Window, extended_window, new_window


class Switch(ABC):
    """Where a window is stored and read from.

    Reading never blocks for long and has no side effects. A switch knows nothing of who is watching it;
    whether the window that it holds is over is judged by the reader (:class:`stagedoor.window.lifetime.Deadline`), but
    a switch never returns a window that it can tell to be over, or one longer than ``max_window``.

    :param max_window: the longest window that this switch opens or believes.
    :param clock: the clock seam.
    """

    #: How a person would name it in a sentence: "the file switch /run/user/1000/stagedoor/window.json".
    name: str
    #: Where a person finds the window's token, as the end of a sentence.
    token_shown = "whoever has opened the window knows it"

    def __init__(self, *, max_window: timedelta, clock: Clock = SYSTEM_CLOCK) -> None:
        self.max_window = max_window
        self.clock = clock

    @abstractmethod
    def read(self) -> Window | None:
        """The window that is open now, or ``None``.

        :raises SwitchError: if the switch can't be read or can't be trusted; the window counts as closed.
            Nothing else is ever raised. The same trouble has the same message, so that it is logged once.
        """

    @abstractmethod
    def open(self, for_: timedelta, *, opened_by: str) -> Window:
        """Open a window that lasts ``for_`` from now; if one is open, it is extended or shortened to that and
        keeps its token, ``opened_at`` and ``opened_by``, as long as all of it stays within ``max_window``.

        :raises WindowRefused: if the window is too long or this switch can't be written.
        :raises SwitchError: if the switch can't be trusted.
        """

    @abstractmethod
    def close(self) -> bool:
        """Close the window. Returns whether one was open.

        :raises WindowRefused: if this switch can't be written.
        :raises SwitchError: if the switch can't be trusted.
        """

    def _next_window(self, current: Window | None, for_: timedelta, opened_by: str) -> Window:
        """What :meth:`open` makes of the window that is open now."""
        if current is None:
            return new_window(for_, opened_by=opened_by, max_window=self.max_window, clock=self.clock)
        return extended_window(current, for_, max_window=self.max_window, clock=self.clock)
