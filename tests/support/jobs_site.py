"""An application with helper threads and background jobs, some of which ask to be debugged.

The lines at which tests stop end in ``# stop: NAME``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import stagedoor

Environ = dict[str, Any]


def resize(size: int) -> int:
    half = size // 2
    return half + 0  # stop: resize


@stagedoor.traced("nightly report")
def report() -> str:
    pages = 3
    return f"{pages} pages"  # stop: report


@stagedoor.traced("failing job")
def fail() -> None:
    tried = 1
    raise TimeoutError(tried)  # stop: fail


def in_thread(function: Callable[..., object], *arguments: object) -> str:
    """What ``function`` comes to on a thread of its own."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(function(*arguments))
        except Exception as error:
            outcome.append(type(error).__name__)

    thread = threading.Thread(target=run, name="helper")
    thread.start()
    thread.join()
    return str(outcome[0])


def untraced_block() -> str:
    with stagedoor.traced():
        return "nobody's"  # stop: nobody's


def named_block() -> str:
    before = "before"  # stop: before
    with stagedoor.traced("block"), stagedoor.traced("inner"):
        inside = f"{before}, inside"  # stop: inside
    return f"{inside}, after"  # stop: after


def named_view() -> str:
    with stagedoor.traced("named view"):
        return "named view"  # stop: named view


VIEWS: dict[str, Callable[[], str]] = {
    # A helper of the request that makes it.
    "/helper": lambda: in_thread(stagedoor.traced(resize), 8),
    "/plain-thread": lambda: in_thread(resize, 8),
    "/report": lambda: in_thread(report),
    "/fail": lambda: in_thread(fail),
    "/nobody": lambda: in_thread(untraced_block),
    "/block": lambda: in_thread(named_block),
    "/named-view": named_view,
    "/own-thread": lambda: str(stagedoor.traced(resize)(8)),
    "/pid": lambda: str(os.getpid()),
    "/hello": lambda: "hello",
}


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = VIEWS[environ["PATH_INFO"]]().encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
