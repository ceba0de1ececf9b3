"""A gatekeeper's messages that come too late: what a thread serves by then is not touched. pydevd is real."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from stagedoor.dap.client import RequestFailed
from stagedoor.dap.rules import Rule
from stagedoor.dap.wire import Message
from support.gatekeeper_side import Side
from support.sessions_site import Box, line_of, visit, with_box
from support.waiting import wait_for

#: What a client asks of a paused request by its thread.
BY_THREAD = ("next", "stepIn", "stepOut", "stackTrace", "exceptionInfo")
#: And by a frame or what is in it.
BY_FRAME = ("evaluate", "completions", "setExpression", "stepInTargets")


@pytest.fixture
def side() -> Iterator[Side]:
    with closing(Side()) as side:
        side.set(("visit", Rule("s1", key="a")), ("visit", Rule("s2", key="b")), ("box", Rule("s1", key="c")))
        yield side


def ask(side: Side, command: str, stop: Message, **arguments: Any) -> Message:
    """Ask the request that has stopped there, as a gatekeeper does."""
    return side.client.request(command, addressed(stop, **arguments))


def addressed(stop: Message, **arguments: Any) -> dict[str, Any]:
    number = {"request": stop["stagedoor"]["request"]}
    return {"threadId": stop["threadId"], "singleThread": True, "stagedoor": number} | arguments


def frame_of(side: Side, stop: Message) -> int:
    return int(ask(side, "stackTrace", stop)["stackFrames"][0]["id"])


def of_frame(frame: int, **arguments: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {"threadId": None, "frameId": frame, "expression": "number", "value": "9", "text": "nu"}
    return usual | {"column": 2} | arguments


def line(side: Side, stop: Message) -> int:
    return int(ask(side, "stackTrace", stop)["stackFrames"][0]["line"])


def test_a_paused_request_is_served_as_ever(side: Side) -> None:
    mine = side.start("s1", visit, 4)
    stop = side.stopped("s1")
    frame = frame_of(side, stop)
    assert side.client.request("evaluate", frame_arguments(stop, frame))["result"] == "4"
    for command in BY_FRAME[1:]:
        side.client.request(command, frame_arguments(stop, frame))
    (scope, *_) = side.client.request("scopes", {"frameId": frame, "stagedoor": stop["stagedoor"]})["scopes"]
    reference = scope["variablesReference"]
    assert side.client.request("variables", {"variablesReference": reference, "stagedoor": stop["stagedoor"]})
    for command in ("next", "stepIn"):
        ask(side, command, stop)
        stop = side.stopped("s1")
    assert line(side, stop) == line_of("after") + 1
    ask(side, "continue", stop)
    assert mine.result(5) == 19  # number was set to 9


def frame_arguments(stop: Message, frame: int) -> dict[str, Any]:
    arguments = of_frame(frame, stagedoor=stop["stagedoor"])
    del arguments["threadId"]
    return arguments


def test_what_comes_late_does_nothing_to_another_developers_paused_request(side: Side) -> None:
    thread = side.thread("pooled")
    mine = side.start("s1", visit, 1, on=thread)
    gone = side.stopped("s1")
    frame = frame_of(side, gone)
    ask(side, "continue", gone)
    mine.result(5)
    theirs = side.start("s2", visit, 2, on=thread)
    stop = side.stopped("s2")
    assert stop["threadId"] == gone["threadId"]
    for command in BY_THREAD:
        with pytest.raises(RequestFailed, match="runs on, or has ended"):
            ask(side, command, gone)
    for command in BY_FRAME:
        with pytest.raises(RequestFailed, match="runs on, or has ended"):
            side.client.request(command, frame_arguments(gone, frame_of(side, stop)))
        with pytest.raises(RequestFailed):
            side.client.request(command, frame_arguments(gone, frame))
    # Whoever wants it to run on has that.
    ask(side, "continue", gone)
    with pytest.raises(RequestFailed, match="runs on, or has ended"):
        side.client.request("continue", addressed(stop, stagedoor={"request": None}))
    assert not theirs.done()
    assert line(side, stop) == line_of("visit")
    assert len(side.events("stopped", "s2")) == 1
    ask(side, "continue", stop)
    assert theirs.result(5) == 5


def test_what_comes_late_names_the_frames_of_another_paused_request_in_vain(side: Side) -> None:
    mine, theirs = side.start("s1", visit, 1), side.start("s2", visit, 2)
    stop, other = side.stopped("s1"), side.stopped("s2")
    for command in BY_FRAME:
        with pytest.raises(RequestFailed, match="runs on, or has ended"):
            side.client.request(command, frame_arguments(stop, frame_of(side, other)))
    for command in BY_THREAD:
        with pytest.raises(RequestFailed, match="runs on, or has ended"):
            ask(side, command, stop, threadId=other["threadId"])
    for each in (stop, other):
        ask(side, "continue", each)
    assert (mine.result(5), theirs.result(5)) == (3, 5)


@pytest.mark.parametrize("command", ["next", "stepIn", "stepOut", "evaluate"])
def test_what_waits_for_the_threads_next_pause_is_not_done_in_another_request(side: Side, command: str) -> None:
    """pydevd keeps it in the thread's queue. Here the thread is busy, so that it is read while the request is paused."""
    thread, box = side.thread("pooled"), Box()
    mine = side.start("s1", with_box, box, on=thread)
    gone = side.stopped("s1")
    frame = frame_of(side, gone)
    slow = side.client.send("evaluate", frame_arguments(gone, frame) | {"expression": "box.slow('x')"})
    assert box.entered.wait(5)
    ask(side, "continue", gone)
    late = side.client.send(command, addressed(gone) | {"frameId": frame, "expression": "box.slow('late')"})
    side.settle()
    box.entered.clear()
    box.release.set()
    side.client.wait_response(slow)
    mine.result(5)
    theirs = side.start("s2", visit, 2, on=thread)
    stop = side.stopped("s2")
    if command == "evaluate":
        with pytest.raises(RequestFailed, match="runs on, or has ended"):
            side.client.wait_response(late)
        assert not box.entered.is_set()
    side.settle()
    assert line(side, stop) == line_of("visit")
    assert len(side.events("stopped", "s2")) == 1
    ask(side, "continue", stop)
    assert theirs.result(5) == 5


