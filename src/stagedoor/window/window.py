"""The window: the time in which debugging is enabled, its arithmetic, and the one clock seam. Whether it is over is judged in
:mod:`.lifetime`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from stagedoor.errors import ConfigurationError, WindowRefused, shortened

#: What a token may be made of: the characters of RFC 7235's token68, which stand unquoted in a header and, by
#: RFC 6265, in a cookie. 16 characters are the shortest that nobody can try out within a window.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,256}", re.ASCII)
_NAME_LENGTH = 200

_DURATION = re.compile(r"(?=.)(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DURATION_REMEDY = 'Write hours, minutes and seconds with their units: "90s", "30m", "2h" or "1h30m".'


class Clock:
    """The time, for everything in Stagedoor that asks for it; tests give one of their own."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)

    #: Seconds on a clock that nobody can set. The function itself, not a method: every request calls it.
    monotonic: Callable[[], float] = staticmethod(time.monotonic)


SYSTEM_CLOCK = Clock()


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which debugging is enabled.

    :param opened_at: when it was opened; aware, in UTC.
    :param expires_at: when it ends; aware, in UTC.
    :param opened_by: who opened it, for people to read, such as ``"alice@staging"``.
    :param token: the window's random token; also tells one window from the next. Never logged.
    """

    opened_at: datetime
    expires_at: datetime
    opened_by: str
    token: str = field(repr=False)


def window_id(window: Window, *, by_token: bool = True) -> str:
    """Tells windows apart without giving their tokens away.

    :param by_token: all processes know the window by the same token. Not so where each of them makes up its own.
    """
    identity = window.token if by_token else f"{window.expires_at.isoformat()} {window.opened_by}"
    return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def new_token() -> str:
    """A window's random token: 256 bits as 43 URL-safe characters (:func:`secrets.token_urlsafe`)."""
    return secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Whether ``text`` can be a window's token: 16 to 256 letters, digits and ``-._~+/=``."""
    return _TOKEN.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether ``text`` can be an ``opened_by``: 1 to 200 printable characters, which can't forge a line."""
    return 0 < len(text) <= _NAME_LENGTH and text.isprintable()


def new_window(
    for_: timedelta,
    *,
    opened_by: str,
    max_window: timedelta,
    clock: Clock = SYSTEM_CLOCK,
    token: str | None = None,
) -> Window:
    """A window that begins now and lasts ``for_``.

    :raises WindowRefused: if ``for_`` is not positive, or longer than ``max_window``: it is not shortened,
        because whoever asked would count on the longer time. Also if ``opened_by`` is not :func:`is_name`.
    """
    _check_length(for_, max_window)
    if not is_name(opened_by):
        raise WindowRefused(
            f"A window opened by {shortened(opened_by)} was refused: that is no name for a log line.",
            f"Give 1 to {_NAME_LENGTH} printable characters.",
        )
    now = clock.now()
    return Window(now, now + for_, opened_by, token or new_token())


def extended_window(window: Window, for_: timedelta, *, max_window: timedelta, clock: Clock = SYSTEM_CLOCK) -> Window:
    """The same window with its end moved, later or earlier, to ``for_`` from now.

    :raises WindowRefused: as :func:`new_window` does, and if the whole window, from its ``opened_at``, would
        be longer than ``max_window``: else extending again and again would make a window without an end.
    """
    _check_length(for_, max_window)
    expires_at = clock.now() + for_
    length = expires_at - window.opened_at
    if not timedelta(0) < length <= max_window:
        raise WindowRefused(
            f"Moving the end of the window to {format_duration(for_)} from now was refused: it has been open "
            f"since {format_time(window.opened_at)}, and the longest allowed altogether is "
            f"{format_duration(max_window)} (max_window).",
            "Ask for a shorter time, or close the window and open a new one.",
        )
    return replace(window, expires_at=expires_at)


def _check_length(for_: timedelta, max_window: timedelta) -> None:
    if not isinstance(for_, timedelta):
        raise TypeError(f"for_ must be a timedelta, such as timedelta(minutes=30), not {shortened(for_)}")
    if for_ <= timedelta(0):
        raise WindowRefused(f"A window of {for_} was refused: it would be over before it began.")
    if for_ > max_window:
        raise WindowRefused(
            f"A window of {format_duration(for_)} was refused: the longest allowed is "
            f"{format_duration(max_window)} (max_window).",
            "Open a shorter one, or raise max_window (STAGEDOOR_MAX_WINDOW).",
        )


def parse_duration(text: str, name: str = "duration") -> timedelta:
    """Read ``90s``, ``30m``, ``2h`` or ``1h30m``.

    :param name: the keyword, option or variable that the text comes from, for the message.
    :raises ConfigurationError: for everything else; a bare number has no unit and is refused.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        if text.strip().isdigit():
            raise ConfigurationError(name, text, "has no unit", _DURATION_REMEDY)
        raise ConfigurationError(name, text, "is not a duration", _DURATION_REMEDY)
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    duration = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if not duration:
        raise ConfigurationError(name, text, "lasts no time at all", _DURATION_REMEDY)
    return duration


def format_duration(duration: timedelta) -> str:
    """Write a duration so that :func:`parse_duration` reads it back, to the second: ``1h30m``."""
    seconds = max(0, round(duration.total_seconds()))
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    parts = [f"{amount}{unit}" for amount, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if amount]
    return "".join(parts) or "0s"


def parse_time(text: str) -> datetime:
    """Read an absolute time with a zone (RFC 3339) and give it in UTC.

    :raises ValueError: for anything else, a time without a zone included.
    """
    if _RFC3339.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no RFC 3339 time")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:  # the zone moves it out of the years 1 to 9999
        raise ValueError(f"{text!r} is out of range") from None


def format_time(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC, to the second: ``2026-11-22T18:00:00Z``."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
