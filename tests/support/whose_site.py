"""An application whose requests share jobs, run parts of themselves in odd places, and have odd bodies."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

Environ = dict[str, Any]


def in_thread(function: Callable[..., Any], *arguments: Any) -> str:
    """What it comes to on a helper thread that is joined."""
    outcome: list[Any] = []
    thread = threading.Thread(target=lambda: outcome.append(function(*arguments)))
    thread.start()
    thread.join()
    return str(outcome[0])


def lazy() -> Any:
    from support import lazy_jobs

    return lazy_jobs


def forget_lazy() -> None:
    sys.modules.pop("support.lazy_jobs", None)
    sys.modules["support"].__dict__.pop("lazy_jobs", None)


def streamed(function: Callable[..., Any]) -> Iterator[bytes]:
    yield str(function(8)).encode()


#: Lets a body go on that has begun.
go_on = threading.Event()


def streamed_later(function: Callable[..., Any]) -> Iterator[bytes]:
    yield b"begun "
    go_on.wait(30)
    yield str(function(8)).encode()


class Closing:
    """A body that does its work when it is closed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"4"])

    def close(self) -> None:
        self._function(8)


class Blocks:
    """A body of many blocks, over a line with a breakpoint for each."""

    def __init__(self, blocks: int) -> None:
        self._blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self._blocks):
            block = b"%d " % number
            yield block  # stop: block


def in_copied_context(function: Callable[..., Any]) -> str:
    """On a thread of its own, as asgiref runs async views."""
    return in_thread(contextvars.copy_context().run, function, 8)


VIEWS: dict[str, Callable[[], Any]] = {
    "/lazy": lambda: lazy().shrink(8),
    "/lazy-helper": lambda: in_thread(lazy().shrink, 8),
    "/method": lambda: lazy().Printer().print(8),
    "/method-helper": lambda: in_thread(lazy().Printer().print, 8),
    "/cached": lambda: lazy().shared_trimmer()(8),
    "/cached-helper": lambda: in_thread(lazy().shared_trimmer(), 8),
    "/named-stream": lambda: streamed(lazy().named),
    "/named-stream-later": lambda: streamed_later(lazy().named),
    "/named-close": lambda: Closing(lazy().named),
    "/named-context": lambda: in_copied_context(lazy().named),
    "/named-helper": lambda: in_thread(lazy().named, 8),
    "/blocks": lambda: Blocks(3),
    "/hello": lambda: "hello",
    "/many-blocks": lambda: Blocks(10_000),
}


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    result = VIEWS[environ["PATH_INFO"]]()
    return result if hasattr(result, "__iter__") and not isinstance(result, str) else [str(result).encode()]


def joining(inner: Callable[..., Any]) -> Callable[..., Any]:
    """A middleware outside of StageDoor that reads the whole body and does not close it, as many do."""

    def outer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        before = environ["PATH_INFO"]  # stop: outer
        return [b"".join(inner(environ, start_response)), f" ({before})".encode()]

    return outer


def keeping(inner: Callable[..., Any], kept: list[Any]) -> Callable[..., Any]:
    """One that keeps every body for good, read up to its first block."""

    def outer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        before = environ["PATH_INFO"]  # stop: keeper
        kept.append(inner(environ, start_response))
        return [next(iter(kept[-1])), f" ({before})".encode()]

    return outer


def line(stop: str, module: str = __file__) -> int:
    """The number of the line that ends in ``# stop: NAME``."""
    for number, text in enumerate(Path(module).read_text().splitlines(), 1):
        if text.endswith(f"# stop: {stop}"):
            return number
    raise LookupError(stop)
