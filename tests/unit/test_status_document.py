"""What the documents of ``--json`` hold is what their docstrings say: scripts are written by these."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from stagedoor.cli.report import window_document
from stagedoor.cli.status import gatekeeper_status
from stagedoor.dap.client import RequestFailed
from stagedoor.settings.settings import Settings
from support.scripted import RunningGatekeeper, some_window, wait_console
from support.servers import ALLOWED
from support.waiting import wait_for


def described(function: Any) -> dict[str, set[str]]:
    """The rows of a docstring's table by their names, and all names that each has."""
    table = re.split(r"^=+ =+$", inspect.cleandoc(function.__doc__), flags=re.MULTILINE)[1]
    rows = re.split(r"^(?=``)", table, flags=re.MULTILINE)
    names = [re.findall(r"``(\w+)``", row) for row in rows if row.strip()]
    return {first: set(rest) for first, *rest in names}


@pytest.mark.parametrize("window", [None, some_window()], ids=["closed", "open"])
def test_the_windows_document(window: Any) -> None:
    document = window_document(Settings.read(switch="memory", environ={}), window)
    assert set(document) == set(described(window_document))


@pytest.fixture
def status() -> dict[str, Any]:
    with RunningGatekeeper() as gatekeeper:
        worker = gatekeeper.worker()
        session = gatekeeper.attach()
        debugger = worker.bring_debugger()
        wait_console(session, "joined")
        debugger.begin(1)
        debugger.begin(2, label="GET /other")
        debugger.stop(1)
        session.stopped()
        worker.say({"paused": {"thread": 1, "request": "GET /view", "place": "views.py:12"}})
        with pytest.raises(RequestFailed):
            gatekeeper.attach(stagedoorToken="a wrong one")
        wait_for(lambda: gatekeeper.status()["workers"][0]["paused"], "the request to be known as paused")
        found = gatekeeper.status()
        assert found["sessions"][0]["address"] == ALLOWED
        return found


def test_the_gatekeepers_status(status: dict[str, Any]) -> None:
    rows = described(gatekeeper_status)
    assert set(status) == set(rows)
    [session] = status["sessions"]
    assert set(session) | set(session["requests"][0]) == rows["sessions"]
    [worker], [refused] = status["workers"], status["refused"]
    assert set(worker) | set(worker["paused"][0]) == rows["workers"]
    assert set(refused) == rows["refused"]


def test_a_request_has_a_place_while_it_is_paused(status: dict[str, Any]) -> None:
    paused, running = status["sessions"][0]["requests"]
    assert (paused["request"], paused["paused"], paused["place"]) == ("GET /view", True, "views.py:12")
    assert (running["request"], running["paused"], running["place"]) == ("GET /other", False, None)
    assert 0 <= paused["seconds"] < 60
