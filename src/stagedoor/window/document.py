"""A window as JSON: the one form in which processes hand it to each other, and what people are shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stagedoor.errors import shortened

from .window import Window, format_time, is_name, is_token, parse_time

#: What :func:`dump_window` writes.
KEYS = ("opened_at", "expires_at", "opened_by", "token")


def dump_window(window: Window) -> dict[str, str]:
    """A window as JSON-ready fields. They hold the token."""
    return {
        "opened_at": window.opened_at.isoformat(),  # with microseconds: what is read back is the same window
        "expires_at": window.expires_at.isoformat(),
        "opened_by": window.opened_by,
        "token": window.token,
    }


def load_window(fields: object) -> Window:
    """The window in what was JSON.

    :raises ValueError: if it is not what :func:`dump_window` writes: with what is wrong, as the end of a sentence about
        whatever holds it. It holds no token.
    """
    if not isinstance(fields, Mapping) or set(fields) != set(KEYS):
        raise ValueError(f"does not hold an object with exactly the keys {', '.join(sorted(KEYS))}")
    opened_at, expires_at = _time(fields, "opened_at"), _time(fields, "expires_at")
    if expires_at <= opened_at:
        raise ValueError("holds a window that ends before it begins")
    opened_by, token = fields["opened_by"], fields["token"]
    if not isinstance(opened_by, str) or not is_name(opened_by):
        raise ValueError("holds an opened_by that is not 1 to 200 printable characters")
    if not isinstance(token, str) or not is_token(token):
        raise ValueError("holds a token that is not 16 to 256 letters, digits or -._~+/=")
    return Window(opened_at, expires_at, opened_by, token)


def shown(window: Window) -> dict[str, Any]:
    """The same as people are shown it, in records and by the commands: times to the second, and no token."""
    return {
        "opened_at": format_time(window.opened_at),
        "expires_at": format_time(window.expires_at),
        "opened_by": window.opened_by,
    }


def _time(fields: Mapping[str, object], key: str) -> datetime:
    text = fields[key]
    if not isinstance(text, str):
        raise ValueError(f"holds an {key} that is not a text")
    try:
        return parse_time(text)
    except ValueError:
        raise ValueError(f"holds an {key} that is no time with a zone (RFC 3339): {shortened(text, 40)}") from None
