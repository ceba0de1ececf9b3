"""Sessions: the root that holds the window, and the child of each worker. Tests play the worker and its debugger."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import Start
from stagedoor.dap import client as dap_client
from stagedoor.dap import wire
from stagedoor.dap.client import DapClient, RequestFailed, WaitFailed
from stagedoor.gatekeeper.patience import Patience
from support.scripted import RunningGatekeeper, ScriptedDebugger, ScriptedWorker, console, wait_console
from support.servers import ALLOWED
from support.waiting import wait_for

OTHER_DEVELOPER = "127.0.0.7"
PID = os.getpid()


@pytest.fixture
def start(start: Start) -> Start:
    """Two developers are let in."""
    return partial(start, allow=(ALLOWED, OTHER_DEVELOPER))


def joined(gatekeeper: RunningGatekeeper, **script: Any) -> tuple[DapClient, ScriptedWorker, ScriptedDebugger]:
    """A root session, and a worker whose debugger has joined."""
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    worker.wait_told(lambda message: message.get("client") == "on", "the client")
    return session, worker, worker.bring_debugger(**script)


def opened(gatekeeper: RunningGatekeeper, session: DapClient) -> DapClient:
    """The child session that ``session`` was asked to open."""
    configuration = session.wait_reverse_request("startDebugging")["configuration"]
    opened = gatekeeper.connect()
    opened.attach(arguments=configuration)
    return opened


# Who holds the window


def test_a_second_client_is_told_who_holds_the_session(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    first = gatekeeper.attach()
    with pytest.raises(RequestFailed) as caught:
        gatekeeper.attach(OTHER_DEVELOPER)
    assert f"Stagedoor is busy: the session is held by {ALLOWED} since " in caught.value.sentence
    assert caught.value.body["error"]["showUser"] is True
    assert gatekeeper.status()["client"]["address"] == ALLOWED
    wait_for(lambda: any(line.startswith("refused: a second client") for line in worker.audit()), "the record of it")
    first.disconnect()
    gatekeeper.attach(OTHER_DEVELOPER)
    assert gatekeeper.status()["client"]["address"] == OTHER_DEVELOPER


def test_a_client_that_hangs_up_without_a_word_holds_nothing_any_more(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    gatekeeper.attach().close()
    worker.wait_told(lambda message: message.get("client") == "off", "the client to be gone")
    gatekeeper.attach(OTHER_DEVELOPER)


def test_a_client_that_stops_halfway_does_not_hold_the_window(start: Start) -> None:
    gatekeeper = start(patience=Patience(handshake=0.2, idle=None))
    halfway = gatekeeper.connect()
    halfway.request("initialize", {"adapterID": "debugpy"})
    attach = halfway.send("attach", {"stagedoorToken": gatekeeper.window.token})
    with pytest.raises(RequestFailed, match=r'"configurationDone" did not come within 0\.2 s of "attach"'):
        halfway.wait_response(attach)
    gatekeeper.attach(OTHER_DEVELOPER)


def test_a_worker_that_joins_while_the_client_is_welcomed_is_announced_once(start: Start) -> None:
    gatekeeper = start(patience=Patience(seen=0.3, idle=None))
    worker = gatekeeper.worker(deaf=True)
    session = gatekeeper.connect()
    session.request("initialize", {"adapterID": "debugpy", "supportsStartDebuggingRequest": True})
    attach = session.send("attach", {"stagedoorToken": gatekeeper.window.token})
    session.wait_event("initialized")
    session.request("configurationDone")
    worker.bring_debugger()
    session.wait_reverse_request("startDebugging")
    session.wait_response(attach)
    session.request("threads")  # All that was sent before its answer has come.
    with pytest.raises(WaitFailed):
        session.wait_reverse_request("startDebugging", timeout=0)


def test_the_attach_is_answered_when_the_workers_know_of_it(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    gatekeeper.attach()
    assert {"client": "on"} in worker.told


def test_a_worker_that_says_nothing_is_not_waited_for_for_long(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    gatekeeper = start(patience=Patience(seen=0.1, idle=None))
    worker = gatekeeper.worker()
    monkeypatch.setattr(worker, "say", lambda message: None)
    gatekeeper.attach()


def test_a_worker_that_comes_later_hears_of_the_client_at_once(gatekeeper: RunningGatekeeper) -> None:
    gatekeeper.attach()
    assert gatekeeper.worker().answer == {"welcome": {"client": "on"}}


def test_a_client_that_is_let_in_may_send_long_messages(gatekeeper: RunningGatekeeper) -> None:
    session = gatekeeper.attach()
    breakpoints = [{"line": number, "condition": "x" * 100} for number in range(1, 5000)]
    body = session.request("setBreakpoints", {"source": {"path": "/a.py"}, "breakpoints": breakpoints})
    assert len(body["breakpoints"]) == len(breakpoints)


def test_a_client_that_sends_too_long_a_message_is_told_before_it_is_cut_off(gatekeeper: RunningGatekeeper) -> None:
    session = gatekeeper.attach()
    session.send("setBreakpoints", {"source": {"path": "/a.py"}, "breakpoints": [{"line": 1}] * 150_000})
    assert "the largest that is accepted here is 1048576" in wait_console(session, "largest")
    session.wait_closed(2)


# The root session

ROOT_ANSWERS = {
    "threads": ("threads", None, {"threads": []}),
    "modules": ("modules", {}, {"modules": []}),
    "completions, while somebody types": ("completions", {"text": "a", "column": 2}, {"targets": []}),
    "what Visual Studio sets": ("setDebuggerProperty", {"debuggerProperties": {}}, {}),
    "breakpoints": (
        "setBreakpoints",
        {"source": {"path": "/a.py"}, "breakpoints": [{"line": 3}, {"line": 7}]},
        {"breakpoints": [{"id": 1, "verified": True, "line": 3}, {"id": 2, "verified": True, "line": 7}]},
    ),
    "function breakpoints": (
        "setFunctionBreakpoints",
        {"breakpoints": [{"name": "view"}]},
        {"breakpoints": [{"id": 1, "verified": True}]},
    ),
    "breakpoints that are none": ("setBreakpoints", {"source": {}, "breakpoints": 1}, {"breakpoints": []}),
    "no breakpoints": ("setBreakpoints", {"source": {"path": "/a.py"}, "breakpoints": []}, {"breakpoints": []}),
}

ROOT_REFUSALS = {
    "evaluate": ("evaluate", {"expression": "1"}, "Nothing is evaluated while no request is paused"),
    "evaluate in a frame": ("evaluate", {"expression": "1", "frameId": 1}, "Select a paused request below it"),
    "pause": ("pause", {"threadId": 1}, "other people's requests would stop too"),
    "continue": ("continue", {"threadId": 1}, "only announces the workers"),
    "stackTrace": ("stackTrace", {"threadId": 1}, "only announces the workers"),
    "launch": ("launch", {"program": "x"}, "the application runs already"),
    "attach": ("attach", {}, "Session is already started"),
    "initialize": ("initialize", {"adapterID": "debugpy"}, "Session is already started"),
    "configurationDone": ("configurationDone", {}, "is only allowed during handling"),
    "what nobody knows": ("setDataBreakpoints", {"breakpoints": []}, "is not supported by debugpy"),
}


@pytest.mark.parametrize(("command", "arguments", "body"), ROOT_ANSWERS.values(), ids=ROOT_ANSWERS.keys())
def test_the_root_answers(
    gatekeeper: RunningGatekeeper, command: str, arguments: dict[str, Any] | None, body: dict[str, Any]
) -> None:
    session = gatekeeper.connect()
    session.request("initialize", {"adapterID": "debugpy"})
    session.send("attach", {"stagedoorToken": gatekeeper.window.token})
    session.wait_event("initialized")
    assert session.request(command, arguments) == body


@pytest.mark.parametrize(("command", "arguments", "reason"), ROOT_REFUSALS.values(), ids=ROOT_REFUSALS.keys())
def test_the_root_refuses(gatekeeper: RunningGatekeeper, command: str, arguments: dict[str, Any], reason: str) -> None:
    session = gatekeeper.attach()
    with pytest.raises(RequestFailed, match=reason):
        session.request(command, arguments)


LEAVING = ["disconnect", "terminate"]


@pytest.mark.parametrize("command", LEAVING)
def test_leaving_the_root_ends_every_session_and_resumes_what_is_paused(
    gatekeeper: RunningGatekeeper, command: str
) -> None:
    session, worker, debugger = joined(gatekeeper)
    child_session = opened(gatekeeper, session)
    session.request(command, {})
    session.wait_closed(2)
    child_session.wait_event("terminated")
    child_session.request("disconnect", {})
    child_session.wait_closed(2)
    assert debugger.wait_asked("disconnect") == {"terminateDebuggee": False}
    worker.wait_told(lambda message: message.get("client") == "off", "the client to be gone")


# Announcing workers


def test_a_worker_is_announced_with_the_clients_own_configuration(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    session = gatekeeper.connect()
    session.attach(
        arguments={
            "connect": {"host": "localhost", "port": 15678},
            "pathMappings": [{"localRoot": "/here", "remoteRoot": "/there"}],
            "stagedoorToken": gatekeeper.window.token,
            "preLaunchTask": "build",
            "restart": True,
        }
    )
    worker.bring_debugger("GET /checkout")
    asked = session.wait_reverse_request("startDebugging")
    assert asked["request"] == "attach"
    configuration = asked["configuration"]
    assert configuration["connect"] == {"host": "localhost", "port": 15678}
    assert configuration["pathMappings"] == [{"localRoot": "/here", "remoteRoot": "/there"}]
    assert configuration["stagedoorToken"] == gatekeeper.window.token
    assert (configuration["name"], configuration["subProcessId"]) == (f"worker {PID}", PID)
    assert not {"preLaunchTask", "restart", "request"} & set(configuration)
    assert wait_console(session, "joined") == f"Stagedoor: worker {PID} joined for GET /checkout."


CONNECTS = {
    "as host and port": ({"host": "db", "port": 1, "connect": None}, {"host": "db", "port": 1}),
    "not at all": ({"connect": None}, None),
    "without a port": ({"connect": {"host": "db"}}, {"host": "db"}),
}


@pytest.mark.parametrize(("arguments", "expected"), CONNECTS.values(), ids=CONNECTS.keys())
def test_a_client_that_says_otherwise_how_it_connects_comes_back_all_the_same(
    gatekeeper: RunningGatekeeper, arguments: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    worker = gatekeeper.worker()
    session = gatekeeper.connect()
    session.attach(arguments={"stagedoorToken": gatekeeper.window.token} | arguments)
    worker.bring_debugger()
    configuration = session.wait_reverse_request("startDebugging")["configuration"]
    assert configuration["connect"] == {"host": "127.0.0.1", "port": gatekeeper.port} | (expected or {})
    assert not {"host", "port"} & set(configuration)


def test_a_client_without_startdebugging_gets_debugpys_event(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    session = gatekeeper.connect()
    session.request("initialize", {"adapterID": "debugpy"})
    attach = session.send(
        "attach",
        {"connect": {"host": "127.0.0.1", "port": gatekeeper.port}, "stagedoorToken": gatekeeper.window.token},
    )
    session.wait_event("initialized")
    session.request("configurationDone")
    session.wait_response(attach)
    worker.bring_debugger()
    body = session.wait_event("debugpyAttach")
    assert (body["request"], body["subProcessId"], body["name"]) == ("attach", PID, f"worker {PID}")
    gatekeeper.connect().attach(arguments=body)


def test_a_client_that_attaches_later_is_told_of_workers_that_have_joined(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    opened(gatekeeper, session)
    session.disconnect()
    debugger.wait_asked("disconnect")
    again = gatekeeper.attach()
    opened(gatekeeper, again).request("threads")


def test_a_client_that_ignores_a_worker_is_told_and_not_waited_for(start: Start) -> None:
    gatekeeper = start(patience=Patience(child=0.2, idle=None))
    session, worker, _ = joined(gatekeeper)
    worker.wait_told(lambda message: message.get("client") == "ignored", "the client to be given up")
    line = wait_console(session, "did not open")
    assert line.startswith(f"Stagedoor: your IDE did not open a session for worker {PID} within 0.2 s")
    assert line.endswith("until it has.")  # It knows how to, as far as it has said.
    # Late is better than never.
    before = len(worker.told)
    opened(gatekeeper, session)
    worker.wait_told(lambda message: message == {"client": "on"} in worker.told[before:], "the client to be back")


def test_a_client_that_attaches_to_a_worker_and_stops_halfway_is_not_waited_for(start: Start) -> None:
    gatekeeper = start(patience=Patience(child=0.2, idle=None))
    session, worker, _ = joined(gatekeeper)
    halfway = gatekeeper.connect()
    halfway.request("initialize", {"adapterID": "debugpy"})
    halfway.send("attach", session.wait_reverse_request("startDebugging")["configuration"])
    halfway.wait_event("initialized")
    worker.wait_told(lambda message: message.get("client") == "ignored", "the client to be given up")
    line = wait_console(session, "was not configured")
    assert line.startswith(
        f"Stagedoor: the session for worker {PID} was not configured within 0.2 s (your IDE has not sent"
    )


def test_a_debugger_that_does_not_answer_is_not_blamed_on_the_ide_and_the_next_one_is_used(start: Start) -> None:
    gatekeeper = start(patience=Patience(child=0.2, answer=0.6, idle=None))
    session, worker, slow = joined(gatekeeper, mute=("initialize",))
    with pytest.raises(RequestFailed, match="did not answer within"):
        opened(gatekeeper, session)
    slow.wait_closed()
    wait_for(lambda: worker.told[-2:] == [{"client": "ignored"}, {"client": "on"}], "to wait for the client again")
    assert wait_console(session, "did not answer").startswith(f"Stagedoor: the debugger of worker {PID} did not answer")
    assert not [line for line in console(session) if "your IDE" in line]
    worker.bring_debugger()
    opened(gatekeeper, session).request("threads")


def test_a_worker_that_was_late_and_is_left_is_left(start: Start) -> None:
    gatekeeper = start(patience=Patience(child=0.2, idle=None))
    session, worker, debugger = joined(gatekeeper)
    worker.wait_told(lambda message: message.get("client") == "ignored", "the client to be given up")
    opened(gatekeeper, session).request("disconnect")
    debugger.wait_asked("disconnect")
    debugger.close()
    wait_for(lambda: not gatekeeper.status()["workers"][0]["joined"], "the debugger to be gone")
    assert worker.told[-1] == {"client": "ignored"}


def test_a_client_that_can_open_no_sessions_is_told_what_it_lacks(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(dap_client._INITIALIZE, "supportsStartDebuggingRequest", False)
    session, _, _ = joined(start(patience=Patience(child=0.2, idle=None)))
    assert "It has not announced startDebugging" in wait_console(session, "did not open")


# Child sessions


def test_a_child_is_configured_as_debugpys_own_adapter_does_it(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    child_session = gatekeeper.connect()
    child_session.request("initialize", {"adapterID": "debugpy", "clientID": "vscode"})
    configuration = session.wait_reverse_request("startDebugging")["configuration"]
    attach = child_session.send("attach", configuration | {"justMyCode": False, "redirectOutput": True})
    child_session.wait_event("initialized")
    assert debugger.wait_asked("initialize")["clientID"] == "vscode"
    assert debugger.wait_asked("attach")["justMyCode"] is False
    assert debugger.wait_asked("attach")["redirectOutput"] is False
    assert "stagedoorToken" not in debugger.wait_asked("attach")
    # pydevd's own "initialized", and what it says too early, are held back until the attach is answered.
    debugger.send_event("initialized")
    debugger.send_event("output", {"category": "stdout", "output": "early"})
    child_session.request("setBreakpoints", {"source": {"path": "/a.py"}, "breakpoints": []})
    child_session.request("configurationDone")
    child_session.wait_response(attach)
    child_session.wait_event("output", lambda body: body["output"] == "early")
    kinds = [event["event"] for event in child_session.events]
    assert kinds == ["initialized", "output"]
    assert debugger.commands()[:4] == ["initialize", "attach", "setBreakpoints", "configurationDone"]


def test_what_the_debugger_says_reaches_the_client_and_nothing_that_the_policy_keeps(
    gatekeeper: RunningGatekeeper,
) -> None:
    session, _, debugger = joined(gatekeeper, bodies={"threads": {"threads": [{"id": 1, "name": "GET /view"}]}})
    child_session = opened(gatekeeper, session)
    assert child_session.request("threads") == {"threads": [{"id": 1, "name": "GET /view"}]}
    debugger.send_event("debugpyAttach", {"request": "attach"})
    debugger.send_raw(wire.encode(wire.request("runInTerminal", {"args": ["x"]}), 2))
    debugger.send_event("terminated")
    debugger.send_event("stopped", {"threadId": 1, "reason": "breakpoint"})
    child_session.stopped()
    assert {event["event"] for event in child_session.events} == {"initialized", "stopped"}
    with pytest.raises(WaitFailed):
        child_session.wait_reverse_request("runInTerminal", timeout=0)


def test_an_answer_has_the_command_that_the_client_has_sent(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    child_session = opened(gatekeeper, session)
    child_session.request("debugpySystemInfo")
    assert debugger.commands()[-1] == "pydevdSystemInfo"


def test_a_worker_that_has_ended_meanwhile_is_no_error_for_the_client(gatekeeper: RunningGatekeeper) -> None:
    session = gatekeeper.attach()
    child_session = gatekeeper.connect()
    child_session.request("initialize", {"adapterID": "debugpy"})
    child_session.request("attach", {"subProcessId": 4242, "stagedoorToken": gatekeeper.window.token})
    child_session.wait_event("terminated")
    child_session.request("disconnect", {})
    child_session.wait_closed(2)
    assert wait_console(session, "4242") == "Stagedoor: worker 4242 had ended before your IDE opened its session."


def test_a_child_of_another_address_is_refused(gatekeeper: RunningGatekeeper) -> None:
    joined(gatekeeper)
    with pytest.raises(RequestFailed, match=f"No session of {OTHER_DEVELOPER} holds this window"):
        gatekeeper.attach(OTHER_DEVELOPER, subProcessId=PID)


def test_a_child_without_a_root_is_refused(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    worker.bring_debugger()
    wait_for(lambda: gatekeeper.status()["workers"][0]["joined"], "the debugger to join")
    with pytest.raises(RequestFailed, match="Attach without subProcessId first"):
        gatekeeper.attach(subProcessId=PID)


def test_a_second_session_for_a_worker_is_refused(gatekeeper: RunningGatekeeper) -> None:
    session, _, _ = joined(gatekeeper)
    child_session = opened(gatekeeper, session)
    with pytest.raises(RequestFailed, match=f"You already have a session with worker {PID}"):
        gatekeeper.attach(subProcessId=PID)
    child_session.request("threads")


@pytest.mark.parametrize("command", LEAVING)
def test_one_child_can_be_left_alone(gatekeeper: RunningGatekeeper, command: str) -> None:
    session, worker, debugger = joined(gatekeeper)
    child_session = opened(gatekeeper, session)
    child_session.request(command, {"terminateDebuggee": True})
    child_session.wait_closed(2)
    assert debugger.wait_asked("disconnect") == {"terminateDebuggee": False}
    assert "terminate" not in debugger.commands()
    worker.wait_told(lambda message: message.get("client") == "ignored", "not to wait for the client")
    assert "you have left worker" in wait_console(session, "you have")
    session.request("threads")


def test_a_child_that_hangs_up_without_a_word_is_left(gatekeeper: RunningGatekeeper) -> None:
    session, worker, debugger = joined(gatekeeper)
    opened(gatekeeper, session).close()
    worker.wait_told(lambda message: message.get("client") == "ignored", "not to wait for the client")
    debugger.wait_asked("disconnect")
    assert "has dropped its session" in wait_console(session, "dropped")


def test_nothing_that_comes_after_a_disconnect_reaches_the_debugger(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    child_session = opened(gatekeeper, session)
    messages = [wire.request("disconnect", {}), wire.request("setBreakpoints", {"source": {"path": "/a.py"}})]
    child_session._socket.sendall(b"".join(wire.encode(message, 900 + n) for n, message in enumerate(messages)))
    child_session.wait_closed(2)
    debugger.wait_asked("disconnect")
    assert "setBreakpoints" not in debugger.commands()


def test_a_worker_that_ends_ends_its_session(gatekeeper: RunningGatekeeper) -> None:
    session, worker, _ = joined(gatekeeper)
    child_session = opened(gatekeeper, session)
    worker.close()
    child_session.wait_event("terminated")
    child_session.request("disconnect", {})
    child_session.wait_closed(2)
    assert wait_console(session, "ended") == f"Stagedoor: worker {PID} has ended."
    session.request("threads")


def test_a_debugger_that_ends_ends_its_session_and_a_new_one_is_announced(gatekeeper: RunningGatekeeper) -> None:
    session, worker, debugger = joined(gatekeeper)
    child_session = opened(gatekeeper, session)
    debugger.close()
    child_session.wait_event("terminated")
    worker.bring_debugger("GET /again")
    opened(gatekeeper, session).request("threads")


def test_a_debugger_that_talks_nonsense_ends_its_session(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    child_session = opened(gatekeeper, session)
    debugger.send_raw(b"HTTP/1.1 200 OK\r\n\r\n")
    child_session.wait_event("terminated")
    wait_console(child_session, f"the debugger of worker {PID} has ended. A DAP message has to begin with")


def test_a_debugger_may_send_as_much_as_pydevd_shows_of_a_long_list(gatekeeper: RunningGatekeeper) -> None:
    """pydevd cuts each value at 65,536 characters."""
    values = {"variables": [{"name": str(number), "value": "ж" * 65_536} for number in range(60)]}
    session, _, _ = joined(gatekeeper, bodies={"variables": values})
    child_session = opened(gatekeeper, session)
    assert child_session.request("variables", {"variablesReference": 1}) == values


# Debuggers that do not answer

MUTE = {"initialize": "attach", "attach": "attach", "configurationDone": "attach"}


@pytest.mark.parametrize("command", MUTE)
def test_a_debugger_that_does_not_answer_is_not_waited_for_for_long(start: Start, command: str) -> None:
    gatekeeper = start(patience=Patience(answer=0.2, idle=None))
    session, _, debugger = joined(gatekeeper, mute=(command,))
    child_session = gatekeeper.connect()
    child_session.request("initialize", {"adapterID": "debugpy"})
    attach = child_session.send("attach", session.wait_reverse_request("startDebugging")["configuration"])
    if command == "configurationDone":
        child_session.wait_event("initialized")
        child_session.send("configurationDone")
    with pytest.raises(RequestFailed, match=r"did not answer within 0\.2 s"):
        child_session.wait_response(attach)
    child_session.wait_event("terminated")
    debugger.wait_closed()


FAILING = ["attach", "configurationDone"]


@pytest.mark.parametrize("command", FAILING)
def test_a_debugger_that_refuses_is_quoted(gatekeeper: RunningGatekeeper, command: str) -> None:
    session, _, _ = joined(gatekeeper, failing={command: "no such thing"})
    with pytest.raises(RequestFailed, match="no such thing"):
        opened(gatekeeper, session)


def test_a_debugger_that_does_not_let_go_is_given_up(start: Start) -> None:
    gatekeeper = start(patience=Patience(answer=0.2, idle=None))
    session, _, debugger = joined(gatekeeper, mute=("disconnect",))
    opened(gatekeeper, session).disconnect()
    debugger.wait_closed()


def test_a_client_cannot_heap_up_requests(start: Start) -> None:
    gatekeeper = start(patience=Patience(unanswered=20, idle=None))
    session, _, debugger = joined(gatekeeper, mute=("variables",))
    child_session = opened(gatekeeper, session)
    for _ in range(20):
        child_session.send("variables", {"variablesReference": 1})
    with pytest.raises(RequestFailed, match="has 20 requests to answer already"):
        child_session.request("threads")
    wait_for(lambda: debugger.commands().count("variables") == 20, "those that were not refused")
    assert "threads" not in debugger.commands()


# Clients that do not read


def flooding(debugger: ScriptedDebugger, megabytes: int) -> None:
    line = "x" * 100_000
    for _ in range(megabytes * 10):
        debugger.send_event("output", {"category": "stdout", "output": line})


def test_a_client_that_does_not_read_is_cut_off_before_memory_runs_out(start: Start) -> None:
    gatekeeper = start(patience=Patience(unread=2_000_000, idle=None))
    session, worker, debugger = joined(gatekeeper)
    configuration = session.wait_reverse_request("startDebugging")["configuration"]
    with closing(stuck_client(gatekeeper, configuration)):
        flooding(debugger, megabytes=30)
        worker.wait_told(lambda message: message.get("client") == "ignored", "the client to be given up")
    session.request("threads")


def stuck_client(gatekeeper: RunningGatekeeper, configuration: dict[str, Any]) -> socket.socket:
    """A child session of a client that has stopped reading."""
    connection = socket.create_connection(("127.0.0.1", gatekeeper.port), 5, (ALLOWED, 0))
    for seq, (command, arguments) in enumerate(
        [("initialize", {"adapterID": "debugpy"}), ("attach", configuration), ("configurationDone", {})], 1
    ):
        connection.sendall(wire.encode(wire.request(command, arguments), seq))
        if command == "attach":
            wait_for(lambda: b'"initialized"' in connection.recv(65536, socket.MSG_PEEK), "the session to begin")
    wait_for(lambda: connection.recv(65536, socket.MSG_PEEK).count(b'"response"') == 3, "the session to be configured")
    return connection


def test_a_stuck_client_does_not_hold_up_the_end(start: Start) -> None:
    patience = Patience(farewell=3.0, idle=None)
    gatekeeper = start(patience=patience)
    session, worker, debugger = joined(gatekeeper)
    configuration = session.wait_reverse_request("startDebugging")["configuration"]
    with closing(stuck_client(gatekeeper, configuration)):
        flooding(debugger, megabytes=20)
        gatekeeper.ask({"close": {}})
        # The workers do not wait for a client's farewell, and nobody waits for one that does not come.
        worker.wait_told(lambda message: "closed" in message, "the end", timeout=patience.farewell - 1)
        gatekeeper.ended(patience.farewell + 1)


# The end


def test_at_the_end_a_client_hears_why_and_may_say_farewell(start: Start) -> None:
    gatekeeper = start(patience=Patience(farewell=60.0, idle=None))
    session, worker, _ = joined(gatekeeper)
    child_session = opened(gatekeeper, session)
    gatekeeper.ask({"close": {}})
    assert wait_console(session, "closed") == "Stagedoor: The window was closed. Everything runs on as before."
    for each in (child_session, session):
        each.wait_event("terminated")
        with pytest.raises(RequestFailed, match="This session is over"):
            each.request("threads")
        each.disconnect()
    assert gatekeeper.ended() == "The window was closed."  # Of whom all have said it, none is waited for.
    worker.wait_over()


def test_at_the_end_nothing_is_left(gatekeeper: RunningGatekeeper) -> None:
    session, worker, _ = joined(gatekeeper)
    opened(gatekeeper, session)
    gatekeeper.ask({"close": {}})
    gatekeeper.ended()
    assert not Path(gatekeeper.config.control).exists()
    with pytest.raises(OSError, match="refused"):
        gatekeeper.connect()
    session.wait_closed(1)
    worker.wait_over()
