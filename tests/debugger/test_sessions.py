"""Several developers in one pydevd: whose requests stop, and where. The test plays the gatekeeper; pydevd is real."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from stagedoor.dap.client import RequestFailed, WaitFailed
from stagedoor.dap.rules import Rule, encode
from support import sessions_site
from support.gatekeeper_side import FILE, Side
from support.sessions_site import line_of, visit, visit_often
from support.waiting import wait_for


@pytest.fixture
def side() -> Iterator[Side]:
    sessions_site.evaluated.clear()
    with closing(Side()) as side:
        yield side


# -- Breakpoints -------------------------------------------------------------------------------------------------------


def test_each_developer_stops_on_the_same_line_by_their_own_condition(side: Side) -> None:
    first, second = side.set(
        ("visit", Rule("s1", condition="note(number > 2)", key="a")),
        ("visit", Rule("s2", condition="note(number < 0)", key="b")),
    )
    assert first["verified"]
    assert second["verified"]
    assert side.start("s2", visit, 5).result(5) == 11
    assert side.start("s1", visit, 1).result(5) == 3
    assert side.start(None, visit, 5).result(5) == 11
    mine = side.start("s1", visit, 3)
    stop = side.stopped("s1")
    assert stop["hitBreakpointIds"] == [first["id"]]
    theirs = side.start("s2", visit, -1)
    other = side.stopped("s2")
    assert other["hitBreakpointIds"] == [second["id"]]
    side.resume(stop)
    side.resume(other)
    assert (mine.result(5), theirs.result(5)) == (7, -1)
    # Each condition ran on its developer's requests only.
    assert {name.split("-")[0] for name, _ in sessions_site.evaluated} == {"s1", "s2"}
    assert len(sessions_site.evaluated) == 4


def test_hits_are_counted_for_each_developer_apart(side: Side) -> None:
    side.set(
        ("visit", Rule("s1", hit_condition="3", key="a")),
        ("visit", Rule("s2", hit_condition="% 2", key="b")),
        (line_of("visit") + 1, Rule("s2", hit_condition=">= 5", log_message="fifth or later: {number}", key="c")),
    )
    for _ in range(4):
        side.start(None, visit, 1).result(5)
    mine = side.start("s1", visit_often, range(10, 16))
    stop = side.stopped("s1")
    frame = side.client.stack(stop["threadId"])[0]
    assert side.client.evaluate("number", frame["id"], "watch") == "12"
    side.resume(stop)
    assert mine.result(5) == sum(2 * each + 1 for each in range(10, 16))
    theirs = side.start("s2", visit_often, range(20, 26))
    seen = []
    for _ in range(3):
        stop = side.stopped("s2")
        seen.append(side.client.evaluate("number", side.client.stack(stop["threadId"])[0]["id"], "watch"))
        side.resume(stop)
    assert seen == ["21", "23", "25"]
    theirs.result(5)
    side.settle()
    assert side.printed("s2").splitlines() == ["fifth or later: 24", "fifth or later: 25"]
    assert side.printed("s1") == ""
    assert len(side.events("stopped")) == 4


def test_a_log_message_reaches_its_developer_and_stops_nobody(side: Side) -> None:
    side.set(
        ("visit", Rule("s1", log_message="number is {number}, {number * 10}", key="a")),
        ("visit", Rule("s2", condition="number == 7", key="b")),
        (line_of("visit") + 1, Rule("s1", log_message="{missing}", condition="number == 4", key="c")),
    )
    side.start("s1", visit, 7).result(5)
    side.start("s1", visit, 4).result(5)
    side.start(None, visit, 7).result(5)
    theirs = side.start("s2", visit, 7)
    side.resume(side.stopped("s2"))
    theirs.result(5)
    side.settle()
    assert side.printed("s1").splitlines() == [
        "number is 7, 70", "number is 4, 40", "name 'missing' is not defined",
    ]  # fmt: skip
    assert side.printed() == side.printed("s1")
    body = next(body for body in side.events("output", "s1") if "number is 7" in body["output"])
    assert (body["source"]["path"], body["line"]) == (FILE, line_of("visit"))


def test_a_breakpoint_on_a_line_without_code_is_one_more_of_the_line_it_moves_to(side: Side) -> None:
    above, moved = side.set(
        ("visit", Rule("s1", condition="number == 1", key="a")),
        (line_of("visit") + 1, Rule("s2", condition="number == 2", key="b")),
    )
    assert moved["line"] == above["line"] == line_of("visit")
    for session, number, id_ in (("s2", 2, moved["id"]), ("s1", 1, above["id"])):
        running = side.start(session, visit, number)
        stop = side.stopped(session)
        assert stop["hitBreakpointIds"] == [id_]
        side.resume(stop)
        running.result(5)
    side.start("s1", visit, 2).result(5)
    side.start("s2", visit, 1).result(5)
    assert len(side.events("stopped")) == 2


def test_two_breakpoints_of_one_developer_on_one_line_are_both_named(side: Side) -> None:
    one, other, third = side.set(
        ("visit", Rule("s1", key="a")),
        (line_of("visit") + 1, Rule("s1", condition="number == 2", key="b")),
        (line_of("visit") + 1, Rule("s2", key="c")),
    )
    running = side.start("s1", visit, 2)
    stop = side.stopped("s1")
    assert sorted(stop["hitBreakpointIds"]) == sorted([one["id"], other["id"]])
    assert third["id"] not in stop["hitBreakpointIds"]
    side.resume(stop)
    running.result(5)


def test_an_error_in_a_condition_is_told_to_its_developer_only(side: Side) -> None:
    # debugpy does not stop there, and is silent about names that are missing.
    side.set(
        ("visit", Rule("s1", condition="1 / (number - number)", key="a")),
        ("visit", Rule("s2", condition="number == 9", key="b")),
    )
    side.start("s1", visit, 1).result(5)
    side.start("s2", visit, 1).result(5)
    side.start(None, visit, 1).result(5)
    side.settle()
    told = [body for body in side.events("output") if "ZeroDivisionError" in body["output"]]
    assert [body["stagedoor"]["session"] for body in told] == ["s1"]
    assert "1 / (number - number)" in told[0]["output"]
    assert "stagedoor:" not in told[0]["output"]
    assert not side.events("stopped")


def test_a_condition_that_no_one_can_read_is_nobodys(side: Side) -> None:
    entries = [{"line": line_of("visit"), "condition": text} for text in ("stagedoor:", "stagedoor:note(1)")]
    side.client.request("setBreakpoints", {"source": {"path": FILE}, "breakpoints": entries})
    side.start("s1", visit, 1).result(5)
    side.start("s2", visit, 1).result(5)
    assert sessions_site.evaluated == []
    assert not side.events("stopped")


def test_function_breakpoints_have_a_rule_for_each_developer(side: Side) -> None:
    rules = Rule("s1", condition="number == 1", key="a"), Rule("s2", hit_condition="2", key="b")
    answer = side.client.request(
        "setFunctionBreakpoints", {"breakpoints": [{"name": "named", "condition": encode(*rules)}]}
    )
    (id_,) = (each["id"] for each in answer["breakpoints"])
    side.start("s1", sessions_site.named, 2).result(5)
    side.start("s2", sessions_site.named, 1).result(5)
    side.start(None, sessions_site.named, 1).result(5)
    for session, number in (("s1", 1), ("s2", 5)):
        running = side.start(session, sessions_site.named, number)
        stop = side.stopped(session)
        assert stop["reason"] == "function breakpoint"
        assert stop["hitBreakpointIds"] == [id_]
        side.resume(stop)
        running.result(5)
    # The same again keeps its number, and its hits.
    answer = side.client.request(
        "setFunctionBreakpoints", {"breakpoints": [{"name": "named", "condition": encode(*rules)}]}
    )
    assert [each["id"] for each in answer["breakpoints"]] == [id_]
    side.start("s2", sessions_site.named, 1).result(5)
    assert len(side.events("stopped")) == 2


def test_what_is_unchanged_keeps_its_hits_and_its_number(side: Side) -> None:
    kept = ("visit", Rule("s1", hit_condition="3", key="a"))
    (before,) = side.set(kept)
    side.start("s1", visit, 1).result(5)
    side.set(kept, ("after", Rule("s2", key="b")))
    side.start("s1", visit, 1).result(5)
    after, _ = side.set(kept, ("other", Rule("s2", key="c")))
    assert after["id"] == before["id"]
    running = side.start("s1", visit, 1)
    assert side.stopped("s1")["hitBreakpointIds"] == [before["id"]]
    side.client.request("continue", {"threadId": side.events("stopped")[0]["threadId"]})
    running.result(5)
    side.set()
    side.set(kept)
    for _ in range(2):
        side.start("s1", visit, 1).result(5)
    assert len(side.events("stopped")) == 1


class Going(threading.Thread):
    """Lets every stop of a session's go on, and keeps what ``number`` was there."""

    def __init__(self, side: Side, session: str) -> None:
        super().__init__(daemon=True)
        self._side, self._session = side, session
        self._over = threading.Event()
        self.numbers: list[int] = []
        self.hits: list[list[int]] = []
        self.start()

    def run(self) -> None:
        side = self._side
        while not self._over.is_set():
            with suppress(WaitFailed):
                stop = side.client.wait_event(
                    "stopped", lambda body: body["stagedoor"]["session"] == self._session, timeout=0.2
                )
                frame = side.client.stack(stop["threadId"])[0]
                self.numbers.append(int(side.client.evaluate("number", frame["id"], "watch")))
                self.hits.append(stop["hitBreakpointIds"])
                side.resume(stop)

    def end(self) -> None:
        self._over.set()
        self.join(10)


