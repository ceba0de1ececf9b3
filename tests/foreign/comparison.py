"""Two runs of the same suite: what differs. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_NOT_RUN = "not run"


class Difference(NamedTuple):
    """A test, and what became of it without Stagedoor and with it."""

    test: str
    bare: str
    wrapped: str


def differences(bare: Mapping[str, str], wrapped: Mapping[str, str]) -> list[Difference]:
    """The tests of which two runs say different things, in the order of their ids."""
    pairs = ((test, bare.get(test, _NOT_RUN), wrapped.get(test, _NOT_RUN)) for test in sorted({*bare, *wrapped}))
    return [Difference(test, one, other) for test, one, other in pairs if one != other]


def flaky(bare: Mapping[str, str], again: Mapping[str, str]) -> frozenset[str]:
    """The tests that differ between two runs without Stagedoor: by themselves."""
    return frozenset(difference.test for difference in differences(bare, again))
