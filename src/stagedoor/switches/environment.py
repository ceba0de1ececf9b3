"""The environment switch: a window whose end is given when the process starts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NoReturn

from stagedoor.errors import ConfigurationError, WindowRefused
from stagedoor.window.lifetime import Deadline
from stagedoor.window.window import (
    SYSTEM_CLOCK,
    Clock,
    Window,
    format_duration,
    format_time,
    is_token,
    new_token,
    parse_duration,
    parse_time,
)

from .base import Switch


class EnvironmentSwitch(Switch):
    """Reads ``STAGEDOOR_UNTIL`` and ``STAGEDOOR_TOKEN``, once, at construction.

    ``STAGEDOOR_UNTIL`` is the window's end, an absolute time with a zone (RFC 3339). A time that is over is
    no error: it is a closed window, because a restart after the end must not fail. So is a variable that is
    unset or empty. ``opened_at`` is when this process read it.

    ``STAGEDOOR_TOKEN`` is the window's token. Without it every process makes a random one that nobody learns,
    so neither a request nor an attach can present it: see :attr:`token_given`.

    :param environ: where to read them from; :data:`os.environ` by default.
    :param max_window: a later end is refused, counted from now.
    :param clock: the clock seam.
    :raises ConfigurationError: if either is set to something else.
    """

    #: Whether ``STAGEDOOR_TOKEN`` is set, so that somebody can know the window's token.
    token_given: bool

    def __init__(
        self, environ: Mapping[str, str] = os.environ, *, max_window: timedelta, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        super().__init__(max_window=max_window, clock=clock)
        self.name = "the environment switch STAGEDOOR_UNTIL"
        token = _given_token(environ)
        self.token_given = token is not None
        self.token_shown = (
            "STAGEDOOR_TOKEN in the application's environment is it"
            if self.token_given
            else "nobody knows it, because STAGEDOOR_TOKEN is not set: set it and restart the application"
        )
        self._deadline: Deadline | None = None
        until = environ.get("STAGEDOOR_UNTIL", "").strip()
        if not until:
            return
        now = clock.now()
        expires_at = self._parse(until)
        if expires_at - now > max_window:
            raise ConfigurationError(
                "STAGEDOOR_UNTIL",
                until,
                f"is {format_duration(expires_at - now)} away, and the longest window allowed is "
                f"{format_duration(max_window)} (max_window)",
                "Set an earlier time, or raise max_window (STAGEDOOR_MAX_WINDOW).",
            )
        self._deadline = Deadline(Window(now, expires_at, "environment", token or new_token()), clock)

    def read(self) -> Window | None:
        if self._deadline is None or self._deadline.is_over:
            return None
        return self._deadline.window

    def open(self, for_: timedelta, *, opened_by: str) -> Window:
        self._refuse("opened or extended", self._example())

    def close(self) -> bool:
        self._refuse("closed", "a time that is over")

    def _parse(self, until: str) -> datetime:
        try:
            return parse_time(until)
        except ValueError:
            raise ConfigurationError(
                "STAGEDOOR_UNTIL",
                until,
                _problem(until),
                "Set the time of the window's end, with its zone, such as "
                f'STAGEDOOR_UNTIL={self._example()}; the command "stagedoor until 30m" prints it.',
            ) from None

    def _example(self) -> str:
        return format_time(self.clock.now() + timedelta(minutes=30))

    def _refuse(self, action: str, value: str) -> NoReturn:
        raise WindowRefused(
            f"The window can't be {action} here: STAGEDOOR_UNTIL sets its end when the application starts.",
            f"Set STAGEDOOR_UNTIL to {value} and restart the application, or unset it and restart: then the "
            "file switch is used.",
        )


def _given_token(environ: Mapping[str, str]) -> str | None:
    token = environ.get("STAGEDOOR_TOKEN", "")
    if not token:
        return None
    if not is_token(token):
        raise ConfigurationError(
            "STAGEDOOR_TOKEN",
            f"({len(token)} characters)",  # never the token itself: this message goes to a log
            "can't be a token",
            "Set 16 to 256 letters, digits or -._~+/= that nobody can guess.",
        )
    return token


def _problem(until: str) -> str:
    """Which of the usual mistakes this is, as the end of the sentence "STAGEDOOR_UNTIL=... "."""
    try:
        parse_duration(until)
    except ConfigurationError:
        pass
    else:
        return (
            "is a duration: it would start again with every restart, so that the debugger would never switch itself off"
        )
    try:
        datetime.fromisoformat(until)
    except ValueError:
        return "does not say when the window ends"
    return "has no zone or no time of day"
