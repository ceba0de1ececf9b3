"""Servers and middleware that break the rules of PEP 3333, or make odd use of them, with a request's body."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from stagedoor.dap.client import DapClient
from stagedoor.tracing import current_tracing
from support.servers import OTHER
from support.stage import Response, Stage, make_environ, unfinished
from support.waiting import wait_for
from support.whose_site import line


class Blocks:
    """An iterator with a ``close`` that does something."""

    def __init__(self) -> None:
        self._blocks = iter([b"1", b"2", b"3"])
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._blocks)  # stop: next

    def close(self) -> None:
        self.is_closed = True  # stop: close


def generated() -> Iterator[bytes]:
    for number in range(3):
        block = b"%d" % number
        yield block  # stop: generated


def listed() -> list[bytes]:
    return [b"a list"]  # stop: list


class Lazy:
    """It makes what it stands for when it is first asked for anything, as Django's lazy objects do, and fails."""

    @property
    def __class__(self) -> Any:
        return type(self._made())

    @__class__.setter
    def __class__(self, new: Any) -> None:
        raise TypeError

    def _made(self) -> Any:
        raise LookupError("there is nothing to be made")

    def __iter__(self) -> Any:
        return iter(self._made())


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    made: dict[str, Callable[[], Any]] = {
        "/blocks": Blocks,
        "/generated": generated,
        "/nothing": lambda: None,
        "/list": listed,
        "/lazy": Lazy,
    }
    return made.get(environ["PATH_INFO"], lambda: [b"hello"])()


@pytest.fixture
def site() -> Iterator[Stage]:
    made = Stage(application)
    yield made
    made.stop()


def attached(site: Stage, *stops: str) -> DapClient:
    client = site.armed()
    found = [{"line": line(stop, __file__)} for stop in stops]
    client.request("setBreakpoints", {"source": {"path": __file__}, "breakpoints": found})
    return client


def begin(site: Stage, path: str) -> tuple[Any, Iterator[bytes]]:
    """A body, and what iterates over it."""
    first = site.workers[0]
    body = first.run(site.door, make_environ(path), Response().start).result(5)
    return body, first.run(iter, body).result(5)


def running() -> list[str]:
    tracing = current_tracing()
    return [each.request for each in list(tracing._matching.values())] if tracing is not None else []


@pytest.mark.parametrize(("path", "stop"), [("/blocks", "next"), ("/generated", "generated")])
def test_a_body_that_is_closed_on_another_thread_while_it_is_paused_leaves_no_thread_traced(
    site: Stage, path: str, stop: str
) -> None:
    client = attached(site, stop, "list")
    body, blocks = begin(site, path)
    block = site.workers[0].run(next, blocks)
    thread = client.stopped()["threadId"]
    closing = site.workers[1].run(body.close)
    trouble = closing.exception(5)
    assert trouble is None if path == "/blocks" else "already executing" in str(trouble)
    # It is paused until it is told to go on, and only then its thread is gone for the client.
    client.request("threads")
    assert "thread" not in [event["event"] for event in client.events]
    client.resume(thread)
    assert block.result(5) in (b"1", b"0")
    wait_for(lambda: running() == [], "the thread to be left")
    client.wait_event("thread", lambda event: event["reason"] == "exited")
    assert site.workers[0].get("/list", OTHER, timeout=5).text == "a list"
    # The thread serves the developer's next request as the first one.
    mine = site.workers[0].start_get("/list")
    client.resume(client.stopped()["threadId"])
    assert mine.result(5).text == "a list"
    assert not unfinished()


def test_what_a_paused_request_runs_on_another_thread_meanwhile_is_not_paused(site: Stage) -> None:
    client = attached(site, "next", "close")
    body, blocks = begin(site, "/blocks")
    block = site.workers[0].run(next, blocks)
    client.stopped()
    site.workers[1].run(body.close).result(5)
    site.door.close()
    assert block.result(5) == b"1"


def test_a_server_may_start_a_thread_for_each_block(site: Stage) -> None:
    client = attached(site, "generated")
    body, blocks = begin(site, "/generated")
    idents = set()

    def next_block(outcome: Future[bytes]) -> None:
        idents.add(threading.get_ident())
        outcome.set_result(next(blocks))

    for number in range(3):
        outcome: Future[bytes] = Future()
        # One after the other: the system gives them all the same number.
        thread = threading.Thread(target=next_block, args=(outcome,))
        thread.start()
        client.resume(client.stopped()["threadId"])
        thread.join(5)
        assert outcome.result(5) == b"%d" % number
    body.close()
    assert not unfinished()


class Forgotten:
    """A middleware's object in a cycle, which closes the body when it is collected."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self._itself = self

    def __del__(self) -> None:
        self._body.close()


@pytest.mark.parametrize("path", ["/blocks", "/generated"])
def test_a_body_that_the_garbage_collector_closes_while_a_request_begins_hangs_nobody(site: Stage, path: str) -> None:
    client = attached(site, "close", "list")
    tracing = current_tracing()
    assert tracing is not None
    body, blocks = begin(site, path)
    if path == "/generated":
        site.workers[0].run(next, blocks).result(5)
    run_thread = tracing._internals.run_thread
    collected = []

    def run_thread_amid_a_collection(thread: threading.Thread) -> None:
        # What calls this holds the lock. A collection may come at any call.
        if not collected:
            collected.append(gc.collect())
        run_thread(thread)

    gc.disable()
    try:
        Forgotten(body)
        del body, blocks
        tracing._internals.run_thread = run_thread_amid_a_collection
        mine = site.workers[0].start_get("/list")
        client.resume(client.stopped()["threadId"])
        assert mine.result(5).text == "a list"
        assert collected
    finally:
        tracing._internals.run_thread = run_thread
        gc.enable()
    assert not unfinished()


def test_an_application_that_returns_none_does_so_for_a_matching_request_too(site: Stage) -> None:
    attached(site, "list")
    for source in (OTHER, "127.0.0.2"):
        response = Response()
        environ = make_environ("/nothing", source)
        assert site.workers[0].run(site.door, environ, response.start).result(5) is None
    assert response.header is not None
    assert not unfinished()


@pytest.mark.parametrize("is_attached", [True, False])
def test_a_lazy_body_is_made_when_the_server_asks_for_it_and_not_before(site: Stage, is_attached: bool) -> None:
    if is_attached:
        attached(site)
    else:
        site.open()
    body = site.workers[0].run(site.door, make_environ("/lazy"), Response().start).result(5)
    with pytest.raises(LookupError):
        site.workers[0].run(iter, body).result(5)
