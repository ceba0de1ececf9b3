"""A thread is debugged while it runs a part of a developer's own request, and at no other time (promise 1)."""

from __future__ import annotations

import http.client
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from werkzeug.serving import make_server

import stagedoor
from stagedoor.dap.client import DapClient
from support import whose_site
from support.servers import ALLOWED, OTHER
from support.stage import Response, Stage, make_environ, unfinished
from support.waiting import wait_for
from support.whose_site import line

JOBS = os.path.join(os.path.dirname(whose_site.__file__), "lazy_jobs.py")


@pytest.fixture
def site() -> Iterator[Stage]:
    whose_site.forget_lazy()
    made = Stage(whose_site.application)
    yield made
    made.stop()


def attached(site: Stage, lines: dict[str, list[int]], condition: str | None = None) -> DapClient:
    """A client with breakpoints that leave a trace wherever they are evaluated, and then stop."""
    client = site.armed()
    extra = {"condition": condition} if condition else {}
    for path, numbers in lines.items():
        found = [{"line": number, **extra} for number in numbers]
        client.request("setBreakpoints", {"source": {"path": path}, "breakpoints": found})
    return client


def stops(client: DapClient) -> int:
    client.request("threads")  # Its answer comes after all events before it.
    return sum(event["event"] == "stopped" for event in client.events)


SEEN = "evaluated.append('condition') or True"


# -- Jobs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "stop", "stops_its_maker"),
    [
        pytest.param("/lazy", "shrink", True, id="a function that a module decorates"),
        pytest.param("/lazy-helper", "shrink", False, id="a function that a module decorates, on a helper thread"),
        pytest.param("/method", "print", True, id="a method"),
        pytest.param("/method-helper", "print", False, id="a method, on a helper thread"),
        pytest.param("/cached", "trim", True, id="one that is made once for all requests"),
        pytest.param("/cached-helper", "trim", True, id="one that is made once for all, on a helper thread"),
    ],
)
def test_a_job_without_a_name_that_a_matching_request_leaves_behind_is_nobodys(
    site: Stage, path: str, stop: str, stops_its_maker: bool
) -> None:
    client = attached(site, {JOBS: [line(stop, JOBS)]}, SEEN)
    # The matching request imports the module, or makes what is kept.
    mine = site.workers[0].start_get(path)
    if stops_its_maker:
        client.resume(client.stopped()["threadId"])
    assert mine.result(10).text == "4"
    evaluated = whose_site.lazy().evaluated
    evaluated.clear()
    before = stops(client)
    for _ in range(10):
        for worker in site.workers:
            assert worker.get(path, OTHER, timeout=5).text == "4"
    assert (stops(client) - before, evaluated) == (0, [])
    assert not unfinished()


def test_a_job_without_a_name_ends_with_its_request(site: Stage) -> None:
    client = attached(site, {JOBS: [line("trim", JOBS)]}, SEEN)
    first = site.workers[0].start_get("/cached-helper")
    client.resume(client.stopped()["threadId"])
    assert first.result(10).text == "4"
    before = stops(client)
    # What is left of it belongs to nobody, not to the next request of the same developer either.
    assert site.workers[0].get("/cached-helper", timeout=5).text == "4"
    assert stops(client) == before


