"""The listen back end from a window's beginning to its end, against the real debugpy."""

from __future__ import annotations

import gc
import json
import logging
import os
import re
import signal
import socket
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import Serve, ServeGated
from stagedoor import ConfigurationError, StageDoor
from stagedoor.dap import wire
from stagedoor.dap.client import DapClient
from stagedoor.worker import listen
from support import application
from support.other_user import OtherUser, as_root
from support.processes import adapters
from support.servers import ALLOWED, OTHER, ServerProcess, is_listening
from support.stage import Stage, make_environ, process_state, serve
from support.waiting import wait_for


def hit(stage: Stage, client: DapClient, worker: int = 0) -> None:
    """A matching request stops at the line "view" and runs on."""
    mine = stage.workers[worker].start_get("/view?mine")
    client.resume(client.stopped()["threadId"])
    assert mine.result(5).text == "total 7 for mine"


# -- Window after window -----------------------------------------------------------------------------------------------


def test_twenty_windows_with_a_paused_request_each_leave_nothing_behind(stage: Stage) -> None:
    stage.passes()  # All of the test's own threads are there.
    sizes = []
    for number in range(20):
        client = stage.armed("view")
        mine = stage.workers[number % 4].start_get("/view?mine")
        client.stopped()
        stage.door.close()
        assert mine.result(5).text == "total 7 for mine"
        client.wait_closed(2)
        client.close()
        stage.clients.clear()
        del client, mine
        wait_for(lambda: not debugger_threads(), "the debugger's threads to be gone")
        gc.collect()
        sizes.append((threading.active_count(), os_threads(), descriptors(), thread_objects(), resident_kib()))
    threads, system_threads, files, objects, memory = zip(*sizes[2:], strict=True)
    assert set(threads) == {threads[0]}
    assert set(system_threads) == {system_threads[0]}
    assert set(files) == {files[0]}
    assert objects[-1] <= objects[0] + 2, "pydevd keeps every thread that it has ever seen"
    # The C library gives new threads memory pools of their own for a while.
    assert memory[-1] - memory[0] < 6 * 1024, f"KiB after each window: {memory}"


def debugger_threads() -> list[str]:
    return [name for name in process_state()["threads"] if "pydevd" in name.lower() or "stagedoor-window" in name]


def os_threads(process: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{process}/task"))


def thread_objects() -> int:
    return sum(issubclass(type(each), threading.Thread) for each in gc.get_objects())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_kib() -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1])  # type: ignore[index]


def test_open_and_close_from_python_take_effect_at_once(stage: Stage) -> None:
    assert stage.workers[0].get("/hello").header is None  # It is known to be closed for a while.
    window = stage.door.open(timedelta(minutes=5), opened_by="alice@staging")
    assert window.opened_by == "alice@staging"
    assert "client=waiting" in str(stage.workers[0].get("/hello").header)
    assert stage.door.open(timedelta(minutes=9)).token == window.token
    assert stage.door.close()
    assert not is_listening(stage.port)
    assert stage.workers[0].get("/hello").header is None
    assert not stage.door.close()


def test_a_window_closed_and_reopened_at_once_is_a_new_one(stage: Stage) -> None:
    for number in range(5):
        client = stage.armed("view")
        mine = stage.workers[0].start_get("/view?mine")
        client.stopped()
        # Nothing of this waits for the end of the window before: that is left to its own thread.
        stage.door.settings.switch.close()
        stage.open()
        later = stage.workers[1].start_get("/hello")
        assert mine.result(5).text == "total 7 for mine"
        assert "client=waiting" in str(later.result(5).header), number
        client.wait_closed(2)
        client.close()
        again = stage.attach("view")
        hit(stage, again)
        stage.door.close()


def test_a_client_detaches_and_attaches_twenty_times_in_one_window_without_a_miss(stage: Stage) -> None:
    stage.open()
    stage.workers[0].get("/hello")
    (adapter,) = adapters(stage.port)
    for number in range(20):
        client = stage.attach("view")
        threads = os_threads(adapter)
        hit(stage, client, number % 4)
        client.disconnect()
        assert "client=waiting" in str(stage.workers[number % 4].get("/view", timeout=2).header)
        # debugpy's adapter falls silent for good if a client comes while the session of the one before is ending, for
        # which it has two threads.
        wait_for(lambda: os_threads(adapter) <= threads - 2, "the adapter to be done with the client")  # noqa: B023


