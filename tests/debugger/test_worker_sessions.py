"""A worker and the sessions of its gatekeeper, which the test plays: whose request is debugged where, and what is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from stagedoor.dap.rules import Rule, encode
from support.control_side import ControlSide
from support.gatekeeper_side import FILE
from support.sessions_site import line_of
from support.waiting import wait_for

ANNAS, BENS, THIRD = "127.0.0.2", "127.0.0.3", "127.0.0.4"


def rules(*sessions: str) -> Mapping[str, list[dict[str, object]]]:
    entries: list[dict[str, object]] = [
        {"line": line_of("visit"), "condition": encode(Rule(session, key="a"))} for session in sessions
    ]
    return {FILE: entries}


@pytest.fixture
def side(tmp_path: Path) -> Iterator[ControlSide]:
    with closing(ControlSide(tmp_path)) as side:
        side.breakpoints = dict(rules("s1", "s2"))
        yield side


def state(header: str | None) -> str:
    return str(header).partition("client=")[2]


def test_a_request_is_debugged_in_its_owners_session_and_in_no_other(side: ControlSide) -> None:
    assert state(side.workers[0].get("/visit?1", ANNAS).header) == "waiting"
    assert side.wait_for("hello")["hello"]["cwd"]
    side.owners_are({ANNAS: "s1", BENS: "s2"})
    mine = side.workers[0].start_get("/visit?2", ANNAS)
    wait_for(lambda: side.client, "the debugger")
    assert side.client is not None
    stop = side.client.stopped()
    assert stop["stagedoor"]["session"] == "s1"
    (begun,) = [event["body"] for event in side.client.events if event["event"] == "stagedoorRequest"]
    assert begun["label"] == "GET /visit?2"
    paused = side.wait_for("paused")["paused"]
    assert (paused["session"], paused["number"]) == ("s1", stop["stagedoor"]["request"])
    theirs = side.workers[1].start_get("/visit?3", BENS)
    other = side.client.stopped()
    assert other["stagedoor"]["session"] == "s2"
    assert state(side.workers[2].get("/visit?4", THIRD).header).startswith("waiting; attached=")
    for each in (stop, other):
        side.client.resume(each["threadId"])
    assert (mine.result(5).text, theirs.result(5).text) == ("5", "7")
    assert state(mine.result(5).header) == "attached"
    assert {each["resumed"]["session"] for each in (side.wait_for("resumed"), side.wait_for("resumed", 2))} == {
        "s1",
        "s2",
    }
    # Whoever is for everybody gets the rest, and nobody's own.
    side.owners_are({ANNAS: "s1", "*": "s2"})
    third = side.workers[2].start_get("/visit?5", THIRD)
    stop = side.client.stopped()
    assert stop["stagedoor"]["session"] == "s2"
    side.client.resume(stop["threadId"])
    third.result(5)


def test_the_session_of_a_request_that_waits_for_the_join_may_go(side: ControlSide) -> None:
    side.workers[0].get("/visit?1", ANNAS)
    side.wait_for("hello")
    side.owners_are({"anna": "s1"})
    # A pass's session is no address's.
    assert state(side.workers[0].get("/visit?1", ANNAS).header).startswith("waiting; attached=")
    assert not side.all("join")


def test_pauses_are_shared_and_what_runs_past_is_said_to_whom_it_concerns(tmp_path: Path) -> None:
    with closing(ControlSide(tmp_path, threads=3)) as side:
        side.breakpoints = dict(rules("s1", "s2"))
        side.workers[0].get("/visit?1", ANNAS)
        side.wait_for("hello")
        side.owners_are({ANNAS: "s1", BENS: "s2"})
        mine = side.workers[0].start_get("/visit?1", ANNAS)
        wait_for(lambda: side.client, "the debugger")
        assert side.client is not None
        first = side.client.stopped()
        assert state(side.workers[1].get("/visit?2", ANNAS).header).startswith("busy")
        said = side.wait_for("console")
        assert said["session"] == "s1"
        assert said["important"] is True
        theirs = side.workers[1].start_get("/visit?3", BENS)
        second = side.client.stopped()
        assert second["stagedoor"]["session"] == "s2"
        side.client.request("stagedoorLeave", {"session": "s1"})
        assert mine.result(5).text == "3"
        assert not theirs.done()
        side.client.resume(second["threadId"])
        assert theirs.result(5).text == "7"
        assert first["stagedoor"]["session"] == "s1"
