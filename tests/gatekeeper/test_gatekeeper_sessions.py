"""Sessions: each developer's requests are its threads, wherever they run. Tests play the workers and their debuggers."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import Start
from stagedoor.access.passes import make_passes
from stagedoor.dap import rules, wire
from stagedoor.dap.client import DapClient, RequestFailed
from stagedoor.dap.ids import IdTable
from stagedoor.dap.paths import PathMappings
from stagedoor.gatekeeper.files import Files, SourceRefused
from stagedoor.gatekeeper.patience import Patience
from support.scripted import (
    RunningGatekeeper,
    ScriptedDebugger,
    ScriptedWorker,
    console,
    flooding,
    stuck_client,
    wait_console,
)
from support.servers import ALLOWED
from support.waiting import wait_for

ANNA, BEN = "127.0.0.7", "127.0.0.8"
PID = os.getpid()
LEAVING = ["disconnect", "terminate"]


@pytest.fixture
def start(start: Start) -> Start:
    """Three developers are let in."""
    return partial(start, allow=(ALLOWED, ANNA, BEN))


def told(worker: ScriptedWorker) -> dict[str, str]:
    """Whose requests go to which session, as a worker was told last."""
    known = [message["sessions"] for message in list(worker.told) if "sessions" in message]
    return dict(known[-1]["owners"]) if known else {}


def wait_owners(worker: ScriptedWorker, owners: dict[str, str]) -> None:
    wait_for(lambda: told(worker) == owners, f"the worker to be told of {owners}, not {told(worker)}")


def joined(gatekeeper: RunningGatekeeper, **script: Any) -> tuple[DapClient, ScriptedWorker, ScriptedDebugger]:
    """Everybody's session, and a worker whose debugger has joined."""
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    debugger = worker.bring_debugger(**script)
    wait_console(session, "joined")
    return session, worker, debugger


def threads(session: DapClient) -> list[str]:
    return [thread["name"] for thread in session.request("threads")["threads"]]


def paused(session: DapClient, debugger: ScriptedDebugger, number: int = 1, **body: Any) -> int:
    """The session's thread of a request that is paused."""
    debugger.begin(number)
    debugger.stop(number, **body)
    return int(session.stopped()["threadId"])


def by_pass(gatekeeper: RunningGatekeeper, name: str, source: str) -> DapClient:
    return gatekeeper.attach(source, stagedoorToken=make_passes(name, gatekeeper.window.token).attach)


# Who is attached, and as whom


