"""A clock that tests set: the wall clock and the monotonic clock, together or apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from stagedoor.window.window import Clock

START = datetime(2026, 11, 22, 16, 0, 0, 250_000, tzinfo=UTC)


class SettableClock(Clock):
    """Stands still until it is told otherwise.

    :param now: what the wall clock shows first.
    """

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._seconds = 1000.0
        self.monotonic = lambda: self._seconds

    def now(self) -> datetime:
        return self._now

    def pass_time(self, time: timedelta) -> None:
        """Let time pass, as both clocks see it."""
        self._now += time
        self._seconds += time.total_seconds()

    def set_wall(self, by: timedelta) -> None:
        """Set the wall clock forward or, with a negative ``by``, back; no time passes."""
        self._now += by
