"""What one session makes this process keep, counted in one place.

A worker that is stuck answers nothing and reads nothing, a client that is stuck reads nothing, and either may go on asking
or telling: whatever waits for them, or is remembered for their session, counts against that session, and nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable

#: Bytes that an object that is kept costs besides its text, about: measured with CPython 3.11 to 3.13.
PER_BREAKPOINT = 1200
PER_REQUEST = 1500
PER_NUMBER = 500
PER_MODULE = 1000


class Tally:
    """The bytes that are kept for one session.

    :param limit: how many may be. One more message may come on top of them: a debugger's can be longer than all the rest.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        #: Called once, when it is more.
        self.exceeded: Callable[[], None] = lambda: None
        #: Whether it has been more: nothing is kept any more.
        self.is_over = False
        self._kept = 0
        self._gauges: list[Callable[[], int]] = []

    def measure(self, gauge: Callable[[], int]) -> None:
        """Count what ``gauge`` says, too."""
        self._gauges.append(gauge)

    def keep(self, size: int) -> None:
        """So much is kept from now on."""
        self._kept += size
        self.check()

    def let_go(self, size: int) -> None:
        """So much isn't any more."""
        self._kept -= size

    @property
    def total(self) -> int:
        return self._kept + sum(gauge() for gauge in self._gauges)

    def check(self) -> bool:
        """Whether more may come."""
        if not self.is_over and self.total > self.limit:
            self.is_over = True
            self.exceeded()
        return not self.is_over
