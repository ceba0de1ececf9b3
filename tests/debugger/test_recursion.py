"""The recursion limit, which a debugger on top of the application's stack reaches first: nothing of that is to be seen."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import pytest

from stagedoor.dap.client import DapClient, WaitFailed
from support import deep
from support.servers import ALLOWED, OTHER
from support.stage import Response, Stage
from support.waiting import wait_for


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(deep.application)
    yield made
    made.stop()


def attached(stage: Stage, **keywords: object) -> DapClient:
    stage.open()
    ask = "/caught?by%20itself"
    wait_for(lambda: "client=waiting" in str(stage.workers[0].get(ask).header), "the debugger to start")
    client = DapClient((stage.host, stage.port))
    stage.clients.append(client)
    client.attach(breakpoints={deep.__file__: [deep.line_of("after")]}, **keywords)  # type: ignore[arg-type]
    return client


def files(text: str) -> set[str]:
    return set(re.findall(r'File "([^"]+)"', text))


def depth(text: str) -> int:
    """How many entries a traceback has, with those that are left out as repeated."""
    return text.count('File "') + sum(map(int, re.findall(r"repeated (\d+) more times", text)))


def assert_alike(debugged: str, plain: str) -> None:
    """The traceback has no line that it has not without a debugger. It is shorter by the calls that the debugger needs
    for itself, and below Python 3.12 by what any trace function costs where C calls Python.
    """
    assert files(debugged) == files(plain)
    assert debugged.strip().rpartition("\n")[2].startswith("RecursionError: maximum recursion depth exceeded")
    # CPython 3.13.0 does not count all calls of functions with defaults where no tool looks at them: 10,000 of deepcopy's.
    counted = min(depth(plain), sys.getrecursionlimit() - 50)
    assert 0.7 * counted <= depth(debugged) <= depth(plain) + 5
    assert debugged.count("During handling") == plain.count("During handling")


@pytest.fixture(autouse=True)
def nothing_said_of_generators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where generators are closed at the limit, Python has no room for that and says so; nor has pytest, to hear of it."""
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)


def stop_or_answer(client: DapClient, mine: Future[Response]) -> dict[str, Any] | None:
    """The next stop; ``None`` if the request is answered without one."""

    def either() -> tuple[dict[str, Any] | None] | None:
        if mine.done():
            return (None,)
        with suppress(WaitFailed):
            return (client.stopped(timeout=0.05),)
        return None

    return wait_for(either, "a stop or an answer", timeout=40)[0]


@pytest.mark.parametrize("just_my_code", [True, False])
@pytest.mark.parametrize("way", deep.WAYS)
def test_a_breakpoint_after_the_limit_hits_or_is_said_not_to_and_the_log_is_as_without_a_debugger(
    stage: Stage, way: str, just_my_code: bool
) -> None:
    path = f"/caught?{way.replace(' ', '%20')}"
    plain = stage.workers[1].get(path, OTHER, timeout=40).text
    client = attached(stage, arguments={"justMyCode": just_my_code}, exception_filters=["uncaught"])
    for _ in range(2):
        mine = stage.workers[0].start_get(path)
        stop = stop_or_answer(client, mine)
        if stop is None:
            # Python has taken the debugger away, which it does wherever the debugger itself has come to the limit.
            assert sys.version_info < (3, 12)
            assert_alike(mine.result(40).text, plain)
            said = client.wait_event("output", lambda body: "recursion limit" in body["output"])
            assert said["output"].startswith("Stagedoor: GET /caught: no later breakpoint was looked at")
            continue
        assert stop["reason"] == "breakpoint"
        assert client.stack(stop["threadId"])[0]["line"] == deep.line_of("after")
        client.resume(stop["threadId"])
        assert_alike(mine.result(40).text, plain)
    assert_alike(stage.workers[1].get(path, OTHER, timeout=40).text, plain)


def test_a_helper_that_was_given_the_trace_function_comes_to_the_limit_on_its_own_thread(stage: Stage) -> None:
    attached(stage)
    for _ in range(5):
        assert stage.workers[0].get("/helper?by%20itself", timeout=20).text == "RecursionError"
    # Nothing of it comes up later in the thread either.
    assert stage.workers[0].run(sum, [1, 2]).result(10) == 3


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="sys.monitoring has no trace function")
def test_what_is_just_within_the_limit_is_so_with_a_debugger_too_but_for_a_few_calls(stage: Stage) -> None:
    def deepest(source: str) -> int:
        return int(stage.workers[0].get("/deepest?by%20itself", source, timeout=20).text)

    plain = deepest(OTHER)
    attached(stage)
    assert plain - 4 <= deepest(ALLOWED) <= plain


@pytest.mark.parametrize("way", deep.WAYS)
def test_an_uncaught_one_reaches_the_server_as_without_a_debugger_and_stops_in_the_users_code(
    stage: Stage, way: str
) -> None:
    path = f"/uncaught?{way.replace(' ', '%20')}"
    with pytest.raises(RecursionError) as plain:
        stage.workers[1].get(path, OTHER, timeout=40)
    client = attached(stage, arguments={"justMyCode": False}, exception_filters=["uncaught"])
    mine = stage.workers[0].start_get(path)
    stop = client.stopped(timeout=40)
    assert stop["reason"] == "exception"
    assert "pydevd" not in client.stack(stop["threadId"])[0]["source"]["path"]
    client.resume(stop["threadId"])
    with pytest.raises(RecursionError) as debugged:
        mine.result(40)
    text, expected = ("".join(traceback.format_exception(each.value)) for each in (debugged, plain))
    assert "pydevd" not in text
    assert "overflow" not in text
    assert {file for file in files(expected) if "stagedoor" not in file} <= files(text)