def test_a_client_that_hangs_up_while_a_request_is_paused_lets_it_run_on(stage: Stage) -> None:
    client = stage.armed("view")
    mine = stage.workers[0].start_get("/view?mine")
    client.stopped()
    client.close()
    assert mine.result(5).text == "total 7 for mine"


def test_the_end_comes_while_a_client_is_half_way_through_attaching(stage: Stage) -> None:
    stage.open()
    stage.workers[0].get("/hello")
    client = DapClient(("127.0.0.1", stage.port))
    client.request("initialize", {"adapterID": "debugpy"})
    client.send("attach", {"justMyCode": True})
    client.wait_event("initialized")
    assert "client=waiting" in str(stage.workers[0].get("/view", timeout=2).header)
    stage.door.close()
    client.wait_closed(2)
    client.close()
    hit(stage, stage.armed("view"))


def test_a_paused_request_is_continued_after_max_pause() -> None:
    stage = Stage(max_pause=timedelta(seconds=0.3))
    try:
        client = stage.armed("view")
        mine = stage.workers[0].start_get("/view?mine")
        client.stopped()
        assert mine.result(2).text == "total 7 for mine"
        client.wait_event("continued")
        hit(stage, client)
    finally:
        stage.stop()


def test_an_adapter_that_was_killed_is_replaced_at_the_next_matching_request(stage: Stage) -> None:
    client = stage.armed("view")
    mine = stage.workers[0].start_get("/view?mine")
    client.stopped()
    (adapter,) = adapters(stage.port)
    os.kill(adapter, signal.SIGKILL)
    assert mine.result(5).text == "total 7 for mine"
    wait_for(lambda: not debugger_threads(), "the debugger to be stopped")
    assert "client=waiting" in str(stage.workers[0].get("/hello").header)
    hit(stage, stage.attach("view"))


#: Says what debugpy answers to whoever begins a session; it has no token.
ATTACHING = """
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
connection.sendall(bytes.fromhex(sys.argv[2]))
heard_so_far = b""
while b'"initialized"' not in heard_so_far and (piece := connection.recv(65536)):
    heard_so_far += piece
say("let in" if b'"initialized"' in heard_so_far else "hung up on")
heard()
"""


@as_root
def test_every_local_user_is_let_in(stage: Stage) -> None:
    """What the gatekeeper is for: see test_another_local_user_gets_a_refusal_and_nothing_else_from_any_tcp_port."""
    stage.open()
    wait_for(lambda: "client=waiting" in str(stage.workers[0].get("/hello").header), "the debugger to start")
    said = [wire.request("initialize", {"adapterID": "debugpy"}), wire.request("attach", {"justMyCode": True})]
    data = b"".join(wire.encode(message, seq) for seq, message in enumerate(said, 1))
    with OtherUser(ATTACHING, stage.port, data.hex()) as nobody:
        nobody.says("let in")


# -- What can't be -----------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_named_and_requests_go_on(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with closing(socket.socket()) as squatter:
        squatter.bind(("127.0.0.1", stage.port))
        squatter.listen()
        stage.open()
        for worker in stage.workers:
            answer = worker.get("/view?mine")
            assert answer.text == "total 7 for mine"
            assert f'busy; reason="debugpy could not listen on 127.0.0.1:{stage.port}' in str(answer.header)
    failures = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(failures) == 1, "said once for a window"
    assert "end it, or choose another one with bind (STAGEDOOR_BIND)" in failures[0].getMessage()
    assert not debugger_threads() or debugger_threads() == ["stagedoor-window"]
    # The next window tries again.
    stage.door.close()
    hit(stage, stage.armed("view"))


def test_what_could_not_be_started_is_tried_again_after_a_while(stage: Stage) -> None:
    stage.has_patience(retry=0.1)
    with closing(socket.socket()) as squatter:
        squatter.bind(("127.0.0.1", stage.port))
        squatter.listen()
        stage.open()
        assert "busy" in str(stage.workers[0].get("/hello").header)
    wait_for(lambda: "client=waiting" in str(stage.workers[0].get("/hello").header), "the port to be tried again")
    hit(stage, stage.attach("view"))