def test_an_owner_has_one_session_and_a_second_client_is_told_both_ways_out(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    first = gatekeeper.attach()
    with pytest.raises(RequestFailed) as caught:
        gatekeeper.attach(ANNA)
    sentence = caught.value.sentence
    assert sentence.startswith("Stagedoor is busy: everybody's session is attached since ")
    assert f"from {ALLOWED}." in sentence
    assert "Either that client disconnects, or you attach with a pass of your own (`stagedoor pass NAME`" in sentence
    assert caught.value.body["error"]["showUser"] is True
    wait_for(
        lambda: any(line.startswith("refused: everybody's session") for line in worker.audit()), "the record of it"
    )
    first.disconnect()
    gatekeeper.attach(ANNA)


def test_developers_are_attached_beside_each_other(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    everybody = gatekeeper.attach()
    by_pass(gatekeeper, "anna", ANNA)
    # On loopback nobody is let in without a token, so nobody claims an address there.
    wait_owners(worker, {"*": "s1", "anna": "s2"})
    assert wait_console(everybody, "anna") == "Stagedoor: anna has attached."
    assert [each["owner"] for each in gatekeeper.status()["sessions"]] == ["*", "anna"]


def test_whoever_comes_hears_who_is_there(gatekeeper: RunningGatekeeper) -> None:
    first = by_pass(gatekeeper, "anna", ANNA)
    second = by_pass(gatekeeper, "ben", BEN)
    assert wait_console(second, "also").startswith("Stagedoor: also attached: anna (since ")
    second.disconnect()
    assert wait_console(first, "detached") == "Stagedoor: ben has detached."


def test_who_comes_first_decides_what_concerns_a_whole_worker_and_the_next_one_is_told(
    gatekeeper: RunningGatekeeper,
) -> None:
    passes = {name: make_passes(name, gatekeeper.window.token).attach for name in ("anna", "ben", "carl")}
    gatekeeper.attach(ANNA, stagedoorToken=passes["anna"], justMyCode=True)
    second = gatekeeper.attach(BEN, stagedoorToken=passes["ben"], justMyCode=False)
    assert wait_console(second, "came first") == (
        "Stagedoor: justMyCode is as anna has set it, who came first: a worker has one debugger for everybody."
    )
    third = gatekeeper.attach(BEN, stagedoorToken=passes["carl"], justMyCode=True)
    wait_console(third, "also attached")
    third.request("threads")
    assert not any("came first" in line for line in console(third))


def test_whoever_is_still_being_welcomed_when_the_next_one_comes_is_not_told_that_that_one_came_first(
    start: Start,
) -> None:
    gatekeeper = start(patience=Patience(seen=0.5, idle=None))
    gatekeeper.worker(deaf=True)
    made = {name: make_passes(name, gatekeeper.window.token).attach for name in ("anna", "ben")}
    first = gatekeeper.connect(ANNA)
    first.request("initialize", {"adapterID": "debugpy"})
    attach = first.send("attach", {"stagedoorToken": made["anna"], "justMyCode": True})
    first.wait_event("initialized")
    first.request("configurationDone")
    second = gatekeeper.attach(BEN, stagedoorToken=made["ben"], justMyCode=False)
    first.wait_response(attach)
    first.request("threads")  # All that was said before its answer has come.
    assert "as anna has set it" in wait_console(second, "came first")
    assert not any("came first" in line for line in console(first))


def test_a_window_has_a_number_of_sessions_at_most(start: Start) -> None:
    gatekeeper = start(patience=Patience(sessions=2, idle=None))
    by_pass(gatekeeper, "anna", ANNA)
    by_pass(gatekeeper, "ben", BEN)
    with pytest.raises(RequestFailed, match="2 developers are attached, and a window has no more than that"):
        by_pass(gatekeeper, "carl", BEN)


def test_a_client_that_hangs_up_without_a_word_holds_nothing_any_more(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    gatekeeper.attach().close()
    wait_owners(worker, {})
    gatekeeper.attach(ANNA)
    wait_owners(worker, {"*": "s2"})


def test_a_client_that_stops_halfway_does_not_hold_the_window(start: Start) -> None:
    gatekeeper = start(patience=Patience(handshake=0.2, idle=None))
    halfway = gatekeeper.connect()
    halfway.request("initialize", {"adapterID": "debugpy"})
    attach = halfway.send("attach", {"stagedoorToken": gatekeeper.window.token})
    with pytest.raises(RequestFailed, match=r'"configurationDone" did not come within 0\.2 s of "attach"'):
        halfway.wait_response(attach)
    gatekeeper.attach(ANNA)


def test_the_attach_is_answered_when_the_workers_know_of_it(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    gatekeeper.attach()
    assert told(worker) == {"*": "s1"}


def test_a_worker_that_says_nothing_is_not_waited_for_for_long(start: Start) -> None:
    gatekeeper = start(patience=Patience(seen=0.1, idle=None))
    gatekeeper.worker(deaf=True)
    gatekeeper.attach()


def test_a_worker_that_comes_later_hears_of_the_sessions_at_once(gatekeeper: RunningGatekeeper) -> None:
    gatekeeper.attach()
    assert gatekeeper.worker().answer == {"welcome": {"sessions": {"revision": 1, "owners": {"*": "s1"}}}}


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


# A worker joins


def test_a_debugger_that_joins_is_set_up_without_the_client(gatekeeper: RunningGatekeeper, tmp_path: Path) -> None:
    file = tmp_path / "views.py"
    file.write_text("pass\n")
    worker = gatekeeper.worker()
    session = gatekeeper.connect()
    session.attach({file: [{"line": 1, "condition": "x"}]}, {"stagedoorToken": gatekeeper.window.token}, ["uncaught"])
    debugger = worker.bring_debugger("GET /checkout")
    assert (
        wait_console(session, "joined")
        == f"Stagedoor: worker {PID} joined for GET /checkout: breakpoints are set there."
    )
    assert debugger.commands() == [
        "initialize", "attach", "setBreakpoints", "setFunctionBreakpoints", "stagedoorFilters",
        "setExceptionBreakpoints", "configurationDone",
    ]  # fmt: skip
    attach = debugger.wait_asked("attach")
    assert attach["stopAllThreadsOnSuspend"] is False
    assert "stagedoorToken" not in attach
    (entry,) = debugger.wait_asked("setBreakpoints")["breakpoints"]
    (rule,) = rules.decode(entry["condition"]) or ()
    assert (rule.session, rule.condition, entry["line"]) == ("s1", "x", 1)
    assert debugger.wait_asked("stagedoorFilters") == {"sessions": {"s1": {"filters": ["uncaught"]}}}


def test_what_concerns_a_whole_worker_is_as_whoever_attached_first_wants_it(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    for name, source, just_my_code in (("anna", ANNA, False), ("ben", BEN, True)):
        attach_pass = make_passes(name, gatekeeper.window.token).attach
        gatekeeper.attach(source, stagedoorToken=attach_pass, justMyCode=just_my_code)
    debugger = worker.bring_debugger()
    debugger.wait_asked("configurationDone")
    assert debugger.wait_asked("attach")["justMyCode"] is False
    assert debugger.commands().count("attach") == 1


def test_a_debugger_is_set_up_as_soon_as_somebody_attaches(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    debugger = worker.bring_debugger()
    wait_for(lambda: gatekeeper.status()["workers"][0]["joined"], "the debugger to join")
    gatekeeper.attach()
    debugger.wait_asked("configurationDone")


def test_a_debugger_that_cant_be_set_up_is_said_and_the_next_one_is_used(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    worker.bring_debugger(failing={"attach": "no such thing"}).wait_closed()
    assert "could not be set up: it answered attach with: no such thing" in wait_console(session, "set up")
    worker.bring_debugger("GET /again")
    wait_console(session, "joined for GET /again")


@pytest.mark.parametrize("command", ["initialize", "attach", "configurationDone"])
def test_a_debugger_that_does_not_answer_is_not_waited_for_for_long(start: Start, command: str) -> None:
    gatekeeper = start(patience=Patience(answer=0.2, idle=None))
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    worker.bring_debugger(mute=(command,)).wait_closed()
    assert "could not be set up: it did not answer within 0.2 s" in wait_console(session, "set up")


def test_a_debugger_that_ends_takes_its_requests_with_it(gatekeeper: RunningGatekeeper) -> None:
    session, worker, debugger = joined(gatekeeper)
    thread = paused(session, debugger)
    debugger.close()
    assert session.wait_event("thread", lambda body: body["reason"] == "exited")["threadId"] == thread
    with pytest.raises(RequestFailed, match="not one of your requests, or is over by now"):
        session.stack(thread)
    worker.bring_debugger("GET /again")
    wait_console(session, "joined for GET /again")


def test_a_debugger_that_talks_nonsense_is_given_up(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    debugger.send_raw(b"HTTP/1.1 200 OK\r\n\r\n")
    wait_console(session, f"the debugger of worker {PID} has ended. A DAP message has to begin with")
    debugger.wait_closed()


def test_a_worker_that_ends_ends_no_session(gatekeeper: RunningGatekeeper) -> None:
    session, worker, _ = joined(gatekeeper)
    worker.close()
    assert wait_console(session, f"worker {PID} has ended") == f"Stagedoor: worker {PID} has ended."
    session.request("threads")


# Requests are threads


def test_the_window_and_each_request_are_threads(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    debugger.begin(7, label="GET /checkout?item=3")
    assert session.wait_event("thread")["reason"] == "started"
    window, request = threads(session)
    assert window.startswith("open until ")
    assert window.endswith("1 worker, 0 paused")
    assert request == f"GET /checkout?item=3 (worker {PID})"
    debugger.stop(7, thread=44)
    stop = session.stopped()
    assert stop["allThreadsStopped"] is False
    assert "stagedoor" not in stop
    assert threads(session)[0].endswith("1 worker, 1 paused")
    debugger.end(7)
    assert session.wait_event("thread", lambda body: body["reason"] == "exited")["threadId"] == stop["threadId"]
    assert len(threads(session)) == 1


def test_a_request_keeps_its_thread_and_the_next_one_on_that_thread_has_another(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    first = paused(session, debugger, 1, thread=5)
    debugger.run_on(1, thread=5)
    session.wait_event("continued")
    debugger.stop(1, thread=6)
    assert session.stopped()["threadId"] == first
    debugger.end(1)
    assert paused(session, debugger, 2, thread=6) != first


def test_what_a_paused_request_is_asked_goes_to_its_worker_with_the_workers_numbers(
    gatekeeper: RunningGatekeeper,
) -> None:
    frames = {"stackFrames": [{"id": 900, "name": "view", "line": 3, "column": 1, "source": {"path": "/srv/a.py"}}]}
    scopes = {"scopes": [{"name": "Locals", "variablesReference": 901, "expensive": False}]}
    session, _, debugger = joined(gatekeeper, bodies={"stackTrace": frames, "scopes": scopes})
    thread = paused(session, debugger, thread=77)
    (frame,) = session.stack(thread)
    assert debugger.wait_asked("stackTrace")["threadId"] == 77
    assert frame["id"] < 100
    (scope,) = session.scopes(frame["id"])
    assert debugger.wait_asked("scopes")["frameId"] == 900
    session.request("variables", {"variablesReference": scope["variablesReference"]})
    assert debugger.wait_asked("variables")["variablesReference"] == 901
    session.resume(thread)
    assert debugger.wait_asked("continue") == {"threadId": 77, "singleThread": True, "stagedoor": {"request": 1}}


def test_a_number_of_another_session_means_nothing(gatekeeper: RunningGatekeeper) -> None:
    frames = {"stackFrames": [{"id": 900, "name": "view", "line": 3, "column": 1}]}
    everybody, _, debugger = joined(gatekeeper, bodies={"stackTrace": frames})
    anna = by_pass(gatekeeper, "anna", ANNA)
    thread = paused(everybody, debugger)
    (frame,) = everybody.stack(thread)
    asked = len(debugger.commands())
    for command, arguments in (
        ("stackTrace", {"threadId": thread}),
        ("continue", {"threadId": thread}),
        ("next", {"threadId": thread}),
        ("pause", {"threadId": thread}),
        ("goto", {"threadId": thread, "targetId": 1}),
        ("scopes", {"frameId": frame["id"]}),
        ("evaluate", {"frameId": frame["id"], "expression": "1"}),
        ("variables", {"variablesReference": frame["id"] + 1}),
    ):
        with pytest.raises(RequestFailed):
            anna.request(command, arguments)
    everybody.request("threads")
    assert len(debugger.commands()) == asked
    assert len(threads(anna)) == 1


def test_each_session_hears_of_its_own_requests_only(gatekeeper: RunningGatekeeper) -> None:
    everybody, _, debugger = joined(gatekeeper)
    anna = by_pass(gatekeeper, "anna", ANNA)
    debugger.begin(1, "s1")
    debugger.begin(2, "s2", label="GET /annas")
    debugger.stop(2, "s2", thread=2)
    debugger.send_event(
        "output", {"category": "stdout", "output": "hers\n", "stagedoor": {"request": 2, "session": "s2"}}
    )
    anna.stopped()
    assert threads(anna)[1:] == [f"GET /annas (worker {PID})"]
    assert threads(everybody)[1:] == [f"GET /view (worker {PID})"]
    assert anna.wait_event("output", lambda body: body["category"] == "stdout")["output"] == "hers\n"
    heard = {event["event"] for event in everybody.events}
    assert "stopped" not in heard
    assert not [event for event in everybody.events if event.get("body", {}).get("category") == "stdout"]


def test_what_belongs_to_nobody_runs_on_and_is_shown_to_nobody(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    debugger.send_event("stopped", {"threadId": 9, "reason": "breakpoint"})
    assert debugger.wait_asked("continue") == {"threadId": 9, "singleThread": True, "stagedoor": {"request": None}}
    debugger.send_event("debugpyAttach", {"request": "attach"})
    debugger.send_raw(wire.encode(wire.request("runInTerminal", {"args": ["x"]}), 2))
    debugger.send_event("terminated")
    paused(session, debugger)
    assert {event["event"] for event in session.events} <= {"initialized", "output", "thread", "stopped"}
    assert "request" not in {message["type"] for message in session.received}


def test_a_request_that_is_running_can_be_paused_and_not_looked_at(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    debugger.begin(3)
    thread = session.wait_event("thread")["threadId"]
    with pytest.raises(RequestFailed, match="running"):
        session.stack(thread)
    session.request("pause", {"threadId": thread})
    assert debugger.wait_asked("stagedoorPause") == {"request": 3}
    with pytest.raises(RequestFailed, match="can't be paused: pause one of your requests"):
        session.request("pause", {"threadId": session.request("threads")["threads"][0]["id"]})


ADDRESSED = [
    ("stackTrace", {}), ("next", {}), ("stepIn", {}), ("stepOut", {}), ("exceptionInfo", {}), ("continue", {}),
]  # fmt: skip


@pytest.mark.parametrize(("command", "arguments"), ADDRESSED)
def test_what_goes_on_says_for_which_request_it_is(
    gatekeeper: RunningGatekeeper, command: str, arguments: dict[str, Any]
) -> None:
    session, _, debugger = joined(gatekeeper)
    thread = paused(session, debugger, 12, thread=77)
    session.request(command, {"threadId": thread, "stagedoor": {"request": 13}} | arguments)
    assert debugger.wait_asked(command)["stagedoor"] == {"request": 12}


def test_a_request_that_has_run_on_already_is_continued_without_an_error(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper, mute=("continue",))
    thread = paused(session, debugger)
    asked = session.send("continue", {"threadId": thread})
    debugger.wait_asked("continue")
    debugger.run_on(1)
    session.wait_event("continued")
    assert session.resume(thread) == {"allThreadsContinued": False}
    debugger.end(1)
    session.wait_event("thread", lambda body: body["reason"] == "exited")
    assert session.resume(thread) == {"allThreadsContinued": False}
    debugger.close()
    assert session.wait_response(asked) == {"allThreadsContinued": False}
    assert session.resume(thread) == {"allThreadsContinued": False}
    with pytest.raises(RequestFailed, match="window"):
        session.resume(session.request("threads")["threads"][0]["id"])
    with pytest.raises(RequestFailed, match="is over by now"):
        session.resume(thread + 1000)
    with pytest.raises(RequestFailed, match="is over by now"):
        session.next(thread)


def test_an_answer_comes_before_what_it_has_caused(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper, mute=("next",))
    thread = paused(session, debugger)
    seq = session.send("next", {"threadId": thread})
    debugger.wait_asked("next")
    step = next(message for message in debugger.received if message["command"] == "next")
    stopped = {"reason": "step", "threadId": 1, "stagedoor": {"request": 1, "session": "s1"}}
    debugger.send_raw(wire.encode(wire.response(step), 1) + wire.encode(wire.event("stopped", stopped), 2))
    session.wait_response(seq)
    session.stopped()
    order = [message.get("command") or message["event"] for message in session._received]
    assert order.index("next") < len(order) - 1 - order[::-1].index("stopped")


def test_an_answer_has_the_command_that_the_client_has_sent(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    session.request("debugpySystemInfo")
    assert debugger.commands()[-1] == "pydevdSystemInfo"


def test_a_debugger_may_send_as_much_as_pydevd_shows_of_a_long_list(gatekeeper: RunningGatekeeper) -> None:
    """pydevd cuts each value at 65,536 characters."""
    values = {"variables": [{"name": str(number), "value": "ж" * 65_536} for number in range(60)]}
    scopes = {"scopes": [{"name": "Locals", "variablesReference": 5}]}
    frames = {"stackFrames": [{"id": 4, "name": "view", "line": 3, "column": 1}]}
    session, _, debugger = joined(gatekeeper, bodies={"variables": values, "scopes": scopes, "stackTrace": frames})
    (scope,) = session.scopes(session.stack(paused(session, debugger))[0]["id"])
    assert session.request("variables", {"variablesReference": scope["variablesReference"]}) == values


# Breakpoints


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "views.py"
    path.write_text("pass\n" * 50)
    return str(path)


def set_breakpoints(session: DapClient, path: str, *lines: int) -> list[dict[str, Any]]:
    wanted = {"source": {"path": path}, "breakpoints": [{"line": line} for line in lines]}
    return list(session.request("setBreakpoints", wanted)["breakpoints"])


def test_a_breakpoint_waits_until_a_worker_has_it_and_again_when_the_last_one_has_gone(
    gatekeeper: RunningGatekeeper, file: str
) -> None:
    session = gatekeeper.attach()
    (first,) = set_breakpoints(session, file, 7)
    assert (first["verified"], first["message"]) == (False, "Waits for the first of your requests.")
    body = {"breakpoints": [{"id": 31, "verified": True, "line": 6}]}
    worker = gatekeeper.worker()
    debugger = worker.bring_debugger(bodies={"setBreakpoints": body})
    changed = session.wait_event("breakpoint")
    assert changed["reason"] == "changed"
    assert changed["breakpoint"] == {"id": first["id"], "verified": True, "line": 6, "source": {"path": file}}
    wait_console(session, "joined")
    debugger.begin(1)
    debugger.stop(1, hitBreakpointIds=[31])
    assert session.stopped()["hitBreakpointIds"] == [first["id"]]
    debugger.close()
    gone = session.wait_event("breakpoint", lambda body: not body["breakpoint"]["verified"])
    assert gone["breakpoint"]["message"] == "Waits for the first of your requests."


def test_a_file_that_is_not_on_this_server_is_said_so_with_its_path_here(gatekeeper: RunningGatekeeper) -> None:
    session = gatekeeper.attach(pathMappings=[{"localRoot": "/home/anna/shop", "remoteRoot": "/srv/shop"}])
    (found,) = set_breakpoints(session, "/home/anna/shop/views.py", 3)
    assert found["verified"] is False
    assert found["message"] == (
        "There is no /srv/shop/views.py on this server. Check remoteRoot in pathMappings of your launch configuration."
    )
    (found,) = set_breakpoints(session, "/elsewhere/views.py", 3)
    assert "No entry of pathMappings is about /elsewhere/views.py" in found["message"]


def test_a_worker_has_all_sessions_breakpoints_each_with_whose_it_is(gatekeeper: RunningGatekeeper, file: str) -> None:
    everybody, _, debugger = joined(gatekeeper)
    anna = by_pass(gatekeeper, "anna", ANNA)
    set_breakpoints(everybody, file, 7)
    set_breakpoints(anna, file, 7, 8)

    def last() -> list[tuple[int, str]]:
        sent = [message for message in list(debugger.received) if message["command"] == "setBreakpoints"]
        entries = sent[-1]["arguments"]["breakpoints"]
        return [(entry["line"], (rules.decode(entry["condition"]) or ())[0].session) for entry in entries]

    assert last() == [(7, "s1"), (7, "s2"), (8, "s2")]
    anna.disconnect()
    wait_for(lambda: last() == [(7, "s1")], "the breakpoints of the session that has gone to go")
    assert debugger.wait_asked("stagedoorLeave") == {"session": "s2"}


def test_a_breakpoint_on_a_function_is_one_with_all_rules(gatekeeper: RunningGatekeeper) -> None:
    everybody, _, debugger = joined(gatekeeper)
    anna = by_pass(gatekeeper, "anna", ANNA)
    for session, condition in ((everybody, "a"), (anna, "b")):
        session.request("setFunctionBreakpoints", {"breakpoints": [{"name": "view", "condition": condition}]})
    sent = [message for message in list(debugger.received) if message["command"] == "setFunctionBreakpoints"]
    (entry,) = sent[-1]["arguments"]["breakpoints"]
    found = rules.decode(entry["condition"]) or ()
    assert [(rule.session, rule.condition) for rule in found] == [("s1", "a"), ("s2", "b")]


def test_the_errors_that_anybody_asks_for_are_asked_for_and_whose_is_which(gatekeeper: RunningGatekeeper) -> None:
    everybody, _, debugger = joined(gatekeeper)
    anna = by_pass(gatekeeper, "anna", ANNA)
    everybody.request("setExceptionBreakpoints", {"filters": ["uncaught"]})
    anna.request("setExceptionBreakpoints", {"filters": ["raised"]})

    def last(command: str) -> dict[str, Any]:
        return dict([message for message in list(debugger.received) if message["command"] == command][-1]["arguments"])

    assert last("setExceptionBreakpoints") == {"filters": ["raised", "uncaught"]}
    assert last("stagedoorFilters") == {"sessions": {"s1": {"filters": ["uncaught"]}, "s2": {"filters": ["raised"]}}}


def test_a_relative_remote_root_is_the_workers_working_directory(gatekeeper: RunningGatekeeper, file: str) -> None:
    folder, name = os.path.split(file)
    session = gatekeeper.attach(pathMappings=[{"localRoot": "/home/anna/shop", "remoteRoot": "."}])
    (before,) = set_breakpoints(session, f"/home/anna/shop/{name}", 3)
    assert "There is no " in before["message"]
    worker = gatekeeper.worker(cwd=folder)
    assert session.wait_event("breakpoint")["breakpoint"]["message"] == "Waits for the first of your requests."
    debugger = worker.bring_debugger()
    assert debugger.wait_asked("setBreakpoints")["source"]["path"] == file


@pytest.mark.parametrize(
    ("local", "why"),
    [("shop", '"localRoot" is no absolute path on Unix'), ("${workspaceFolder}", "the client did not say what")],
)
def test_a_path_mapping_without_effect_is_said_as_one_attaches(
    gatekeeper: RunningGatekeeper, local: str, why: str
) -> None:
    session = gatekeeper.attach(pathMappings=[{"localRoot": local, "remoteRoot": "/srv/shop"}])
    assert f"The path mapping of '{local}' has no effect: {why}" in wait_console(session, "mapping")


# Leaving


@pytest.mark.parametrize("command", LEAVING)
def test_the_last_one_to_leave_lets_go_of_every_debugger(gatekeeper: RunningGatekeeper, command: str) -> None:
    session, worker, debugger = joined(gatekeeper)
    session.request(command, {"terminateDebuggee": True})
    session.wait_closed(2)
    assert debugger.wait_asked("disconnect") == {"terminateDebuggee": False}
    assert "terminate" not in debugger.commands()
    wait_owners(worker, {})


def test_one_of_two_who_leaves_changes_nothing_for_the_other(gatekeeper: RunningGatekeeper) -> None:
    everybody, worker, debugger = joined(gatekeeper, bodies={"stackTrace": {"stackFrames": []}})
    anna = by_pass(gatekeeper, "anna", ANNA)
    thread = paused(everybody, debugger)
    anna.disconnect()
    assert debugger.wait_asked("stagedoorLeave") == {"session": "s2"}
    wait_owners(worker, {"*": "s1"})
    everybody.stack(thread)
    assert "disconnect" not in debugger.commands()


def test_nothing_that_comes_after_a_disconnect_reaches_the_debugger(gatekeeper: RunningGatekeeper, file: str) -> None:
    session, _, debugger = joined(gatekeeper)
    messages = [wire.request("disconnect", {}), wire.request("setBreakpoints", {"source": {"path": file}})]
    session._socket.sendall(b"".join(wire.encode(message, 900 + n) for n, message in enumerate(messages)))
    session.wait_closed(2)
    debugger.wait_asked("disconnect")
    assert "setBreakpoints" not in debugger.commands()


def test_a_debugger_that_does_not_let_go_is_given_up(start: Start) -> None:
    gatekeeper = start(patience=Patience(answer=0.2, idle=None))
    session, _, debugger = joined(gatekeeper, mute=("disconnect",))
    session.disconnect()
    debugger.wait_closed()


def test_whoever_attaches_again_finds_the_debugger_set_up_anew(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    session.disconnect()
    debugger.wait_asked("disconnect")
    again = gatekeeper.attach()
    wait_for(lambda: debugger.commands().count("configurationDone") == 2, "the debugger to be set up again")
    debugger.begin(1, "s2")
    debugger.stop(1, "s2")
    again.stopped()


# Too much


def test_a_client_cannot_heap_up_requests(start: Start) -> None:
    gatekeeper = start(patience=Patience(unanswered=20, idle=None))
    session, _, debugger = joined(gatekeeper, mute=("stackTrace",))
    thread = paused(session, debugger)
    for _ in range(20):
        session.send("stackTrace", {"threadId": thread})
    with pytest.raises(RequestFailed, match=f"Worker {PID} has not answered 20 of your requests yet"):
        session.stack(thread)
    wait_for(lambda: debugger.commands().count("stackTrace") == 20, "those that were not refused")


def test_a_client_that_does_not_read_is_cut_off_before_memory_runs_out(start: Start) -> None:
    gatekeeper = start(patience=Patience(kept=2_000_000, idle=None))
    worker = gatekeeper.worker()
    anna = None
    with closing(stuck_client(gatekeeper)):
        debugger = worker.bring_debugger()
        debugger.wait_asked("configurationDone")
        anna = by_pass(gatekeeper, "anna", ANNA)
        debugger.begin(1)
        flooding(debugger, megabytes=30)
        wait_owners(worker, {"anna": "s2"})
    anna.request("threads")


def test_a_stuck_client_does_not_hold_up_the_end(start: Start) -> None:
    patience = Patience(farewell=3.0, idle=None)
    gatekeeper = start(patience=patience)
    worker = gatekeeper.worker()
    with closing(stuck_client(gatekeeper)):
        debugger = worker.bring_debugger()
        debugger.wait_asked("configurationDone")
        debugger.begin(1)
        flooding(debugger, megabytes=20)
        gatekeeper.ask({"close": {}})
        # The workers do not wait for a client's farewell, and nobody waits for one that does not come.
        worker.wait_told(lambda message: "closed" in message, "the end", timeout=patience.farewell - 1)
        gatekeeper.ended(patience.farewell + 1)


# The end


def test_at_the_end_everybody_hears_why_and_may_say_farewell(start: Start) -> None:
    gatekeeper = start(patience=Patience(farewell=60.0, idle=None))
    session, worker, _ = joined(gatekeeper)
    anna = by_pass(gatekeeper, "anna", ANNA)
    gatekeeper.ask({"close": {}})
    for each in (session, anna):
        assert wait_console(each, "closed") == "Stagedoor: The window was closed. Everything runs on as before."
        each.wait_event("terminated")
        with pytest.raises(RequestFailed, match="This session is over"):
            each.request("threads")
        each.disconnect()
    assert gatekeeper.ended() == "The window was closed."  # Of whom all have said it, none is waited for.
    worker.wait_over()


def test_at_the_end_nothing_is_left(gatekeeper: RunningGatekeeper) -> None:
    session, worker, _ = joined(gatekeeper)
    gatekeeper.ask({"close": {}})
    gatekeeper.ended()
    assert not Path(gatekeeper.config.control).exists()
    with pytest.raises(OSError, match="refused"):
        gatekeeper.connect()
    session.wait_closed(1)
    worker.wait_over()


# What one client does is nobody else's trouble


def test_a_session_that_goes_as_it_comes_leaves_the_debugger_for_the_next(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    first = gatekeeper.attach()
    debugger = worker.bring_debugger()
    wait_console(first, "joined")
    first.disconnect()
    debugger.wait_asked("disconnect")
    hasty = gatekeeper.connect()
    # All of it in one piece, as it may come through a tunnel.
    messages = [
        wire.request("initialize", {"pathFormat": "path"}),
        wire.request("attach", {"stagedoorToken": gatekeeper.window.token}),
        wire.request("configurationDone"),
        wire.request("disconnect"),
    ]
    hasty._socket.sendall(b"".join(wire.encode(message, seq) for seq, message in enumerate(messages, 1)))
    hasty.wait_closed()
    gatekeeper.attach()
    wait_for(lambda: debugger.commands().count("configurationDone") == 2, "the debugger to be set up again")


def test_what_one_session_waits_for_keeps_no_other_one_from_asking(start: Start) -> None:
    gatekeeper = start(patience=Patience(unanswered=2))
    worker = gatekeeper.worker()
    anna, ben = by_pass(gatekeeper, "anna", ANNA), by_pass(gatekeeper, "ben", BEN)
    debugger = worker.bring_debugger(mute=("evaluate",), bodies={"stackTrace": {"stackFrames": [{"id": 7}]}})
    wait_console(ben, "joined")
    threads_of = {}
    for number, (session, key) in enumerate(((anna, "s1"), (ben, "s2")), 1):
        debugger.begin(number, key, thread=number)
        debugger.stop(number, key, thread=number)
        threads_of[key] = session.stopped()["threadId"]
    frame = anna.stack(threads_of["s1"])[0]["id"]
    for _ in range(2):
        anna.send("evaluate", {"expression": "sleep(60)", "frameId": frame})
    with pytest.raises(RequestFailed, match="has not answered 2 of your requests yet"):
        anna.stack(threads_of["s1"])
    assert ben.stack(threads_of["s2"])


def test_a_breakpoint_that_makes_no_sense_is_refused_before_it_is_merged(gatekeeper: RunningGatekeeper) -> None:
    session, _, debugger = joined(gatekeeper)
    for column in ({"a": [1]}, "x", 1.5, True):
        with pytest.raises(RequestFailed, match="column"):
            session.set_breakpoints(__file__, [{"line": 3, "column": column}])
    assert "setBreakpoints" not in debugger.commands()
    session.set_breakpoints(__file__, [{"line": 3, "column": 1}])
    debugger.wait_asked("setBreakpoints")


def test_code_whose_file_has_no_possible_name_has_no_source() -> None:
    files = Files(IdTable(), PathMappings([], "unix", "/"))
    with pytest.raises(SourceRefused, match="can't be the name of a file"):
        files.source({"sourceReference": "/generated\0code"})
