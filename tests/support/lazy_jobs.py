"""Imported by a view, lazily, so that its module-level code runs inside a request."""

from __future__ import annotations

import functools
from collections.abc import Callable

import stagedoor

#: What a client's condition leaves here has run.
evaluated: list[str] = []


@stagedoor.traced
def shrink(size: int) -> int:
    return size // 2  # stop: shrink


class Printer:
    @stagedoor.traced
    def print(self, size: int) -> int:
        return size // 2  # stop: print


def trim(size: int) -> int:
    return size // 2  # stop: trim


@functools.cache
def shared_trimmer() -> Callable[[int], int]:
    """Made by whichever request comes first, used by all."""
    return stagedoor.traced(trim)


@stagedoor.traced("a named job")
def named(size: int) -> int:
    return size // 2  # stop: named
