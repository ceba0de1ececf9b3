"""When a gatekeeper has to end: its window, its switch, and whether anybody needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from stagedoor.errors import SwitchError
from stagedoor.switches import Switch
from stagedoor.window import Deadline, Window, format_duration, format_time

#: Seconds between two looks at the switch and the deadline.
TICK = 0.2
#: Seconds without any worker after which the gatekeeper ends.
IDLE = 10.0
#: The developer is warned this many seconds before the window's end.
WARNINGS = (300.0, 60.0)

_OVER = "The window has reached its end."
_CLOSED = "The window was closed."


class WindowGuard:
    """Looks at the window until it is over.

    :param window: the window.
    :param switch: where the window is looked up again; ``None`` where only workers can read it, which then tell.
    :param say: writes a sentence to the developer's debug console.
    """

    def __init__(self, window: Window, switch: Switch | None, say: Callable[[str], None]) -> None:
        self._deadline = Deadline(window)
        self._switch = switch
        self._say = say
        self._warned: set[float] = set()

    @property
    def window(self) -> Window:
        return self._deadline.window

    @property
    def token(self) -> str:
        return self._deadline.window.token

    def remaining(self) -> float:
        """Seconds until the window's end."""
        return max(0.0, self._deadline.remaining())

    def move_end(self, window: Window) -> None:
        """Take over the end of ``window``, which is the guarded one as its switch has it now."""
        if window.expires_at != self.window.expires_at:
            self._deadline = Deadline(window)
            self._warned.clear()
            left = format_left(self.remaining())
            self._say(f"The window now ends at {format_time(window.expires_at)} ({left} left).")

    async def watch(self, alone: Callable[[], float], idle: float | None = IDLE) -> str:
        """Wait until it is time to end; returns why, a sentence.

        :param alone: for how many seconds there has been no worker.
        :param idle: how long that may last; ``None``: for good.
        """
        while True:
            if why := self.look():
                return why
            if idle is not None and alone() > idle:
                return f"No worker has been left for {idle:g} s."
            self._warn()
            await asyncio.sleep(min(TICK, self.remaining()))

    def look(self) -> str | None:
        """Look at the clock and the switch now; returns why the window is over, a sentence, or ``None``."""
        if self._deadline.remaining() <= 0:
            return _OVER
        if trouble := self._deadline.clock_trouble():
            return f"Nobody can say any more when the window ends: {trouble}."
        if self._switch is None:
            return None
        try:
            window = self._switch.read()
        except SwitchError as error:
            return f"The switch can't be trusted: {error}"
        if window is None or window.token != self.token:
            return _OVER if self._deadline.remaining() <= 0 else _CLOSED
        self.move_end(window)
        return None

    def _warn(self) -> None:
        remaining = self.remaining()
        length = (self.window.expires_at - self.window.opened_at).total_seconds()
        due = {warning for warning in WARNINGS if remaining <= warning < length} - self._warned
        if due:
            self._warned |= due
            self._say(f"The window ends in {format_left(remaining)}; paused requests then run on.")


def format_left(seconds: float) -> str:
    """A time that is left, for people: ``1h29m``, ``45s``."""
    return format_duration(timedelta(seconds=round(seconds)))
