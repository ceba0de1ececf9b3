"""Which releases of debugpy are trusted: what every promise rests on is how pydevd behaves, which no name shows."""

from __future__ import annotations

import re
from typing import Literal

from stagedoor.errors import DebuggerError

#: The releases on which the whole test suite passes.
KNOWN = ("1.8.22",)

Standing = Literal["known", "unproved", "older", "unreadable"]

#: The releases that have passed the self-test, as far as this process knows.
_proved: set[str] = set()


def standing(version: str) -> Standing:
    """What is known of a release by its number alone.

    ``known``: tested. ``unproved``: newer, to be proved by the self-test before it is trusted. ``older``: it has all
    names and behaves otherwise (1.8.21 stops on no error on Python 3.12, silently). ``unreadable``: no number.
    """
    if version in KNOWN:
        return "known"
    numbers = re.match(r"\d+(\.\d+)+", version)
    if numbers is None:
        return "unreadable"
    return "unproved" if _numbers(numbers[0]) >= _numbers(KNOWN[0]) else "older"


def trust(version: str) -> None:
    """The self-test has passed with this release, on this Python: it may be started in this process."""
    _proved.add(version)


def is_to_be_proved(version: str) -> bool:
    """Whether the self-test decides on this release, and has not yet done so.

    :raises DebuggerError: if no test could: it is older than those that are known.
    """
    found = standing(version)
    if found == "older":
        raise DebuggerError(f"debugpy {version} is older than those that Stagedoor knows ({', '.join(KNOWN)}).", REMEDY)
    if found == "unreadable":
        raise DebuggerError(f"debugpy's release {version[:80]!r} is no number of a release.", REMEDY)
    return found == "unproved" and version not in _proved


REMEDY = f"Install debugpy {KNOWN[-1]}."


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