def test_a_job_that_still_runs_when_its_request_ends_is_not_debugged_any_more(site: Stage) -> None:
    release, turns = threading.Event(), []

    def consumer() -> None:
        while not release.is_set():
            turns.append(whose_site.lazy().trim(8))
            release.wait(0.005)

    def starts(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        thread = threading.Thread(target=stagedoor.traced(consumer))
        thread.start()
        threads.append(thread)
        start_response("200 OK", [])
        return [b"started"]

    threads: list[threading.Thread] = []
    site.stop()
    site = Stage(starts)
    try:
        client = site.armed()
        assert site.workers[0].get("/", timeout=5).text == "started"
        client.request(
            "setBreakpoints",
            {"source": {"path": JOBS}, "breakpoints": [{"line": line("trim", JOBS), "condition": SEEN}]},
        )
        seen = len(turns)
        wait_for(lambda: len(turns) > seen + 20, "the consumer to run on over the breakpoint")
        assert (stops(client), whose_site.lazy().evaluated) == (0, [])
    finally:
        release.set()
        for thread in threads:
            thread.join(5)
        site.stop()


@pytest.mark.parametrize("path", ["/named-stream", "/named-close", "/named-context"])
def test_a_named_job_is_not_debugged_as_a_part_of_a_visitors_request(site: Stage, path: str) -> None:
    client = attached(site, {JOBS: [line("named", JOBS)]}, SEEN)
    for worker in site.workers:
        for _ in range(5):
            assert worker.get(path, OTHER, timeout=5).text == "4"
    assert (stops(client), whose_site.lazy().evaluated) == (0, [])
    # On a thread of its own it is a job, whoever starts it.
    job = site.workers[0].start_get("/named-helper", OTHER)
    client.resume(client.stopped()["threadId"])
    assert job.result(10).text == "4"


def test_nor_in_a_body_whose_request_came_before_the_window(site: Stage) -> None:
    server = make_server("127.0.0.1", 0, site.door, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    whose_site.go_on.clear()
    try:
        with closing(http.client.HTTPConnection(*server.server_address[:2], timeout=30)) as connection:
            connection.request("GET", "/named-stream-later")
            response = connection.getresponse()
            assert response.read(6) == b"begun "
            client = attached(site, {JOBS: [line("named", JOBS)]}, SEEN)
            whose_site.go_on.set()
            assert response.read() == b"4"
        assert (stops(client), whose_site.lazy().evaluated) == (0, [])
    finally:
        whose_site.go_on.set()
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.mark.parametrize("path", ["/named-stream", "/named-close"])
def test_it_is_as_a_part_of_a_matching_one(site: Stage, path: str) -> None:
    client = attached(site, {JOBS: [line("named", JOBS)]})
    mine = site.workers[0].start_get(path)
    stop = client.stopped()
    names = {each["id"]: each["name"] for each in client.request("threads")["threads"]}
    assert names[stop["threadId"]] == f"GET {path}"
    client.resume(stop["threadId"])
    assert mine.result(10).text == "4"


# -- Bodies ------------------------------------------------------------------------------------------------------------


def outside(site: Stage, middleware: Callable[..., Any]) -> None:
    """Put ``middleware`` around StageDoor."""
    for worker in site.workers:
        worker._door = middleware(worker._door)


def test_a_body_that_nobody_closes_leaves_no_line_of_an_outer_middleware_traced(site: Stage) -> None:
    client = attached(site, {whose_site.__file__: [line("outer"), line("block")]})
    outside(site, whose_site.joining)
    for _ in range(8):
        mine = site.workers[0].start_get("/blocks")
        for _ in range(3):
            client.resume(client.stopped()["threadId"])
        assert mine.result(10).text == "0 1 2  (/blocks)"
        before = stops(client)
        assert site.workers[0].get("/blocks", OTHER, timeout=5).text == "0 1 2  (/blocks)"
        # Also while the events of sys.monitoring are on, because another matching request runs.
        other = site.workers[1].start_get("/blocks")
        thread = client.stopped()["threadId"]
        client.next(thread)
        assert site.workers[0].get("/blocks", OTHER, timeout=5).text == "0 1 2  (/blocks)"
        client.stopped()
        assert stops(client) == before + 2
        client.request("setBreakpoints", {"source": {"path": whose_site.__file__}, "breakpoints": []})
        client.resume(thread)
        other.result(10)
        found = [{"line": line("outer")}, {"line": line("block")}]
        client.request("setBreakpoints", {"source": {"path": whose_site.__file__}, "breakpoints": found})
    assert not unfinished()


def test_a_body_that_is_kept_half_read_for_good_leaves_no_thread_traced(site: Stage) -> None:
    client = attached(site, {whose_site.__file__: [line("keeper")]})
    kept: list[Any] = []
    outside(site, lambda inner: whose_site.keeping(inner, kept))
    for _ in range(3):
        for worker in site.workers:
            assert worker.get("/blocks", timeout=5).text == "0  (/blocks)"
            assert worker.get("/blocks", OTHER, timeout=5).text == "0  (/blocks)"
    assert stops(client) == 0
    kept.clear()
    assert not unfinished()


def test_a_step_goes_on_from_block_to_block(site: Stage) -> None:
    client = attached(site, {whose_site.__file__: [line("block")]})
    mine = site.workers[0].start_get("/blocks")
    thread = client.stopped()["threadId"]
    client.request("setBreakpoints", {"source": {"path": whose_site.__file__}, "breakpoints": []})
    lines = []
    for _ in range(4):
        client.next(thread)
        assert client.stopped()["threadId"] == thread
        lines.append(client.stack(thread)[0]["line"])
    block = line("block")
    assert lines == [block - 2, block - 1, block, block - 2]
    client.resume(thread)
    assert mine.result(10).text == "0 1 2 "


def test_a_server_may_ask_for_each_block_on_another_thread(site: Stage) -> None:
    client = attached(site, {whose_site.__file__: [line("block")]})
    first, second = site.workers[:2]
    response = Response()
    body = first.run(site.door, make_environ("/blocks"), response.start).result(5)
    blocks = first.run(iter, body).result(5)
    found = []
    for worker in (first, second, first):
        block = worker.run(next, blocks)
        client.resume(client.stopped()["threadId"])
        found.append(block.result(5))
        # Between two blocks both threads serve others.
        for each in (first, second):
            assert each.get("/blocks", OTHER, timeout=5).text == "0 1 2 "
    assert found == [b"0 ", b"1 ", b"2 "]
    second.run(body.close).result(5)
    assert stops(client) == 3
    assert not unfinished()


def test_a_body_of_many_blocks_is_served_in_the_end(site: Stage) -> None:
    client = attached(site, {whose_site.__file__: [line("outer")]})
    assert len(site.workers[0].get("/many-blocks", ALLOWED, timeout=60).blocks) == 10_000
    assert stops(client) == 0
