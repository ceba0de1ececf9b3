"""Which matching requests stop at their first line by themselves: a predicate, or prefixes of paths."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stagedoor.errors import ConfigurationError

BreakOn = Callable[[Mapping[str, Any]], object]

_REMEDY = 'Write the beginning of a path, such as "/checkout".'


def parse_break_on(value: object, name: str = "break_on") -> BreakOn | None:
    """The predicate on a request's environ that ``value`` means; ``None``: no request stops by itself.

    :param value: a predicate, taken as it is; or prefixes of paths: one string, separated by commas, or an iterable of
        strings with one prefix each. A prefix stands for whole segments: ``/checkout`` means ``/checkout`` and
        ``/checkout/pay``, and not ``/checkouts``. It begins where the path in the browser does, at ``SCRIPT_NAME``.
    :param name: the keyword or variable that it comes from, for the message of an error.
    :raises ConfigurationError: for a prefix that no path could begin with, and for everything else.
    """
    if callable(value):
        if inspect.iscoroutinefunction(value):
            raise ConfigurationError(name, value, "is a coroutine function", "Give a function that returns a bool.")
        return value
    if isinstance(value, str):
        value = [part for part in map(str.strip, value.split(",")) if part]
    elif not isinstance(value, Iterable) or isinstance(value, Mapping | bytes):
        raise ConfigurationError(name, value, "is neither a function nor the beginning of a path", _REMEDY)
    prefixes = tuple(_checked(prefix, name) for prefix in value)
    if not prefixes:
        return None
    return lambda environ: _begins(environ, prefixes)


def _checked(prefix: object, name: str) -> str:
    """The prefix as it stands in an environ, without a slash at its end."""
    if not isinstance(prefix, str):
        raise ConfigurationError(name, prefix, "is not the beginning of a path", _REMEDY)
    for problem, is_wrong in _PROBLEMS:
        if is_wrong(prefix):
            raise ConfigurationError(name, prefix, problem, _REMEDY)
    # PEP 3333: a path is the bytes that were sent, percent-decoded, read as Latin-1.
    return prefix.rstrip("/").encode().decode("latin-1")


_PROBLEMS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("does not begin with a slash, as every path does", lambda prefix: not prefix.startswith("/")),
    ("has a query or a fragment, which are not in the path", lambda prefix: bool({"?", "#"} & set(prefix))),
    ("is percent-encoded, and paths are compared decoded", lambda prefix: "%" in prefix),
    ("is a pattern, and only the beginning of a path is compared", lambda prefix: "*" in prefix),
    ("has characters that are in no path", lambda prefix: not prefix.isprintable() or " " in prefix),
    ("has an empty segment", lambda prefix: "//" in prefix),
)


def _begins(environ: Mapping[str, Any], prefixes: tuple[str, ...]) -> bool:
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)