@pytest.mark.parametrize("where", ["visit", "loop"])
def test_nothing_is_missed_while_another_developers_breakpoints_change(side: Side, where: str) -> None:
    own = (where, Rule("s1", condition="number % 2", key="a"))
    (first,) = side.set(own)
    over = threading.Event()
    passed: list[int] = []
    visited = itertools.count()

    def hammer() -> None:
        while not over.is_set():
            number = len(passed)
            side.serve("s1", visit, number)
            passed.append(number)

    def visitors() -> None:
        while not over.is_set():
            visit(next(visited))
            time.sleep(0.0005)  # Else nobody else runs.

    def ben() -> None:
        while not over.is_set():
            side.serve("s2", visit, 1)
            time.sleep(0.002)  # Each is announced, and the test reads it all.

    others = [side.thread("visitor").submit(visitors), side.thread("ben").submit(ben)]
    if where == "visit":
        hammering = side.thread("hammer").submit(hammer)
    else:
        hammering = side.thread("hammer").submit(side.serve, "s1", sessions_site.loop, 400, passed)
    going = Going(side, "s1")
    for turn in range(200):
        # Ben's come and go, before and behind, above and below the line, and never count.
        moved = [(line_of(where) + 1, Rule("s2", condition="number == -1", key="m"))] if turn % 2 else []
        more = [("after", Rule("s2", condition="number == -2", key=f"t{turn}"))] if turn % 3 else []
        answers = side.set(*moved, own, *more)
        assert answers[len(moved)]["id"] == first["id"]
    wait_for(lambda: len(passed) > 20, "the request to come to the line")
    over.set()
    hammering.result(60)
    for each in others:
        each.result(10)
    going.end()
    assert going.numbers == [number for number in passed if number % 2]
    assert all(hits == [first["id"]] for hits in going.hits)
    assert not side.events("stopped", "s2")


