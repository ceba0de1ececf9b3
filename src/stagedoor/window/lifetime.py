"""Whether a window is over, and why: judged here, for whoever asks."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from .window import SYSTEM_CLOCK, Clock, Window, format_time

#: How far the wall clock may drift from the monotonic clock while a window is open before the window counts
#: as closed. Steps of NTP are far smaller; a set clock or a resumed machine is larger.
CLOCK_TOLERANCE = timedelta(seconds=30)


class Ending(NamedTuple):
    """Why a window is over.

    :param is_expired: its end has come. Else it was closed, unless there is a doubt.
    :param doubt: why the clock can't be trusted, a clause: then nobody can say when its end is. ``None`` if it can be.
    """

    is_expired: bool
    doubt: str | None


class Deadline:
    """When one window is over, by both clocks: the earlier one wins.

    The monotonic end is fixed when the window is first seen, so setting the wall clock back never prolongs a
    window. A wall clock that was set while the window was open ends it: nobody can say any more when its end
    is.
    """

    def __init__(self, window: Window, clock: Clock = SYSTEM_CLOCK) -> None:
        self.window = window
        self._clock = clock
        now = clock.now()
        self._seen_monotonic = clock.monotonic()
        self._seen_wall = now
        self._monotonic_end = self._seen_monotonic + (window.expires_at - now).total_seconds()

    def remaining(self) -> float:
        """Seconds until the end; zero or less when the window is over."""
        wall = (self.window.expires_at - self._clock.now()).total_seconds()
        return min(wall, self._monotonic_end - self._clock.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the end has come."""
        return self.remaining() <= 0

    def ending(self, held: Window | None) -> Ending | None:
        """Whether and why the window is over; ``None`` while it is open.

        :param held: what its switch holds now.
        """
        ended = self.ended()
        is_held = held is not None and held.token == self.window.token
        return None if is_held and not ended.is_expired and ended.doubt is None else ended

    def ended(self) -> Ending:
        """Why the window is over, if it is: what its switch holds is another one, or none."""
        return Ending(self.is_over, self.clock_trouble())

    def clock_trouble(self) -> str | None:
        """Why the clock can't be trusted for this window, as a clause for the log, or ``None``."""
        now = self._clock.now()
        if now < self.window.opened_at - CLOCK_TOLERANCE:
            return f"the clock says {format_time(now)}, which is before the window was opened"
        elapsed = timedelta(seconds=self._clock.monotonic() - self._seen_monotonic)
        drift = (now - self._seen_wall) - elapsed
        if abs(drift) > CLOCK_TOLERANCE:
            direction = "forward" if drift > timedelta(0) else "back"
            seconds = abs(drift).total_seconds()
            return f"the clock was set {direction} by {seconds:.0f} s while the window was open"
        return None
