"""An application that comes up to the recursion limit in several ways, and logs what it has caught."""

from __future__ import annotations

import copy
import json
import sys
import threading
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


def in_helper(way: Callable[[], Any]) -> str:
    """What comes of it on a thread that has got this one's trace function, as coverage and its like do it."""
    outcome: list[str] = []

    def helper() -> None:
        try:
            way()
        except RecursionError:
            outcome.append("RecursionError")

    threading.settrace(sys.gettrace())  # type: ignore[arg-type]
    try:
        thread = threading.Thread(target=helper)
        thread.start()
        thread.join()
        for _ in range(10_000):  # What was raised from outside would come up here.
            outcome.count("")
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
    return outcome[0]


def down(depth: int) -> None:
    if depth:
        down(depth - 1)


def deepest() -> int:
    """How many calls there is room for."""
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit()):
        try:
            down(depth)
        except RecursionError:
            return depth - 1
    return sys.getrecursionlimit()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    way = WAYS[environ["QUERY_STRING"].replace("%20", " ")]
    if environ["PATH_INFO"] in ("/helper", "/deepest"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [(in_helper(way) if environ["PATH_INFO"] == "/helper" else str(deepest())).encode()]
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
