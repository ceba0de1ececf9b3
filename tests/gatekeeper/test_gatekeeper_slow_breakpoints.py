"""A worker that takes long to set breakpoints, which pydevd does where there are many in a long function."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import Start
from stagedoor.dap.client import DapClient
from stagedoor.gatekeeper.patience import Patience
from support.scripted import RunningGatekeeper, console, wait_console
from support.waiting import wait_for

PID = os.getpid()
SLOW = Patience(answer=0.3, slow=0.05, confirmed=0.01, idle=None)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "views.py"
    path.write_text("pass\n" * 50)
    return str(path)


def attached(gatekeeper: RunningGatekeeper, *files: str) -> DapClient:
    session = gatekeeper.connect()
    session.attach({file: [1] for file in files}, {"stagedoorToken": gatekeeper.window.token})
    return session


def said(session: DapClient) -> list[str]:
    return [line for line in console(session) if "still setting" in line]


def test_it_is_said_once_and_the_session_goes_on(start: Start, file: str) -> None:
    gatekeeper = start(patience=SLOW)
    worker = gatekeeper.worker()
    session = attached(gatekeeper)
    debugger = worker.bring_debugger(mute=("setBreakpoints",))
    wait_console(session, "joined")
    (answer,) = session.set_breakpoints(file, [3])
    assert answer["verified"] is False
    expected = f"Stagedoor: worker {PID} is still setting breakpoints in {file}."
    assert wait_console(session, "still setting").startswith(expected)
    session.set_breakpoints(file, [4])
    session.request("threads")
    debugger.begin(1)
    debugger.stop(1)
    session.request("stackTrace", {"threadId": session.stopped()["threadId"]})
    debugger.answer("setBreakpoints")
    wait_for(lambda: debugger.commands().count("setBreakpoints") == 2, "what has changed meanwhile")
    debugger.answer("setBreakpoints", 1, {"breakpoints": [{"id": 1, "verified": True, "line": 4}]})
    assert session.wait_event("breakpoint")["breakpoint"]["verified"] is True
    assert 1 <= len(said(session)) <= 2  # once for each time it was set


def test_a_worker_that_joins_slowly_is_not_given_up_or_blamed(start: Start, file: str) -> None:
    gatekeeper = start(patience=SLOW)
    worker = gatekeeper.worker()
    session = attached(gatekeeper, file)
    debugger = worker.bring_debugger(mute=("setBreakpoints", "configurationDone"))
    wait_console(session, "still setting")
    wait_for(lambda: "configurationDone" in debugger.commands(), "all of it to be sent")
    # Longer than the debugger has for any other answer.
    with pytest.raises(AssertionError):
        wait_for(lambda: any("could not" in line for line in console(session)), "a complaint", timeout=0.6)
    debugger.answer("setBreakpoints")
    debugger.answer("configurationDone")
    wait_console(session, "joined")
    assert len(said(session)) == 1


def test_one_that_never_sets_them_is_given_up_in_the_end(start: Start, file: str) -> None:
    gatekeeper = start(patience=Patience(setting=0.2, slow=0.05, idle=None))
    worker = gatekeeper.worker()
    session = attached(gatekeeper, file)
    worker.bring_debugger(mute=("setBreakpoints",)).wait_closed()
    assert "it has not set its breakpoints within 0.2 s" in wait_console(session, "could not")


def test_only_the_file_that_it_is_at_is_named(start: Start, file: str, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text("pass\n")
    gatekeeper = start(patience=SLOW)
    worker = gatekeeper.worker()
    session = attached(gatekeeper, file, str(other))
    debugger = worker.bring_debugger(mute=("setBreakpoints",))
    wait_console(session, f"breakpoints in {file}")
    debugger.answer("setBreakpoints", 0)
    wait_console(session, f"breakpoints in {other}")
    debugger.answer("setBreakpoints", 1)
    wait_console(session, "joined")
    assert len(said(session)) == 2


def test_a_worker_that_sets_them_at_once_says_nothing(start: Start, file: str) -> None:
    gatekeeper = start(patience=Patience(slow=0.3, idle=None))
    worker = gatekeeper.worker()
    session = attached(gatekeeper, file)
    worker.bring_debugger()
    wait_console(session, "joined")
    with pytest.raises(AssertionError):
        wait_for(lambda: said(session), "a line", timeout=0.5)