def test_a_visitor_on_that_thread_is_neither_stepped_nor_looked_at(side: Side) -> None:
    thread, box = side.thread("pooled"), Box()
    mine = side.start("s1", visit, 1, on=thread)
    gone = side.stopped("s1")
    ask(side, "continue", gone)
    mine.result(5)
    visitor = side.start(None, box.slow, "visitor", on=thread)
    assert box.entered.wait(5)
    for command in BY_THREAD:
        with pytest.raises(RequestFailed, match="runs on, or has ended"):
            ask(side, command, gone)
    ask(side, "continue", gone)
    box.release.set()
    assert visitor.result(5) == "visitor"
    assert side.start(None, visit, 2, on=thread).result(5) == 5
    # Nor is the next request of a developer's stopped where nobody has asked for it.
    side.set()
    assert side.start("s2", visit, 3, on=thread).result(5) == 7
    side.settle()
    assert len(side.events("stopped")) == 1


def test_a_stack_that_was_asked_for_while_it_ran_on_is_nobody_elses(side: Side) -> None:
    """pydevd waits up to half a second for the thread to pause, and shows its stack then as it is."""
    thread, box = side.thread("pooled"), Box()
    mine = side.start("s1", visit, 1, on=thread)
    gone = side.stopped("s1")
    asked = [side.client.send("continue", addressed(gone))]
    asked += [side.client.send("stackTrace", addressed(gone)) for _ in range(20)]
    mine.result(5)
    visitor = side.start(None, box.slow, "visitor", on=thread)
    assert box.entered.wait(5)
    for each in asked:
        try:
            body = side.client.wait_response(each)
        except RequestFailed:
            continue
        assert "slow" not in {frame["name"] for frame in body.get("stackFrames", [])}
    box.release.set()
    visitor.result(5)
    wait_for(lambda: not side.events("stopped", "s2"), "nobody to be stopped")
