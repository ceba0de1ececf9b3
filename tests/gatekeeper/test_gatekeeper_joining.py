"""A worker that is being set up while something changes: each step of that is held back in turn."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from conftest import Start
from stagedoor.access.passes import make_passes
from stagedoor.dap import rules
from stagedoor.dap.client import DapClient
from stagedoor.gatekeeper.patience import Patience
from support.scripted import RunningGatekeeper, ScriptedDebugger, ScriptedWorker, console, wait_console
from support.servers import ALLOWED
from support.waiting import wait_for

ANNA = "127.0.0.7"
PID = os.getpid()
STEPS = [
    "initialize", "attach", "setBreakpoints", "setFunctionBreakpoints", "stagedoorFilters", "setExceptionBreakpoints",
    "configurationDone",
]  # fmt: skip


@pytest.fixture
def gatekeeper(start: Start) -> RunningGatekeeper:
    patience = Patience(confirmed=0.05, seen=0.1, answer=30, idle=None)
    return partial(start, allow=(ALLOWED, ANNA))(patience=patience)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "views.py"
    path.write_text("pass\n" * 50)
    return str(path)


def everybody(gatekeeper: RunningGatekeeper, file: str) -> DapClient:
    session = gatekeeper.connect()
    session.attach({file: [1]}, {"stagedoorToken": gatekeeper.window.token}, ["uncaught"])
    return session


def anna(gatekeeper: RunningGatekeeper, file: str) -> DapClient:
    session = gatekeeper.connect(ANNA)
    session.attach({file: [2]}, {"stagedoorToken": make_passes("anna", gatekeeper.window.token).attach}, ["raised"])
    return session


def joining(gatekeeper: RunningGatekeeper, file: str, step: str) -> tuple[DapClient, ScriptedWorker, ScriptedDebugger]:
    """A worker that has not answered this step of its joining."""
    worker = gatekeeper.worker()
    session = everybody(gatekeeper, file)
    debugger = worker.bring_debugger(mute=(step,))
    debugger.wait_asked("configurationDone")
    return session, worker, debugger


def has(debugger: ScriptedDebugger, path: str) -> set[tuple[str, int]]:
    """Whose breakpoints it has in a file, and where."""
    told = [
        message["arguments"]["breakpoints"]
        for message in list(debugger.received)
        if message["command"] == "setBreakpoints" and message["arguments"]["source"]["path"] == path
    ]
    return {((rules.decode(each["condition"]) or ())[0].session, each["line"]) for each in (told[-1] if told else ())}


def filters(debugger: ScriptedDebugger) -> dict[str, list[str]]:
    told = [message["arguments"] for message in list(debugger.received) if message["command"] == "stagedoorFilters"]
    return {key: each["filters"] for key, each in told[-1]["sessions"].items()} if told else {}


def joined_lines(session: DapClient) -> list[str]:
    return [line for line in console(session) if " joined for " in line]


@pytest.mark.parametrize("step", STEPS)
def test_what_changes_meanwhile_is_not_missed(
    gatekeeper: RunningGatekeeper, file: str, tmp_path: Path, step: str
) -> None:
    other = tmp_path / "other.py"
    other.write_text("pass\n" * 50)
    session, _, debugger = joining(gatekeeper, file, step)
    session.set_breakpoints(file, [7, 8])
    session.set_breakpoints(other, [3])
    session.request("setExceptionBreakpoints", {"filters": ["userUnhandled"]})
    hers = anna(gatekeeper, file)
    session.set_breakpoints(other, [])
    session.set_breakpoints(file, [9])
    assert not joined_lines(session)
    debugger.unmute()
    wait_console(session, "joined")
    wait_for(lambda: has(debugger, file) == {("s1", 9), ("s2", 2)}, "all of the file's breakpoints")
    wait_for(lambda: has(debugger, str(other)) == set(), "none in the other")
    wait_for(lambda: filters(debugger) == {"s1": ["userUnhandled"], "s2": ["raised"]}, "whose filters are which")
    wait_console(hers, "joined")
    assert len(joined_lines(session)) == len(joined_lines(hers)) == 1


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_that_ends_meanwhile_leaves_nothing(gatekeeper: RunningGatekeeper, file: str, step: str) -> None:
    session, worker, debugger = joining(gatekeeper, file, step)
    session.set_breakpoints(file, [5])
    debugger.close()
    wait_for(lambda: not gatekeeper.status()["workers"][0]["joined"], "the debugger to be forgotten")
    (answer,) = session.set_breakpoints(file, [6])
    assert (answer["verified"], answer["message"]) == (False, "Waits for the first of your requests.")
    assert len(session.request("threads")["threads"]) == 1
    again = worker.bring_debugger("GET /again")
    wait_console(session, "joined for GET /again")
    assert has(again, file) == {("s1", 6)}
    assert not [line for line in console(session) if "could not" in line]
    assert len(joined_lines(session)) == 1


@pytest.mark.parametrize("step", STEPS)
def test_a_session_that_ends_meanwhile_leaves_nothing(gatekeeper: RunningGatekeeper, file: str, step: str) -> None:
    session, _, debugger = joining(gatekeeper, file, step)
    session.disconnect()
    debugger.wait_asked("disconnect")
    assert has(debugger, file) == set() or step == "setBreakpoints"
    debugger.unmute()
    wait_for(lambda: not gatekeeper.status()["sessions"], "nobody to be attached")
    assert not gatekeeper.status()["workers"][0]["attached"]
    again = anna(gatekeeper, file)
    wait_console(again, "joined")
    assert has(debugger, file) == {("s2", 2)}
    assert filters(debugger) == {"s2": ["raised"]}


@pytest.mark.parametrize("step", [step for step in STEPS if step != "configurationDone"])
def test_the_next_session_is_not_told_that_it_has_joined_before_it_has(
    gatekeeper: RunningGatekeeper, file: str, step: str
) -> None:
    worker = gatekeeper.worker()
    session = everybody(gatekeeper, file)
    debugger = worker.bring_debugger(mute=(step, "configurationDone"))
    debugger.wait_asked("configurationDone")
    session.disconnect()
    debugger.wait_asked("disconnect")
    again = anna(gatekeeper, file)
    wait_for(lambda: debugger.commands().count("configurationDone") == 2, "the worker to be set up anew")
    debugger.answer(step)
    debugger.answer("configurationDone")  # the first one: all of what the session had asked that has gone
    again.request("threads")
    assert not gatekeeper.status()["workers"][0]["attached"]
    assert not joined_lines(again)
    debugger.unmute()
    wait_console(again, "joined")
    assert has(debugger, file) == {("s2", 2)}
    assert len(joined_lines(again)) == 1


def test_a_worker_that_joins_for_a_session_that_has_just_gone_waits(gatekeeper: RunningGatekeeper, file: str) -> None:
    worker = gatekeeper.worker()
    session = everybody(gatekeeper, file)
    session.disconnect()
    wait_for(lambda: not gatekeeper.status()["sessions"], "nobody to be attached")
    debugger = worker.bring_debugger()
    wait_for(lambda: gatekeeper.status()["workers"][0]["joined"], "the debugger to join")
    assert debugger.commands() == []
    again = anna(gatekeeper, file)
    wait_console(again, "joined")
    assert has(debugger, file) == {("s2", 2)}


def test_two_who_attach_as_a_worker_joins_hear_of_it_once(gatekeeper: RunningGatekeeper, file: str) -> None:
    worker = gatekeeper.worker()
    debugger = worker.bring_debugger(mute=("configurationDone",))
    wait_for(lambda: gatekeeper.status()["workers"][0]["joined"], "the debugger to join")
    sessions = everybody(gatekeeper, file), anna(gatekeeper, file)
    assert debugger.wait_asked("configurationDone") == {}
    debugger.unmute()
    for each in sessions:
        wait_console(each, "joined")
        each.request("threads")
        assert len(joined_lines(each)) == 1
    assert has(debugger, file) == {("s1", 1), ("s2", 2)}


def test_whoever_goes_on_changing_what_is_set_does_not_keep_a_worker_from_being_set_up(
    gatekeeper: RunningGatekeeper, file: str
) -> None:
    session, _, debugger = joining(gatekeeper, file, "setExceptionBreakpoints")
    session.send("setExceptionBreakpoints", {"filters": ["raised"]})
    wait_for(lambda: debugger.commands().count("setExceptionBreakpoints") == 2, "the change, which is not answered")
    debugger.answer("setExceptionBreakpoints")
    wait_console(session, "joined")