# -- Events ------------------------------------------------------------------------------------------------------------


def test_a_request_is_announced_before_all_that_it_does_and_its_end_after(side: Side) -> None:
    side.set(("visit", Rule("s1", key="a")))
    running = side.start("s1", visit, 1)
    stop = side.stopped("s1")
    side.resume(stop)
    running.result(5)
    side.client.wait_event("stagedoorRequestOver")
    (begun,) = side.events("stagedoorRequest")
    number = begun["request"]
    assert begun == {
        "request": number, "session": "s1", "label": "GET /visit?x=1", "thread": stop["threadId"],
    }  # fmt: skip
    names = [event["event"] for event in side.client.events]
    own = [
        name for name in names if name in ("stagedoorRequest", "stopped", "continued", "thread", "stagedoorRequestOver")
    ]
    assert own == ["stagedoorRequest", "stopped", "continued", "thread", "stagedoorRequestOver"]
    own_request = {"request": number, "session": "s1"}
    for name, more in (("stopped", {"place": f"{FILE}:{line_of('visit')}"}), ("continued", {}), ("thread", {})):
        assert [body["stagedoor"] for body in side.events(name)] == [own_request | more]


def test_without_a_session_nothing_begins(side: Side) -> None:
    assert side.tracing.begin("GET /") is None
    side.settle()
    assert not side.events("stagedoorRequest")


# -- Exceptions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("session", "stops"), [("s1", True), ("s2", False), (None, False)])
def test_raised_exceptions_stop_whoever_has_asked_for_it(side: Side, session: str | None, stops: bool) -> None:
    side.filters(s1=["raised"], s2=["uncaught"])
    running = side.start(session, sessions_site.fail_and_handle)
    if stops:
        stop = side.stopped("s1")
        assert stop["reason"] == "exception"
        side.resume(stop)
    assert running.result(5) == "handled"
    side.settle()
    assert len(side.events("stopped")) == stops


