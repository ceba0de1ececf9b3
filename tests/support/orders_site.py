"""An application in which several developers stop on the same lines, and which notices whose condition runs for whom.

A line at which tests stop ends in ``# stop: NAME``. A request is ``/order?who=anna&number=7``; ``who`` is whoever has sent it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs


def line_of(name: str) -> int:
    """The number of the line that ends in ``# stop: name``."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.rstrip().endswith(f"# stop: {name}"))


def mine(name: str, who: str, result: Any = True) -> Any:
    """Conditions and log messages call it: whose they are, and in whose request they run. The wrong ones are written down."""
    if name != who:
        misplaced(f"{name}'s ran for {who}")
    return result


def misplaced(what: str) -> None:
    with open(os.environ["ORDERS_MISPLACED"], "a") as file:
        file.write(f"{what}\n")


def price(who: str, number: int) -> int:
    cents = number * 100  # stop: price
    # Nothing to run is here.  # stop: none
    cents += number  # stop: added
    return cents  # stop: priced


def order(who: str, number: int) -> str:
    total = 0
    for item in range(3):
        total += price(who, number + item)  # stop: item
    text = [who, str(number)]  # stop: text
    return f"{' '.join(text)}: {total}"  # stop: done


def answer_to(who: str, number: int) -> str:
    """What :func:`order` returns."""
    return f"{who} {number}: {101 * (3 * number + 3)}"


def failing(who: str, number: int) -> str:
    try:
        raise KeyError(who)  # stop: raised
    except KeyError:
        return answer_to(who, number)


def sleeping(who: str, number: int) -> str:
    time.sleep(number / 1000)
    return answer_to(who, number)


def spinning(who: str, number: int) -> str:
    until, turns = time.monotonic() + number / 1000, 0
    while time.monotonic() < until:
        turns += 1
    return answer_to(who, number)


def computing(who: str, number: int) -> str:
    """One call that is not Python's, of a second or two. It lets other threads run: else nobody could ask for anything."""
    digest = hashlib.pbkdf2_hmac("sha256", who.encode(), b"salt", number * 1000)
    return answer_to(who, number * bool(digest))


def printing(who: str, number: int) -> str:
    print(f"printed by {who}")
    return answer_to(who, number)


VIEWS: dict[str, Callable[[str, int], str]] = {
    "/order": order,
    "/failing": failing,
    "/sleeping": sleeping,
    "/spinning": spinning,
    "/computing": computing,
    "/printing": printing,
    "/pid": lambda who, number: str(os.getpid()),
    "/hello": lambda who, number: "hello",
}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    query = parse_qs(environ.get("QUERY_STRING", ""))
    who, number = query.get("who", [""])[0], int(query.get("number", ["0"])[0])
    body = VIEWS[environ["PATH_INFO"]](who, number).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
