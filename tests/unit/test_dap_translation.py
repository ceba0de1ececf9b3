"""A session's messages in a worker's numbers and paths, and a worker's in the session's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.dap.commands import COMMANDS, Phase
from stagedoor.dap.ids import OWN, IdTable, Kind
from stagedoor.dap.judging import Refuse, judged
from stagedoor.dap.paths import PathMappings
from stagedoor.dap.translation import (
    EVENTS_OF_WORKERS,
    Concern,
    Outward,
    mapped_answer,
    mapped_arguments,
    mapped_event,
)

PATHS = PathMappings([{"localRoot": "C:\\shop", "remoteRoot": "."}], "windows", "/srv/shop")


class Session:
    """One with two requests in one worker, and one in another."""

    def __init__(self) -> None:
        self.ids = IdTable()
        self.window = self.ids.given(OWN, "thread", "window")
        self.thread = self.ids.given("w1", "thread", 101, 12)
        self.neighbour = self.ids.given("w1", "thread", 102, 13)
        self.elsewhere = self.ids.given("w2", "thread", 101, 12)
        self.running = self.ids.given("w2", "thread", None, 14)
        self.frame = self.ids.given("w1", "frame", 201, 12)
        self.variables = self.ids.given("w1", "variables", 301, 12)
        self.target = self.ids.given("w1", "step_in", 0, 12)
        self.target_elsewhere = self.ids.given("w2", "step_in", 0, 12)
        self.target_of_neighbour = self.ids.given("w1", "step_in", 0, 13)
        self.jump = self.ids.given(OWN, "goto", "/srv/shop/a.py:3")
        self.source = self.ids.given(OWN, "source", "/usr/lib/a.py")
        self.code = self.ids.given("w1", "source", 7, 12)

    def ask(self, command: str, **arguments: Any) -> Concern | Refuse:
        message = {"seq": 1, "type": "request", "command": command, "arguments": arguments}
        verdict = judged(message, Phase.CONFIGURED)
        assert not isinstance(verdict, Refuse), verdict.sentence
        return mapped_arguments(verdict.row, verdict.arguments, self.ids.meant, PATHS.to_server)

    def refusal(self, command: str, **arguments: Any) -> str:
        refused = self.ask(command, **arguments)
        assert isinstance(refused, Refuse)
        assert refused.show_user is COMMANDS[command].show_user
        return refused.sentence

    def outward(self, worker: str = "w1", request: int | None = 12) -> Outward:
        return Outward.of(self.ids, PATHS, worker, request)

    def answer(self, command: str, body: dict[str, Any]) -> dict[str, Any]:
        return mapped_answer(COMMANDS[command], body, self.outward())


@pytest.fixture
def session() -> Session:
    return Session()


def test_a_number_says_which_request_of_which_worker_is_concerned(session: Session) -> None:
    assert session.ask("stackTrace", threadId=session.thread, levels=20) == Concern(
        "w1", 12, {"threadId": 101, "levels": 20}
    )
    assert session.ask("stackTrace", threadId=session.elsewhere) == Concern("w2", 12, {"threadId": 101})
    assert session.ask("scopes", frameId=session.frame) == Concern("w1", 12, {"frameId": 201})
    assert session.ask("variables", variablesReference=session.variables, start=0) == Concern(
        "w1", 12, {"variablesReference": 301, "start": 0}
    )
    assert session.ask("evaluate", frameId=session.frame, expression="x") == Concern(
        "w1", 12, {"frameId": 201, "expression": "x"}
    )
    assert session.ask("stepIn", threadId=session.thread, targetId=session.target) == Concern(
        "w1", 12, {"threadId": 101, "targetId": 0, "singleThread": True}
    )
    assert session.ask("stepIn", threadId=session.neighbour) == Concern(
        "w1", 13, {"threadId": 102, "singleThread": True}
    )


def test_a_jump_is_to_where_the_session_has_asked_for(session: Session) -> None:
    assert session.ask("goto", threadId=session.thread, targetId=session.jump) == Concern(
        "w1", 12, {"threadId": 101, "targetId": "/srv/shop/a.py:3", "singleThread": True}
    )


def test_pause_names_the_request_and_no_thread(session: Session) -> None:
    assert session.ask("pause", threadId=session.thread) == Concern("w1", 12, {"request": 12})
    assert session.ask("pause", threadId=session.running) == Concern("w2", 14, {"request": 14})


def test_a_message_of_two_requests_is_refused(session: Session) -> None:
    for target in (session.target_elsewhere, session.target_of_neighbour):
        assert session.refusal("stepIn", threadId=session.thread, targetId=target) == (
            '"stepIn" was refused: it names two different requests.'
        )
    assert "two different" in session.refusal(
        "source", sourceReference=session.source, source={"sourceReference": session.code}
    )


UNKNOWN = {
    "stackTrace": {"threadId": 99},
    "exceptionInfo": {"threadId": 99},
    "continue": {"threadId": 99},
    "next": {"threadId": 99},
    "stepIn": {"threadId": 99},
    "stepOut": {"threadId": 99},
    "goto": {"threadId": 99, "targetId": 1},
    "pause": {"threadId": 99},
    "scopes": {"frameId": 99},
    "evaluate": {"frameId": 99, "expression": "x"},
    "setExpression": {"frameId": 99, "expression": "x", "value": "1"},
    "completions": {"frameId": 99, "text": "x", "column": 1},
    "stepInTargets": {"frameId": 99},
    "variables": {"variablesReference": 99},
    "setVariable": {"variablesReference": 99, "name": "x", "value": "1"},
    "source": {"sourceReference": 99},
    "setBreakpoints": {"source": {"sourceReference": 99}},
    "gotoTargets": {"source": {"sourceReference": 99}, "line": 1},
}


def test_every_command_with_a_number_is_tried() -> None:
    assert UNKNOWN.keys() == {command for command, row in COMMANDS.items() if row.ids}


@pytest.mark.parametrize(("command", "arguments"), UNKNOWN.items())
def test_what_is_not_the_sessions_own_is_refused(session: Session, command: str, arguments: dict[str, Any]) -> None:
    sentence = session.refusal(command, **arguments)
    assert " 99 " in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(("command", "arguments"), UNKNOWN.items())
def test_a_number_of_another_kind_is_not_the_sessions_own(
    session: Session, command: str, arguments: dict[str, Any]
) -> None:
    place = COMMANDS[command].ids[0]
    others = [number for number in range(1, 14) if session.ids.meant(place.kind, number) is None]
    assert len(others) >= 8
    for number in others:
        key = place.place.removeprefix("source.")
        wrong = {"source": {key: number}} if place.place != key else {key: number}
        assert isinstance(session.ask(command, **(arguments | wrong)), Refuse)


def test_the_sentence_says_what_is_the_matter(session: Session) -> None:
    assert session.refusal("next", threadId=7777) == "Thread 7777 is not one of your requests, or is over by now."
    session.ids.forget_request("w1", 12)
    assert session.refusal("scopes", frameId=session.frame) == (
        f"Frame {session.frame} is not one of your paused requests', or that runs on by now."
    )
    assert session.refusal("next", threadId=session.running) == (
        f"Thread {session.running} is running. Pause it first, or set a breakpoint."
    )
    assert "can't be paused" in session.refusal("pause", threadId=session.window)
    assert "stands for the window" in session.refusal("stackTrace", threadId=session.window)
    assert "stands for the window" in session.refusal("continue", threadId=session.window)


@pytest.mark.parametrize("command", ["variables", "setVariable"])
def test_no_reference_is_none_to_look_at(session: Session, command: str) -> None:
    assert "Reference 0" in session.refusal(command, **(UNKNOWN[command] | {"variablesReference": 0}))


def test_a_source_is_the_gatekeepers_or_a_workers(session: Session) -> None:
    assert session.ask("source", sourceReference=session.source, source={"sourceReference": 0}) == Concern(
        None, None, {"sourceReference": "/usr/lib/a.py", "source": {"sourceReference": 0}}
    )
    asked = session.ask("source", sourceReference=session.code, source={"sourceReference": session.code})
    assert asked == Concern("w1", 12, {"sourceReference": 7, "source": {"sourceReference": 7}})


def test_paths_are_the_servers(session: Session) -> None:
    asked = session.ask("setBreakpoints", source={"path": r"c:\SHOP\a.py", "name": "a.py"}, breakpoints=[{"line": 1}])
    assert asked == Concern(
        None, None, {"source": {"path": "/srv/shop/a.py", "name": "a.py"}, "breakpoints": [{"line": 1}]}
    )
    asked = session.ask("gotoTargets", source={"path": r"C:\shop\a.py"}, line=3)
    assert asked == Concern(None, None, {"source": {"path": "/srv/shop/a.py"}, "line": 3})


def test_a_stack_is_shown(session: Session) -> None:
    body = {
        "stackFrames": [
            {"id": 201, "name": "view", "line": 3, "source": {"path": "/srv/shop/a.py", "sourceReference": 0}},
            {"id": 202, "name": "call", "line": 4, "source": {"path": "/usr/lib/a.py", "sourceReference": 0}},
            {"id": 203, "name": "made", "line": 1, "source": {"path": "<string>", "sourceReference": 7}},
            {"id": 204, "name": "none", "line": 1, "source": {"path": "<frozen os>", "sourceReference": 0}},
            {"id": 205, "name": "null", "line": 1, "source": None},
        ],
        "totalFrames": 5,
    }
    before = repr(body)
    shown = session.answer("stackTrace", body)
    assert shown["stackFrames"][0]["id"] == session.frame
    assert [session.ids.meant("frame", frame["id"]).id for frame in shown["stackFrames"]] == [201, 202, 203, 204, 205]  # type: ignore[union-attr]
    assert [frame["source"] for frame in shown["stackFrames"]] == [
        {"path": r"C:\shop\a.py", "sourceReference": 0},
        {"path": r"\usr\lib\a.py", "sourceReference": session.source},
        {"path": "<string>", "sourceReference": session.code},
        {"path": "<frozen os>", "sourceReference": 0},
        None,
    ]
    assert shown["totalFrames"] == 5
    assert repr(body) == before
    assert session.answer("stackTrace", body) == shown


def test_references_are_shown(session: Session) -> None:
    body = {"variables": [{"name": "a", "variablesReference": 301}, {"name": "b", "variablesReference": 0}]}
    assert session.answer("variables", body)["variables"] == [
        {"name": "a", "variablesReference": session.variables},
        {"name": "b", "variablesReference": 0},
    ]
    shown = session.answer("evaluate", {"result": "[]", "variablesReference": 302})
    assert session.ask("variables", variablesReference=shown["variablesReference"]) == Concern(
        "w1", 12, {"variablesReference": 302}
    )
    shown = session.answer("scopes", {"scopes": [{"name": "Locals", "variablesReference": 303}]})
    assert session.ids.meant("variables", shown["scopes"][0]["variablesReference"]).id == 303  # type: ignore[union-attr]
    shown = session.answer("stepInTargets", {"targets": [{"id": 0, "label": "f"}, {"id": 1, "label": "g"}]})
    assert shown["targets"][0]["id"] == session.target


def test_an_exception_is_shown_with_the_clients_paths(session: Session) -> None:
    trace = '  File "/srv/shop/a.py", line 3, in view\n    x\n  File "/usr/lib/b.py", line 4, in f\n'
    shown = session.answer(
        "exceptionInfo", {"exceptionId": "E", "details": {"source": "/srv/shop/a.py", "stackTrace": trace}}
    )
    assert shown["details"]["source"] == r"C:\shop\a.py"
    assert shown["details"]["stackTrace"] == (
        '  File "C:\\shop\\a.py", line 3, in view\n    x\n  File "\\usr\\lib\\b.py", line 4, in f\n'
    )
    # Only the files of frames that were shown can be read.
    assert session.ids.known(OWN, "source", "/usr/lib/b.py") is None


def event(name: str, /, **body: Any) -> dict[str, Any]:
    return {"seq": 9, "type": "event", "event": name, "body": body}


def test_a_stop_is_the_requests_own(session: Session) -> None:
    breakpoint_number = session.ids.given(OWN, "breakpoint", "k")
    session.ids.also(breakpoint_number, "w1", 4)
    stop = event(
        "stopped", reason="breakpoint", threadId=101, hitBreakpointIds=[4, 5], allThreadsStopped=True,
        stagedoor={"request": 12, "session": "s1"},
    )  # fmt: skip
    assert mapped_event(stop, session.outward()) == {
        "type": "event",
        "event": "stopped",
        "body": {
            "reason": "breakpoint",
            "threadId": session.thread,
            "hitBreakpointIds": [breakpoint_number],  # 5 is another developer's, in the same line
            "allThreadsStopped": False,
        },
    }


EVENTS_THAT_STAY = {
    "a thread of nobody's": (event("stopped", threadId=101, reason="pause"), None),
    "a thread without a number": (event("continued", allThreadsContinued=True), 12),
    "a breakpoint that is another session's": (event("breakpoint", breakpoint={"id": 5}), None),
    "a breakpoint that is none": (event("breakpoint", breakpoint=[]), None),
    "a session": (event("initialized"), 12),
    "the end of a worker": (event("terminated"), 12),
    "the exit of a worker": (event("exited", exitCode=0), 12),
    "the process": (event("process", name="x", systemProcessId=1), 12),
    "a session on the developer's machine": (event("debugpyAttach", request="launch"), 12),
    "the ports of the adapter": (event("debugpySockets", sockets=[]), 12),
    "a wish for keyboard input": (event("pydevdInputRequested"), 12),
    "what nobody knows": (event("future"), 12),
    "no body": ({"seq": 1, "type": "event", "event": "stopped"}, 12),
}


@pytest.mark.parametrize(("message", "request_number"), EVENTS_THAT_STAY.values(), ids=EVENTS_THAT_STAY.keys())
def test_an_event_that_no_client_gets(session: Session, message: dict[str, Any], request_number: int | None) -> None:
    before = len(session.ids)
    assert mapped_event(message, session.outward(request=request_number)) is None
    assert len(session.ids) == before


def test_events_that_a_client_gets(session: Session) -> None:
    number = session.ids.given(OWN, "breakpoint", "k")
    session.ids.also(number, "w1", 4)
    outward = session.outward()

    def body(name: str, /, **given_body: Any) -> Any:
        return mapped_event(event(name, **given_body), outward)["body"]  # type: ignore[index]

    moved = body("breakpoint", reason="changed", breakpoint={"id": 4, "line": 3, "source": {"path": "/srv/shop/a.py"}})
    assert moved["breakpoint"] == {"id": number, "line": 3, "source": {"path": r"C:\shop\a.py"}}
    assert body("continued", threadId=101, allThreadsContinued=True) == {
        "threadId": session.thread, "allThreadsContinued": False,
    }  # fmt: skip
    assert body("thread", reason="started", threadId=101)["threadId"] == session.thread
    module = body("module", reason="new", module={"id": 0, "name": "a", "path": "/srv/shop/a.py"})["module"]
    assert module["path"] == r"C:\shop\a.py"
    assert session.ids.meant("module", module["id"]) is not None
    assert body("output", output="x", stagedoor={"session": "s1"}) == {"output": "x"}


kinds: st.SearchStrategy[Kind] = st.sampled_from(["thread", "frame", "variables", "source", "goto", "step_in"])
things = st.lists(st.tuples(kinds, st.integers(0, 3), st.integers(1, 3)), max_size=12)


@given(things, things, st.integers(-1, 12), st.integers(-1, 12), st.sampled_from(sorted(UNKNOWN)))
def test_a_session_never_reaches_what_only_another_has(
    mine: list[tuple[Kind, int, int]], others: list[tuple[Kind, int, int]], number: int, target: int, command: str
) -> None:
    ids, other = IdTable(), IdTable()
    for thing in mine:
        ids.given("mine", *thing)
    for thing in others:
        other.given("other", *thing)
    numbers = {"threadId": number, "frameId": number, "variablesReference": number, "sourceReference": number}
    arguments = UNKNOWN[command] | numbers | {"targetId": target, "source": {"sourceReference": number}}
    verdict = judged({"seq": 1, "type": "request", "command": command, "arguments": arguments}, Phase.CONFIGURED)
    assert not isinstance(verdict, Refuse)
    concern = mapped_arguments(verdict.row, verdict.arguments, ids.meant, PATHS.to_server)
    if isinstance(concern, Concern):
        assert concern.worker == "mine" or (concern.worker is None and number == 0 and not verdict.row.goes_on)
        assert concern.worker is None or concern.request in {request for *_, request in mine}


VALUES: list[Any] = [None, "x", 0, True, [], {}, [None], [1], {"source": 1}, {"id": {}, "path": 1}]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_answer_breaks_it(session: Session, command: str, value: Any) -> None:
    for key in ("stackFrames", "scopes", "variables", "targets", "details", "variablesReference"):
        session.answer(command, {key: value})
        session.answer(command, {key: [value]})
    for name in EVENTS_OF_WORKERS:
        for key in ("threadId", "hitBreakpointIds", "breakpoint", "module", "source", "variablesReference"):
            mapped_event(event(name, **{key: value}), session.outward())