@pytest.mark.parametrize("filter_", ["uncaught", "userUnhandled"])
def test_exceptions_that_nobody_handles_stop_whoever_has_asked_for_it(side: Side, filter_: str) -> None:
    from stagedoor.tracing import stop_on_exception

    def failing() -> None:
        try:
            sessions_site.fail()
        except LookupError as error:
            stop_on_exception(error)
            raise

    side.filters(s1=[filter_], s2=[])
    with pytest.raises(LookupError):
        side.start("s2", failing).result(5)
    with pytest.raises(LookupError):
        side.start(None, failing).result(5)
    side.filters(s1=[], s2=["uncaught"])
    with pytest.raises(LookupError):
        side.start("s1", failing).result(5)
    running = side.start("s2", failing)
    stop = side.stopped("s2")
    side.resume(stop)
    with pytest.raises(LookupError):
        running.result(5)
    assert len(side.events("stopped")) == 1


def test_a_step_survives_an_exception_that_is_another_developers_matter(side: Side) -> None:
    side.filters(s1=[], s2=["raised", "uncaught"])
    side.set(("raised", Rule("s1", key="a")))
    running = side.start("s1", sessions_site.fail_and_handle)
    stop = side.stopped("s1")
    side.client.next(stop["threadId"])
    again = side.stopped("s1")
    assert again["reason"] == "step"
    assert side.client.stack(again["threadId"])[0]["line"] == line_of("raised") + 1
    side.resume(again)
    assert running.result(5) == "handled"


# -- Pauses ------------------------------------------------------------------------------------------------------------


def number_of(side: Side, session: str, which: int = 1) -> int:
    """The number of a session's request, the first or another."""

    def found() -> list[int]:
        return [int(each["request"]) for each in side.events("stagedoorRequest") if each["session"] == session]

    wait_for(lambda: len(found()) >= which, "a request to be announced")
    return found()[which - 1]


def test_pause_stops_one_running_request_and_nobody_else(side: Side) -> None:
    release = threading.Event()
    running = [side.start(session, sessions_site.spin, release) for session in ("s1", "s2", None)]
    wait_for(lambda: len(side.events("stagedoorRequest")) == 2, "both requests")
    number = number_of(side, "s1")
    side.client.request("stagedoorPause", {"request": number})
    stop = side.stopped("s1")
    assert stop["reason"] == "pause"
    assert stop["stagedoor"]["request"] == number
    assert side.client.stack(stop["threadId"])[0]["name"] == "spin"
    with pytest.raises(RequestFailed, match="paused already"):
        side.client.request("stagedoorPause", {"request": number})
    release.set()
    assert running[1].result(5) > 0
    assert running[2].result(5) > 0
    assert not running[0].done()
    side.resume(stop)
    running[0].result(5)
    with pytest.raises(RequestFailed, match="has ended"):
        side.client.request("stagedoorPause", {"request": number})
    assert len(side.events("stopped")) == 1


def test_pause_in_a_call_that_is_not_pythons_stops_as_soon_as_it_returns(side: Side) -> None:
    running = side.start("s1", sessions_site.sleep, 1.0)
    side.client.request("stagedoorPause", {"request": number_of(side, "s1")})
    stop = side.stopped("s1")
    frame = side.client.stack(stop["threadId"])[0]
    assert frame["name"] == "sleep"
    side.resume(stop)
    assert running.result(5) == "slept well"


def test_a_pause_that_comes_to_nothing_does_not_stop_the_threads_next_request(side: Side) -> None:
    thread = side.thread("pooled")
    entered, release = threading.Event(), threading.Event()

    def ends_at_once() -> None:
        entered.set()
        release.wait(5)

    for which, session in ((1, "s2"), (2, "s1")):
        entered.clear()
        release.clear()
        running = side.start("s1", ends_at_once, on=thread)
        wait_for(entered.is_set, "the request to run")
        side.client.request("stagedoorPause", {"request": number_of(side, "s1", which)})
        release.set()
        wait_for(lambda is_done=running.done: is_done() or side.events("stopped"), "the request to stop or to end")
        for stop in side.events("stopped"):
            side.resume(stop)
        running.result(5)
        before = len(side.events("stopped"))
        assert side.start(None, visit, 1, on=thread).result(5) == 3
        assert side.start(session, visit, 1, on=thread).result(5) == 3
        assert len(side.events("stopped")) == before


