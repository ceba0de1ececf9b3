"""The wrapper of a response body, held against the bare one under every use that PEP 3333 allows."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import run_wsgi_app
from werkzeug.wsgi import ClosingIterator

from stagedoor.body import wrapped_body
from support.stage import Environ, Stage, make_environ

BLOCKS = [b"one", b"two", b"", b"three"]


class Broken(Exception):
    """What a body fails with."""


class Body:
    """Like Django's responses: no iterator, and each iter() begins again."""

    def __init__(self, log: list[str], fails_at: int | None) -> None:
        self._log = log
        self._fails_at = fails_at

    def __iter__(self) -> Iterator[bytes]:
        self._log.append("iter")
        for number, block in enumerate(BLOCKS):
            if number == self._fails_at:
                raise Broken(number)
            self._log.append(f"block {number}")
            yield block


class Closeable(Body):
    def close(self) -> None:
        self._log.append("close")


class FailsToClose(Body):
    def close(self) -> None:
        self._log.append("close")
        raise Broken("close")


class Sized(Closeable):
    def __len__(self) -> int:
        return len(BLOCKS)


class OneUse(Closeable):
    """Not an iterator, but iter() goes on where the last one was."""

    def __init__(self, log: list[str], fails_at: int | None) -> None:
        super().__init__(log, fails_at)
        self._blocks = super().__iter__()

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks


class AnIterator(OneUse):
    def __iter__(self) -> Iterator[bytes]:
        self._log.append("iter")
        return self

    def __next__(self) -> bytes:
        return next(self._blocks)


class SizedIterator(AnIterator):
    def __len__(self) -> int:
        return len(BLOCKS)


class Restarting(AnIterator):
    """An iterator whose iter() is another one, which is unusual and allowed."""

    def __iter__(self) -> Iterator[bytes]:
        self._log.append("iter")
        return iter(BLOCKS)


class Sequence:
    """Iterable by the old protocol."""

    def __init__(self, log: list[str], fails_at: int | None) -> None:
        self._log = log
        self._fails_at = fails_at

    def __getitem__(self, number: int) -> bytes:
        self._log.append(f"block {number}")
        if number == self._fails_at:
            raise Broken(number)
        return BLOCKS[number]


class List(list[bytes]):
    def __init__(self, log: list[str], fails_at: int | None) -> None:
        super().__init__(BLOCKS)


def generator(log: list[str], fails_at: int | None) -> Iterator[bytes]:
    try:
        yield from Body(log, fails_at)
    finally:
        log.append("finally")


def chained(log: list[str], fails_at: int | None) -> Iterator[bytes]:
    return itertools.chain([b"zero"], generator(log, fails_at))


def closing(log: list[str], fails_at: int | None) -> Iterator[bytes]:
    return ClosingIterator(generator(log, fails_at), lambda: log.append("callback"))


KINDS: list[Callable[[list[str], int | None], Any]] = [
    Body, Closeable, FailsToClose, Sized, OneUse, AnIterator, SizedIterator, Restarting, Sequence, List, generator, chained, closing,
]  # fmt: skip

#: What a server, or a middleware, does with a body or with one of the iterators that it has got from it.
USES = st.lists(
    st.sampled_from(["iter body", "iter last", "next last", "next body", "len", "close", "rest of last", "list body"]),
    max_size=12,
)


def use(body: Any, uses: list[str]) -> list[Any]:
    """What comes of the uses, one after the other."""
    seen: list[Any] = []
    last: Any = None
    for each in uses:
        try:
            if each == "iter body":
                last = iter(body)
                seen.append("iterator")
            elif each == "iter last" and last is not None:
                last = iter(last)
                seen.append("iterator")
            elif each == "next last" and last is not None:
                seen.append(next(last))
            elif each == "rest of last" and last is not None:
                seen.append(list(last))
            elif each == "next body" and hasattr(body, "__next__"):
                seen.append(next(body))
            elif each == "len" and hasattr(body, "__len__"):
                seen.append(len(body))
            elif each == "close" and hasattr(body, "close"):
                body.close()
                seen.append("closed")
            elif each == "list body":
                seen.append(list(body))
        except Exception as error:
            seen.append((type(error), str(error)))
    return seen


