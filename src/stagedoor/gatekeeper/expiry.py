"""When a gatekeeper has to end: its window, its switch, and whether anybody needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from stagedoor.errors import SwitchError
from stagedoor.switches import Switch
from stagedoor.window.lifetime import Deadline, Ending
from stagedoor.window.window import Window, format_duration, format_time

from .patience import Patience


class Expiry:
    """Looks at the window until it is over.

    :param window: the window.
    :param switch: where the window is looked up again; ``None`` where only workers can read it, which then tell.
    :param say: writes a sentence to every debug console.
    :param warn: tells every developer that the window ends in so long, for people.
    :param patience: how often it looks, and when it warns.
    """

    def __init__(
        self,
        window: Window,
        switch: Switch | None,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        patience: Patience,
    ) -> None:
        self._deadline = Deadline(window)
        self._switch = switch
        self._say = say
        self._tell_left = warn
        self._patience = patience
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

    @property
    def reads_switch(self) -> bool:
        """Whether it sees by itself that the window is closed."""
        return self._switch is not None

    async def watch(self, why_unneeded: Callable[[], str | None]) -> str:
        """Wait until it is time to end; returns why, a sentence.

        :param why_unneeded: why nobody needs the gatekeeper any more, a sentence; ``None`` while somebody does.
        """
        while True:
            if why := self.look() or why_unneeded():
                return why
            self._warn()
            await asyncio.sleep(min(self._patience.tick, self.remaining()))

    def look(self) -> str | None:
        """Look at the clock and the switch now; returns why the window is over, a sentence, or ``None``."""
        window: Window | None = self.window
        ending = self._deadline.ending(window)
        if ending is None and self._switch is not None:
            try:
                window = self._switch.read()
            except SwitchError as error:
                return f"The switch can't be trusted: {error}"
            ending = self._deadline.ending(window)
        if ending is not None:
            return _told(ending)
        if window is not None:
            self.move_end(window)
        return None

    def _warn(self) -> None:
        remaining = self.remaining()
        length = (self.window.expires_at - self.window.opened_at).total_seconds()
        due = {warning for warning in self._patience.warnings if remaining <= warning < length} - self._warned
        if due:
            self._warned |= due
            self._tell_left(format_left(remaining))


def why_unneeded(
    patience: Patience, *, alone: float, unattended: float, had_workers: bool, reads_switch: bool
) -> str | None:
    """Why nobody needs a gatekeeper any more though its window is open, a sentence; ``None`` while somebody does.

    A developer who is attached needs it also without a worker: the server is being restarted, or never comes back, which
    can't be told apart. He leaves, or the window ends.

    :param patience: how long it waits for workers.
    :param alone: for how many seconds there has been no worker; 0 while there is one.
    :param unattended: for how many seconds nobody has been attached; 0 while somebody is.
    :param had_workers: whether there has ever been one.
    :param reads_switch: whether the gatekeeper sees by itself that the window is closed.
    """
    idle, orphaned = patience.idle, patience.orphaned
    if idle is None or alone <= 0:
        return None
    if unattended <= 0:
        if reads_switch or alone <= orphaned:
            return None
        return (
            f"No worker has been left for {orphaned:g} s, and only workers can tell whether the window is still open."
        )
    if min(alone, unattended) <= (patience.left if had_workers else idle):
        return None
    return "No worker is left, and nobody is attached." if had_workers else f"No worker has come within {idle:g} s."


def _told(ending: Ending) -> str:
    if ending.doubt is not None:
        return f"Nobody can say any more when the window ends: {ending.doubt}."
    return "The window has reached its end." if ending.is_expired else "The window was closed."


def format_left(seconds: float) -> str:
    """A time that is left, for people: ``1h29m``, ``45s``."""
    return format_duration(timedelta(seconds=round(seconds)))
