"""What a session makes the gatekeeper keep is bounded: one that is stuck, or asks without end, ends alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import Start
from stagedoor.access.passes import make_passes
from stagedoor.dap import wire
from stagedoor.dap.client import DapClient, RequestFailed
from stagedoor.gatekeeper.patience import Patience
from stagedoor.gatekeeper.tally import Tally
from support.scripted import RunningGatekeeper, ScriptedDebugger, ScriptedWorker, wait_console
from support.servers import ALLOWED
from support.waiting import wait_for

ANNA = "127.0.0.7"
MIB = 2**20


@pytest.fixture
def start(start: Start) -> Start:
    return partial(start, allow=(ALLOWED, ANNA))


def anna(gatekeeper: RunningGatekeeper) -> DapClient:
    return gatekeeper.attach(ANNA, stagedoorToken=make_passes("anna", gatekeeper.window.token).attach)


def joined(gatekeeper: RunningGatekeeper, **script: Any) -> tuple[DapClient, ScriptedWorker, ScriptedDebugger]:
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    debugger = worker.bring_debugger(**script)
    wait_console(session, "joined")
    return session, worker, debugger


def paused(session: DapClient, debugger: ScriptedDebugger) -> int:
    debugger.begin(1)
    debugger.stop(1)
    return int(session.stopped()["threadId"])


@contextmanager
def growing_at_most(mebibytes: int) -> Iterator[None]:
    """This process, of which the gatekeeper is a thread, never needs so much more than before."""
    status, resettable = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not resettable.exists():
        pytest.skip("only Linux tells the highest memory use since a moment")

    def kibibytes(name: str) -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))

    resettable.write_text("5")
    before = kibibytes("VmRSS")
    yield
    grown = (kibibytes("VmHWM") - before) / 1024
    assert grown < mebibytes, f"it grew by {grown:.0f} MiB"


def important(session: DapClient) -> list[str]:
    outputs = [event["body"] for event in session.events if event["event"] == "output"]
    return [body["output"] for body in outputs if body["category"] == "important"]


def wait_ended(session: DapClient) -> None:
    wait_for(lambda: any("this session was ended" in line for line in important(session)), "the sentence", timeout=10)


def test_a_client_that_floods_a_worker_that_does_not_read_ends_alone(start: Start) -> None:
    gatekeeper = start()
    session, worker, debugger = joined(gatekeeper, last="stackTrace", bodies=FRAMES)
    other = anna(gatekeeper)
    (frame,) = session.stack(paused(session, debugger))
    expression = "x" * 900_000
    with growing_at_most(120), suppress(OSError):
        for _ in range(400):
            session.send("evaluate", {"frameId": frame["id"], "expression": expression})
        wait_ended(session)
    wait_ended(session)
    assert "more than 32 MiB would have been kept for it" in important(session)[0]
    assert other.request("threads")["threads"]
    wait_for(lambda: [each["owner"] for each in gatekeeper.status()["sessions"]] == ["anna"], "the other one only")
    # Whoever attaches again does not begin with what was left.
    with growing_at_most(120):
        gatekeeper.attach()
    assert worker.pid


FRAMES = {"stackTrace": {"stackFrames": [{"id": 900, "name": "view", "line": 3, "column": 1}]}}


def test_a_client_that_does_not_read_is_not_kept_more_for_than_that(start: Start) -> None:
    gatekeeper = start()
    worker = gatekeeper.worker()
    body = {"category": "stdout", "output": "x" * 100_000, "stagedoor": {"request": 1, "session": "s1"}}
    with closing(socket.create_connection(("127.0.0.1", gatekeeper.port), 5, (ALLOWED, 0))) as stuck:
        for seq, message in enumerate(attaching(gatekeeper), 1):
            stuck.sendall(wire.encode(message, seq))
            wait_for(lambda seq=seq: received(stuck) >= seq, "its answer")
        debugger = worker.bring_debugger()
        debugger.wait_asked("configurationDone")
        other = anna(gatekeeper)
        debugger.begin(1)
        with growing_at_most(120):
            for _ in range(3000):
                debugger.send_event("output", body)
            wait_for(
                lambda: [each["owner"] for each in gatekeeper.status()["sessions"]] == ["anna"], "it to end", timeout=10
            )
        other.request("threads")


def attaching(gatekeeper: RunningGatekeeper) -> list[wire.Message]:
    return [
        wire.request("initialize", {"adapterID": "debugpy"}),
        wire.request("attach", {"stagedoorToken": gatekeeper.window.token}),
        wire.request("configurationDone", {}),
    ]


def received(connection: socket.socket) -> int:
    """How many messages have come after which the next may be sent."""
    data = connection.recv(65536, socket.MSG_PEEK)
    return data.count(b'"response"') + data.count(b'"initialized"') - (data.count(b'"attach"') > 0)


def test_breakpoints_are_kept_up_to_that_too(start: Start) -> None:
    gatekeeper = start()
    session, _, _ = joined(gatekeeper, mute=("setBreakpoints",))
    other = anna(gatekeeper)
    with growing_at_most(150), suppress(OSError):
        for number in range(60):
            lines = [{"line": line} for line in range(1, 10_000)]
            session.send("setBreakpoints", {"source": {"path": f"/srv/{number}.py"}, "breakpoints": lines})
        wait_ended(session)
    other.request("threads")


def test_what_changes_while_a_worker_sets_breakpoints_is_told_once_when_it_has(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "views.py"
    file.write_text("pass\n" * 100)
    gatekeeper = start(patience=Patience(confirmed=0.01, idle=None))
    session, _, debugger = joined(gatekeeper, mute=("setBreakpoints",))
    for line in range(1, 51):
        session.set_breakpoints(file, [line])
    assert debugger.commands().count("setBreakpoints") == 1
    debugger.answer("setBreakpoints", 0, {"breakpoints": [{"id": 1, "verified": True, "line": 1}]})
    wait_for(lambda: debugger.commands().count("setBreakpoints") == 2, "the last ones")
    debugger.answer("setBreakpoints", 1, {"breakpoints": [{"id": 50, "verified": True, "line": 50}]})
    event = session.wait_event("breakpoint", lambda body: body["breakpoint"]["verified"])
    assert event["breakpoint"]["line"] == 50
    session.request("threads")
    assert debugger.commands().count("setBreakpoints") == 2


@pytest.mark.parametrize("kind", ["frames", "modules"])
def test_numbers_without_end_end_a_session(start: Start, kind: str) -> None:
    gatekeeper = start(patience=Patience(kept=300_000, idle=None))
    session, _, debugger = joined(gatekeeper, mute=("stackTrace",))
    other = anna(gatekeeper)
    thread = paused(session, debugger)
    for number in range(40):
        if kind == "modules":
            for each in range(20):
                module = {"id": number * 20 + each, "name": "m", "path": f"/srv/{number}-{each}.py"}
                debugger.send_event("module", {"reason": "new", "module": module})
            continue
        frames = [{"id": 1000 + number * 20 + each, "name": "f", "line": 1, "column": 1} for each in range(20)]
        session.send("stackTrace", {"threadId": thread})
        asked = number + 1
        if not wait_asked_or_ended(session, debugger, asked):
            break
        debugger.answer("stackTrace", number, {"stackFrames": frames})
    wait_ended(session)
    if kind == "frames":
        other.request("threads")


def wait_asked_or_ended(session: DapClient, debugger: ScriptedDebugger, asked: int) -> bool:
    wait_for(lambda: important(session) or debugger.commands().count("stackTrace") >= asked, "the request, or the end")
    return not important(session)


def test_places_to_jump_to_are_the_last_few(start: Start) -> None:
    gatekeeper = start()
    session, _, debugger = joined(gatekeeper)
    thread = paused(session, debugger)
    targets = [
        session.request("gotoTargets", {"source": {"path": "/srv/a.py"}, "line": line})["targets"][0]["id"]
        for line in range(1, 40)
    ]
    session.request("goto", {"threadId": thread, "targetId": targets[-1]})
    with pytest.raises(RequestFailed, match="not one that this session has asked for"):
        session.request("goto", {"threadId": thread, "targetId": targets[0]})


def test_it_is_over_once_and_stays_so() -> None:
    tally, over, gauge = Tally(100), [], [0]
    tally.exceeded = lambda: over.append(tally.total)
    tally.measure(lambda: gauge[0])
    tally.keep(60)
    gauge[0] = 40
    assert tally.check()
    tally.keep(1)
    tally.keep(50)
    tally.let_go(111)
    assert not tally.check()
    assert over == [101]
