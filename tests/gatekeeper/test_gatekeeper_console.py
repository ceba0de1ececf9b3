"""What a developer is told, and what of it an IDE has to show at once: lines of the category "important"."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from conftest import Start
from stagedoor.access.passes import make_passes
from stagedoor.dap.client import DapClient
from stagedoor.gatekeeper.patience import Patience
from stagedoor.window.document import dump_window
from stagedoor.window.window import Window
from support.scripted import (
    RunningGatekeeper,
    ScriptedDebugger,
    ScriptedWorker,
    console,
    flooding,
    some_window,
    stuck_client,
    wait_console,
)
from support.servers import ALLOWED
from support.waiting import wait_for

ANNA, BEN = "127.0.0.7", "127.0.0.8"


@pytest.fixture
def start(start: Start) -> Start:
    return lambda *positional, **keywords: start(*positional, **({"allow": (ALLOWED, ANNA, BEN)} | keywords))


def by_pass(gatekeeper: RunningGatekeeper, name: str, source: str) -> DapClient:
    return gatekeeper.attach(source, stagedoorToken=make_passes(name, gatekeeper.window.token).attach)


class Two:
    """Anna, who has requests paused, and Ben, who has none."""

    def __init__(self, gatekeeper: RunningGatekeeper, paused: int = 1) -> None:
        self.gatekeeper = gatekeeper
        self.worker: ScriptedWorker = gatekeeper.worker()
        self.anna = by_pass(gatekeeper, "anna", ANNA)
        self.ben = by_pass(gatekeeper, "ben", BEN)
        self.debugger: ScriptedDebugger = self.worker.bring_debugger()
        wait_console(self.anna, "joined")
        for number in range(1, paused + 1):
            self.debugger.begin(number, "s1")
            self.debugger.stop(number, "s1", thread=number)
            self.anna.wait_event("stopped", lambda body: True)
        wait_for(
            lambda: sum(each["paused"] for each in gatekeeper.status()["sessions"][0]["requests"]) == paused,
            "Anna's requests to be paused",
        )

    def important(self, session: DapClient) -> list[str]:
        return console(session, "important")


def opened_long_ago() -> Window:
    window = some_window(timedelta(minutes=30))
    return replace(window, opened_at=window.opened_at - timedelta(hours=1))


@pytest.mark.parametrize(
    ("paused", "then"), [(1, "your paused request then runs on"), (2, "your 2 paused requests then run on")]
)
def test_that_the_window_ends_soon_must_be_seen_by_whoever_has_something_paused(
    start: Start, paused: int, then: str
) -> None:
    two = Two(start(opened_long_ago()), paused)
    moved = replace(two.gatekeeper.window, expires_at=some_window(timedelta(seconds=300.4)).expires_at)
    two.worker.say({"window": dump_window(moved)})
    assert wait_console(two.anna, "ends in") == f"Stagedoor: The window ends in 5m; {then}."
    assert wait_console(two.ben, "ends in") == "Stagedoor: The window ends in 5m."
    assert len(two.important(two.anna)) == 1
    assert two.important(two.ben) == []


def test_coming_and_going_and_joining_are_no_notifications(start: Start) -> None:
    two = Two(start())
    everybody = two.gatekeeper.attach()
    wait_console(two.anna, "everybody's session has attached.")
    everybody.disconnect()
    wait_console(two.anna, "everybody's session has detached.")
    for session in (two.anna, two.ben, everybody):
        assert len(console(session)) >= 2
        assert two.important(session) == []


def test_a_pause_that_ends_with_its_worker_must_be_seen_by_its_developer(start: Start) -> None:
    two = Two(start(), paused=2)
    two.debugger.run_on(2, "s1", thread=2)
    two.anna.wait_event("continued", lambda body: True)
    two.debugger.close()
    sentence = f"Stagedoor: GET /view (worker {two.worker.pid}) is no longer paused: its worker's debugger has ended."
    assert wait_console(two.anna, "no longer") == sentence
    two.anna.request("threads")
    assert two.important(two.anna) == [sentence]
    two.ben.request("threads")
    assert two.important(two.ben) == []


def test_that_a_session_ends_must_be_seen(start: Start) -> None:
    two = Two(start())
    two.gatekeeper.ask({"close": {}})
    for session in (two.anna, two.ben):
        wait_console(session, "closed")
        assert two.important(session) == ["Stagedoor: The window was closed. Everything runs on as before."]
        # They have not left each other: it is over for all.
        assert not any("has detached" in line for line in console(session))


@pytest.mark.parametrize("allow", [(ALLOWED, ANNA), ()], ids=["some addresses", "none, as with tokens alone"])
def test_whose_requests_are_debugged_is_true_whatever_matches(start: Start, allow: tuple[str, ...]) -> None:
    """The gatekeeper does not know which requests match."""
    gatekeeper = start(allow=allow)
    said = wait_console(gatekeeper.attach(), "window opened by")
    assert "All that match and are no other developer's are debugged (allowed addresses: " in said
    assert ("nobody" in said) == (not allow)
    hers = wait_console(by_pass(gatekeeper, "anna", ANNA), "window opened by")
    assert "Requests with the pass of anna are debugged; waiting for the first." in hers


def test_what_cuts_a_client_off_is_told_to_it_and_to_the_others(start: Start) -> None:
    gatekeeper = start()
    worker = gatekeeper.worker()
    with closing(stuck_client(gatekeeper)) as connection:
        anna = by_pass(gatekeeper, "anna", ANNA)
        connection.sendall(b"Content-Length: nonsense\r\n\r\n")
        said = b""
        while data := connection.recv(65536):
            said += data
    assert b'"category":"important","output":"Stagedoor: This session is cut off. ' in said.replace(b'": "', b'":"')
    why = "everybody's session was cut off, because its client sent what is no DAP"
    assert wait_console(anna, "cut off") == f"Stagedoor: {why}."
    wait_for(lambda: f"detached: {why}" in worker.audit(), "the record of it")


def test_the_others_hear_of_a_client_that_does_not_read(start: Start) -> None:
    gatekeeper = start(patience=Patience(kept=2_000_000, idle=None))
    worker = gatekeeper.worker()
    with closing(stuck_client(gatekeeper)):
        debugger = worker.bring_debugger()
        debugger.wait_asked("configurationDone")
        anna = by_pass(gatekeeper, "anna", ANNA)
        debugger.begin(1)
        flooding(debugger, megabytes=30)
        assert wait_console(anna, "cut off") == (
            "Stagedoor: everybody's session was cut off, because more than 1 MiB would have been kept for it."
        )
    assert console(anna, "important") == []
