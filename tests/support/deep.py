"""An application that comes up to the recursion limit in several ways, and logs what it has caught."""

from __future__ import annotations

import copy
import json
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any


def line_of(name: str) -> int:
    """The number of the line that ends in ``# stop: name``."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# stop: {name}"))


def by_itself(depth: int = 0) -> int:
    return by_itself(depth + 1) + 1


def through_c(depth: int = 0) -> list[Any]:
    return sorted([1, 2], key=lambda each: through_c(depth + 1))


def through_generators(depth: int = 0) -> Iterator[int]:
    yield from through_generators(depth + 1)


def through_the_library() -> None:
    nested: list[Any] = []
    for _ in range(5_000):
        nested = [nested]
    try:
        copy.deepcopy(nested)
    finally:
        while nested:  # Else its end goes as deep.
            nested = nested.pop()


class Node:
    def __init__(self) -> None:
        self.next = self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.next == other.next

    __hash__ = None  # type: ignore[assignment]


WAYS: dict[str, Callable[[], Any]] = {
    "by itself": by_itself,
    "through C": through_c,
    "through generators": lambda: list(through_generators()),
    "through the library": through_the_library,
    "through an operator": lambda: Node() == Node(),
    "of json": lambda: json.dumps(by_itself()),
}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    way = WAYS[environ["QUERY_STRING"].replace("%20", " ")]
    if environ["PATH_INFO"] == "/uncaught":
        way()
    text = ""
    for _ in range(2):
        try:
            way()
        except RecursionError:
            text = traceback.format_exc()
    start_response("200 OK", [("Content-Type", "text/plain")])  # stop: after
    return [text.encode()]