@given(kind=st.sampled_from(KINDS), uses=USES, fails_at=st.none() | st.integers(0, 3))
def test_promise_6_every_use_of_the_wrapper_comes_to_what_it_comes_to_with_the_bare_body(
    kind: Callable[[list[str], int | None], Any], uses: list[str], fails_at: int | None
) -> None:
    bare_log: list[str] = []
    bare = kind(bare_log, fails_at)
    # A body without close() is not to be closed; the wrapper always has one.
    uses = [each for each in uses if each != "close" or hasattr(bare, "close")]
    expected = use(bare, uses)
    log: list[str] = []
    ended: list[bool] = []
    body = wrapped_body(
        kind(log, fails_at), lambda function, *arguments: function(*arguments), lambda: ended.append(True)
    )
    assert use(body, uses) == expected
    assert log == bare_log
    assert bool(ended) == ("close" in uses)
    assert (hasattr(body, "__len__"), hasattr(body, "__next__")) == (
        hasattr(bare, "__len__"),
        hasattr(bare, "__next__"),
    )


@given(kind=st.sampled_from(KINDS), blocks=st.integers(0, 3))
def test_forgetting_the_wrapper_forgets_the_body(kind: Callable[[list[str], int | None], Any], blocks: int) -> None:
    def forgotten(wrap: Callable[[Any], Any]) -> list[str]:
        log: list[str] = []
        iterator = iter(wrap(kind(log, None)))
        for _ in range(blocks):
            next(iterator)
        del iterator
        return log

    assert forgotten(lambda body: wrapped_body(body, lambda run, *given: run(*given), lambda: None)) == forgotten(
        lambda body: body
    )


class Page:
    """Like Django's responses, of which more than its blocks is asked for; its iterator is a generator."""

    status_code = 404

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from BLOCKS
        finally:
            self.log.append("over")

    def __bytes__(self) -> bytes:
        return b"".join(BLOCKS)

    def __bool__(self) -> bool:
        return False


def as_called(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def test_what_else_a_body_has_is_there() -> None:
    body: Any = wrapped_body(Page([]), as_called, lambda: None)
    assert body.status_code == 404
    assert bytes(body) == b"onetwothree"
    assert not body
    generator: Any = wrapped_body((block for block in BLOCKS), as_called, lambda: None)
    assert generator
    assert generator.gi_frame is not None


def test_what_a_body_has_not_is_not_there() -> None:
    body = wrapped_body(Page([]), as_called, lambda: None)
    assert not hasattr(body, "fileno")
    assert not hasattr(iter(body), "read")
    assert copy.copy(body).status_code == 404  # type: ignore[attr-defined]


def test_an_iterator_of_a_body_is_closed_as_the_bare_one_is() -> None:
    log: list[str] = []
    blocks: Any = iter(wrapped_body(Page(log), as_called, lambda: None))
    assert next(blocks) == b"one"
    blocks.close()
    assert log == ["over"]
    assert list(blocks) == []


def first_and_rest(inner: Callable[..., Any]) -> Callable[..., Any]:
    """A middleware that looks at the first block, as many do."""

    def outer(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        blocks = iter(inner(environ, start_response))
        return itertools.chain([next(blocks)], blocks)

    return outer


def once_more(inner: Callable[..., Any]) -> Callable[..., Any]:
    """One that calls iter() on what it has got from iter()."""

    def outer(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        blocks = iter(inner(environ, start_response))
        first = next(blocks)
        return itertools.chain([first], iter(blocks))

    return outer


def by_name(environ: Environ, start_response: Callable[..., Any]) -> Any:
    """Answers with the kind of body that the path names."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return NAMED.get(environ["PATH_INFO"].strip("/"), lambda *_: [b"hello"])([], None)


NAMED = {kind.__name__: kind for kind in KINDS}


@pytest.fixture(scope="module")
def site() -> Iterator[Stage]:
    made = Stage(by_name)
    made.armed("work")
    yield made
    made.stop()


@pytest.mark.parametrize("middleware", [lambda inner: inner, first_and_rest, once_more], ids=["none", "first", "again"])
@pytest.mark.parametrize("kind", NAMED)
def test_a_matching_response_is_whole_and_not_more(site: Stage, kind: str, middleware: Callable[..., Any]) -> None:
    expected = b"".join(run_wsgi_app(middleware(by_name), make_environ(f"/{kind}"))[0])
    worker = site.workers[0]
    blocks, _, headers = worker.run(run_wsgi_app, middleware(site.door), make_environ(f"/{kind}")).result(10)
    assert "client=attached" in headers["Stagedoor"]
    assert worker.run(b"".join, blocks).result(10) == expected