def test_a_session_that_leaves_lets_its_requests_run_on_for_good(side: Side) -> None:
    side.set(
        ("visit", Rule("s1", key="a")), ("after", Rule("s1", key="b")), ("visit", Rule("s2", key="c")),
    )  # fmt: skip
    left = [side.start("s1", visit, number) for number in range(3)]
    for _ in left:
        side.stopped("s1")
    stays = side.start("s2", visit, 9)
    stop = side.stopped("s2")
    side.client.request("stagedoorLeave", {"session": "s1"})
    assert [each.result(5) for each in left] == [1, 3, 5]
    assert not stays.done()
    assert side.tracing.begin("GET /", session="s1") is None
    side.resume(stop)
    assert stays.result(5) == 19
    assert len(side.events("stopped")) == 4


def test_pauses_are_shared_between_the_developers(side: Side) -> None:
    side.tracing.pause_limit = 2
    side.set(("visit", Rule("s1", key="a")), ("visit", Rule("s2", key="b")))
    first = side.start("s1", visit, 1)
    mine = side.stopped("s1")
    assert side.start("s1", visit, 2).result(5) == 5
    assert side.listener.passed == [("GET /visit", "s1")]
    other = side.start("s2", visit, 3)
    theirs = side.stopped("s2")
    for stop in (mine, theirs):
        side.resume(stop)
    assert (first.result(5), other.result(5)) == (3, 7)


def test_a_step_keeps_its_pause(side: Side) -> None:
    side.tracing.pause_limit = 1
    side.set(("slow", Rule("s1", key="a")), ("visit", Rule("s1", key="b")))
    release = threading.Event()
    stepped = side.start("s1", sessions_site.slow, release)
    stop = side.stopped("s1")
    side.client.request("next", {"threadId": stop["threadId"], "singleThread": True})
    wait_for(lambda: not side.tracing.pauses, "the step to begin")
    assert side.start("s1", visit, 1).result(5) == 3
    assert side.listener.passed == [("GET /visit", "s1")]
    release.set()
    stop = side.stopped("s1")
    assert stop["reason"] == "step"
    side.resume(stop)
    assert stepped.result(5) == "released"
    again = side.start("s1", visit, 1)
    side.resume(side.stopped("s1"))
    assert again.result(5) == 3


# -- Evaluations -------------------------------------------------------------------------------------------------------


def test_what_an_evaluation_prints_is_its_developers_and_nothing_else_is_caught(
    side: Side, capsys: pytest.CaptureFixture[str]
) -> None:
    side.set(("box", Rule("s1", key="a")), ("box", Rule("s2", key="b")))
    boxes = {"s1": sessions_site.Box(), "s2": sessions_site.Box()}
    release = threading.Event()
    visitor = side.start(None, sessions_site.printing, release)
    running = {session: side.start(session, sessions_site.with_box, box) for session, box in boxes.items()}
    stops = {session: side.stopped(session) for session in boxes}
    asked = {}
    for session, stop in stops.items():
        frame = side.client.stack(stop["threadId"])[0]["id"]
        arguments = {"expression": f"box.slow('{session}')", "frameId": frame, "context": "repl"}
        asked[session] = side.client.send("evaluate", arguments)
        # The other's is not over.
        wait_for(boxes[session].entered.is_set, "the evaluation to begin")
    for session in ("s2", "s1"):
        boxes[session].release.set()
        assert side.client.wait_response(asked[session])["result"] == f"'{session}'"
    release.set()
    assert visitor.result(5) > 0
    for session, stop in stops.items():
        assert side.printed(session) == f"{session} begins\n{session} ends\n"
        side.resume(stop)
        running[session].result(5)
    assert "visitor" not in side.printed()
    out, err = capsys.readouterr()
    assert "visitor 1\n" in out
    assert "s1 begins\n" in out
    assert "s2 ends\n" in err


def test_streams_are_the_applications_own_again_after_evaluations(side: Side) -> None:
    import sys

    before = sys.stdout, sys.stderr
    side.set(("box", Rule("s1", key="a")))
    running = side.start("s1", sessions_site.with_box, sessions_site.Box())
    stop = side.stopped("s1")
    frame = side.client.stack(stop["threadId"])[0]["id"]
    side.client.evaluate("print('here'), __import__('sys').stdout.buffer.write(b'bytes\\n')", frame)
    assert (sys.stdout, sys.stderr) == before
    assert side.printed("s1") == "here\nbytes\n"
    side.resume(stop)
    running.result(5)
