"""What a gatekeeper asks of this process over pydevd's connection, in order with all that it asks of pydevd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Sessioned(Protocol):
    """The tracing, as it is asked for what concerns one session."""

    def set_filters(self, filters: dict[str, frozenset[str]]) -> None:
        """On which exceptions each session stops."""

    def pause(self, number: int) -> str | None:
        """Stop the request with this number where it is; returns why not, a sentence."""

    def forget_session(self, session: str) -> None:
        """A session has gone."""


def answer(tracing: Sessioned, command: str, arguments: Any) -> str | None:
    """Do what is asked for; returns why not, a sentence, or ``None``.

    :raises Exception: of arguments that make no sense.
    """
    return _COMMANDS[command](tracing, arguments)


def is_ours(command: object) -> bool:
    """Whether pydevd is not asked."""
    return command in _COMMANDS


def _filters(tracing: Sessioned, arguments: Any) -> None:
    tracing.set_filters({str(key): frozenset(each["filters"]) for key, each in arguments["sessions"].items()})


def _pause(tracing: Sessioned, arguments: Any) -> str | None:
    return tracing.pause(int(arguments["request"]))


def _leave(tracing: Sessioned, arguments: Any) -> None:
    tracing.forget_session(str(arguments["session"]))


_COMMANDS: dict[str, Callable[[Sessioned, Any], str | None]] = {
    "stagedoorFilters": _filters,
    "stagedoorPause": _pause,
    "stagedoorLeave": _leave,
}