def test_an_interpreter_that_cant_be_run_is_named_and_requests_go_on(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(listen, "python_executable", lambda: "/nowhere/python3")
        stage.open()
        answer = stage.workers[0].get("/view?mine")
    assert answer.text == "total 7 for mine"
    assert "busy; reason=" in str(answer.header)
    assert "/nowhere/python3" in caplog.text
    stage.door.close()
    hit(stage, stage.armed("view"))


def test_only_the_first_requests_wait_for_a_debugger_that_takes_long_to_start(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.has_patience(start=0.3)
    release = threading.Event()
    real = listen.Listening._listen

    def slow(listening: listen.Listening) -> tuple[str, int]:
        assert release.wait(10)
        return real(listening)

    monkeypatch.setattr(listen.Listening, "_listen", slow)
    stage.open()
    first = [worker.start_get("/view?mine") for worker in stage.workers]
    assert all('busy; reason="the debugger has not started yet"' in str(each.result(2).header) for each in first), (
        "all of them wait at the same time"
    )
    assert stage.workers[0].get("/view?mine", timeout=0.25).text == "total 7 for mine"
    # The window ends and the next one begins, all before the first debugger has started.
    stage.door.settings.switch.close()
    stage.open()
    assert "busy" in str(stage.workers[0].get("/view?mine", timeout=2).header)
    release.set()
    wait_for(lambda: "waiting" in str(stage.workers[0].get("/hello").header), "the debugger of the second window")
    hit(stage, stage.attach("view"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param({"wsgi.multiprocess": True}, "--workers 1 --threads 8", id="a server of several processes"),
        pytest.param({"wsgi.multithread": False}, "--threads 8", id="a server that handles one request at a time"),
        pytest.param({}, "STAGEDOOR_THREADS", id="a server that only says that it has threads"),
    ],
)
def test_a_server_that_a_pause_would_stop_is_refused(
    caplog: pytest.LogCaptureFixture, flags: dict[str, bool], words: str
) -> None:
    stage = Stage(threads=None)
    stage.open()
    for _ in range(3):
        answer = serve(stage.door, make_environ("/view?mine") | flags)
        assert answer.text == "total 7 for mine"
        assert "client=busy; reason=" in str(answer.header)
    stage.stop()
    failures = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(failures) == 1
    assert words in failures[0]
    assert not is_listening(stage.port)


@pytest.mark.parametrize("bind", ["0.0.0.0:5678", "203.0.113.7:5678", "[::]:5678", "[2001:db8::1]:5678"])
def test_an_address_that_is_not_loopback_is_refused_at_construction(bind: str) -> None:
    with pytest.raises(ConfigurationError, match=r"bind=.*is not a port on a loopback address"):
        StageDoor(application.application, bind=bind, debugger="listen", switch="memory")


def test_ipv6_loopback() -> None:
    stage = Stage(host="::1")
    try:
        hit(stage, stage.armed("view"))
    finally:
        stage.stop()


def test_a_second_door_in_the_process_is_told_that_there_is_one(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    second = Stage()
    try:
        client = stage.armed("view")
        second.open()
        answer = second.workers[0].get("/view?second", timeout=5)
        assert answer.text == "total 7 for second"
        assert "busy; reason=" in str(answer.header)
        assert "Wrap the outermost application only" in caplog.text
        hit(stage, client)
        stage.door.close()
        second.door.close()
        hit(second, second.armed("view"))
    finally:
        second.stop()


def test_an_application_that_is_wrapped_twice_works_as_if_it_was_wrapped_once() -> None:
    inner = Stage()
    stage = Stage(inner.door)
    try:
        inner.open()
        client = stage.armed("view")
        hit(stage, client)
        answer = stage.workers[0].get("/hello")
        assert [value for name, value in answer.headers if name == "Stagedoor"] == [answer.header]
        assert "client=attached" in str(answer.header)
        stage.passes()
    finally:
        stage.stop()
        inner.stop()


def test_a_debugger_that_was_started_by_the_application_is_left_alone(serve: Serve) -> None:
    server = serve(app="support.application:debugged_application", STAGEDOOR_DEBUGGER="listen")
    server.get("/hello", OTHER)
    server.open()
    wait_for(lambda: "busy" in server.get("/hello", ALLOWED).headers.get("Stagedoor", ""), "the server to notice")
    assert "Remove debugpy.listen()" in server.log
    assert server.get("/view?x", ALLOWED).body == "total 7 for x"


# -- Servers -----------------------------------------------------------------------------------------------------------


def test_the_last_thread_of_a_worker_is_left_for_the_others(serve: Serve) -> None:
    server = serve("gunicorn", STAGEDOOR_DEBUGGER="listen", STAGEDOOR_TESTS_OPTIONS="threads=3")
    client = server.armed("view")
    paused = [server.start_get("/view?mine") for _ in range(2)]
    threads = [client.stopped()["threadId"] for _ in paused]
    one_more = server.get("/view?one-more", ALLOWED)
    assert "busy" in one_more.headers["Stagedoor"]
    assert server.get("/view?other", OTHER).body == "total 7 for other"
    for thread in threads:
        client.resume(thread)
    assert [each.answer().body for each in paused] == ["total 7 for mine"] * 2


# -- Processes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def armed_server(serve: Serve) -> tuple[ServerProcess, DapClient]:
    server = serve(STAGEDOOR_DEBUGGER="listen")
    return server, server.armed("view", "work")


def test_a_child_forked_while_armed_is_not_debugged(armed_server: tuple[ServerProcess, DapClient]) -> None:
    server, client = armed_server
    before = server.report()
    for source in (OTHER, ALLOWED):
        child = json.loads(server.start_get("/fork", source).answer(5).body)
        assert child["value"] == 41, "the child ran over the breakpoint"
        assert child["trace"] == child["threading_trace"] == "None"
        assert child["tool"] is None
        assert child["breakpointhook"]
        assert not [name for name in child["threads"] if "pydevd" in name.lower() or "stagedoor" in name]
        assert len(before["debugger_sockets"]) == 1
        assert not set(before["debugger_sockets"]) & set(child["sockets"])
    # And the parent's debugger has not noticed.
    paused = server.start_get("/view?mine")
    client.resume(client.stopped()["threadId"])
    client.resume(client.stopped()["threadId"])
    assert paused.answer().body == "total 7 for mine"


def test_a_program_started_while_armed_inherits_nothing(armed_server: tuple[ServerProcess, DapClient]) -> None:
    server, _ = armed_server
    for source in (OTHER, ALLOWED):
        assert json.loads(server.get("/child", source).body) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_adapter_outlives_a_server_that_was_killed(
    armed_server: tuple[ServerProcess, DapClient], number: signal.Signals
) -> None:
    server, client = armed_server
    server.start_get("/view?mine")
    client.stopped()
    assert adapters(server.debug_port)
    os.kill(server.process.pid, number)
    server.process.wait(5)
    # As VS Code does. For as long as a client does not, debugpy's adapter keeps the port, and nobody is left to end it.
    client.wait_event("terminated")
    client.close()
    wait_for(lambda: not adapters(server.debug_port), "the adapter to end with its server", timeout=2)


def test_a_server_that_is_told_to_end_is_not_held_up_by_paused_requests(serve: Serve) -> None:
    server = serve("gunicorn", STAGEDOOR_DEBUGGER="listen", STAGEDOOR_TESTS_OPTIONS="graceful_timeout=1")
    client = server.armed("view")
    paused = server.start_get("/view?mine")
    client.stopped()
    worker = int(server.report()["pid"])
    os.kill(worker, signal.SIGTERM)
    assert paused.answer(5).body == "total 7 for mine", "it has run on, and its worker was not killed"
    # The client keeps its socket open.
    wait_for(lambda: not adapters(server.debug_port), "the adapter to end with its server", timeout=3)


@pytest.mark.parametrize("debugger", ["listen", "gatekeeper"])
@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_green_threads_are_refused(serve_gated: ServeGated, library: str, debugger: str) -> None:
    pytest.importorskip(library)
    server = serve_gated(library, STAGEDOOR_DEBUGGER=debugger)
    server.open()
    wait_for(lambda: "busy" in server.get("/hello", ALLOWED).headers.get("Stagedoor", ""), "the server to refuse")
    assert not server.gatekeepers()
    answer = server.get("/view?x", ALLOWED)
    assert answer.body == "total 7 for x"
    assert f"{library} has patched this process" in answer.headers["Stagedoor"]
    assert not server.report()["debugger_loaded"]


def test_a_request_that_runs_on_because_all_pauses_are_taken_is_told_in_console_and_log(serve: Serve) -> None:
    server = serve("waitress", STAGEDOOR_TESTS_OPTIONS="threads=2")
    client = server.armed("view")
    paused = server.start_get("/view?mine", ALLOWED)
    stopped = client.stopped()["threadId"]
    for _ in range(2):
        assert server.get("/view?more", ALLOWED).headers["Stagedoor"].split("client=")[1].startswith("busy")
    client.resume(stopped)
    for words in ("GET /view was not paused: worker", "2 matching requests ran on meanwhile"):
        client.wait_event("output", lambda event, words=words: words in event["output"])
        assert server.log.count(f"refused: {words}") == 1
    assert paused.answer().body == "total 7 for mine"
