"""An application to look into: values of every kind, calls within calls, and an error.

With ``STAGEDOOR_TESTS_LISTEN`` it is debugged as people do it without Stagedoor: by ``debugpy.listen`` on that port.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


def listen(port: int) -> None:
    import debugpy

    debugpy.configure(subProcess=False)
    debugpy.listen(("127.0.0.1", port))


if os.environ.get("STAGEDOOR_TESTS_LISTEN"):
    listen(int(os.environ["STAGEDOOR_TESTS_LISTEN"]))


def line_of(name: str) -> int:
    """The number of the line that ends in ``# NAME``."""
    for number, line in enumerate(Path(__file__).read_text().splitlines(), 1):
        if line.endswith(f"# {name}"):
            return number
    raise LookupError(name)


class Basket:
    """Something with attributes, public and not."""

    tax = 7

    def __init__(self) -> None:
        self.items = {"apples": 3, "pears": [1, 2, (3, 4)]}
        self._owner = "nobody"

    @property
    def size(self) -> int:
        return len(self.items)

    def total(self) -> int:
        return doubled(self.size)


def doubled(number: int) -> int:
    number *= 2  # doubled
    return number


def added(one: int, other: int) -> int:
    return one + other


def view() -> str:
    numbers = list(range(250))
    basket = Basket()
    text, data, nothing = "tëxt\n" * 3, b"\x00bytes", None
    empty: dict[str, object] = {}
    nested = {"list": numbers[:3], "basket": basket, 7: "seven"}
    total = added(doubled(3), basket.total())  # view
    total += 1  # after
    return f"{total} {len(text)} {data!r} {nothing} {empty} {len(nested)}"


def failing() -> str:
    price = {"apples": 3}
    return str(price["pears"])  # failing


VIEWS = {"/view": view, "/failing": failing, "/pid": lambda: str(os.getpid())}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = VIEWS[environ["PATH_INFO"]]().encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
