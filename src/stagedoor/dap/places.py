"""Where something stands in a message: ``"stackFrames[].source.path"`` is the path of the source of each of the frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

#: What :func:`edited` is told to take something out with.
GONE = object()


class Misfit(ValueError):
    """A place can't be there: what should hold it is something else.

    :param place: what that is, such as ``"stackFrames"``.
    :param wanted: what it should be, as the end of the sentence "... has to be".
    """

    def __init__(self, place: str, wanted: str) -> None:
        self.place = place
        self.wanted = wanted
        super().__init__(f'"{place}" has to be {wanted}.')


def edited(value: Any, place: str, change: Callable[[Any], Any]) -> Any:
    """``value`` with whatever stands at ``place`` replaced by what ``change`` makes of it, or taken out if that is
    :data:`GONE`. What is absent, or null, stays so. ``value`` itself is not changed.

    :raises Misfit: if what leads there is no object or list.
    """
    return _edited(value, _steps(place), 0, change)


def found(value: Any, place: str) -> list[Any]:
    """Whatever stands at ``place``; a member that is null is not there.

    :raises Misfit: if what leads there is no object or list.
    """
    values: list[Any] = []

    def noted(each: Any) -> Any:
        values.append(each)
        return each

    edited(value, place, noted)
    return values


def _edited(value: Any, steps: tuple[str, ...], done: int, change: Callable[[Any], Any]) -> Any:
    if done == len(steps):
        return change(value)
    if steps[done] == "[]":
        if not isinstance(value, list):
            raise Misfit(_place(steps[:done]), "a list")
        changed = [_edited(each, steps, done + 1, change) for each in value]
        return [each for each in changed if each is not GONE]
    if not isinstance(value, dict):
        raise Misfit(_place(steps[:done]), "an object")
    key = steps[done]
    if value.get(key) is None:
        return value
    new = _edited(value[key], steps, done + 1, change)
    return {name: each for name, each in value.items() if name != key} if new is GONE else value | {key: new}


@cache
def _steps(place: str) -> tuple[str, ...]:
    return tuple(place.replace("[]", ".[]").split("."))


def _place(steps: tuple[str, ...]) -> str:
    return ".".join(steps).replace(".[]", "[]") or "arguments"
