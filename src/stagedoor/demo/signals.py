"""Signals that end a program, so that a demo cleans up after itself however it is ended."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def raised() -> Iterator[None]:
    """What ends the program without a word (``kill``, a closed terminal) raises :exc:`SystemExit`, as Ctrl-C raises
    :exc:`KeyboardInterrupt`, so that ``finally`` holds.
    """
    with _handled(_ENDING, _raise):
        yield


@contextmanager
def ignored() -> Iterator[None]:
    """For cleaning up, which is short: a second Ctrl-C must not stop it half way."""
    with _handled([signal.SIGINT, *_ENDING], signal.SIG_IGN):
        yield


@contextmanager
def _handled(
    signals: list[signal.Signals], handler: Callable[[int, FrameType | None], Any] | signal.Handlers
) -> Iterator[None]:
    before = [(one, signal.signal(one, handler)) for one in signals]
    try:
        yield
    finally:
        for one, previous in before:
            signal.signal(one, previous)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)  # as a shell reports it
