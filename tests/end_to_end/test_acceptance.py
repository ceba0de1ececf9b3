"""The gatekeeper with real servers under everything that a day brings: many workers, deaths, restarts and deadlines."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from conftest import ServeGated
from stagedoor.control.connection import ControlConnection
from stagedoor.control.place import socket_path
from stagedoor.dap.client import RequestFailed, WaitFailed
from stagedoor.dap.ide import Ide, Stop
from stagedoor.window.window import format_time
from support import application
from support.application import stop_line
from support.gatekeepers import GatedServer
from support.servers import ALLOWED, OTHER, Answer, Pending, is_listening
from support.waiting import wait_for

GTHREAD = ("gunicorn", "workers=4 threads=4")
SYNC = ("gunicorn", "workers=4 threads=1 worker_class=sync")
SERVERS = [
    pytest.param(*GTHREAD, id="gunicorn with four workers of four threads"),
    pytest.param(*SYNC, id="gunicorn with four sync workers"),
    pytest.param("waitress", "", id="waitress"),
    pytest.param("werkzeug", "", id="werkzeug"),
]
WORKERS = [SERVERS[0], SERVERS[1]]

#: Seconds within which a request that is not debugged is answered, however many others are paused. It takes about 2 ms;
#: the rest is for a machine that does other things too.
UNDISTURBED = 1.0


def pause_one_in_each_of(server: GatedServer, ide: Ide, workers: int) -> dict[int, tuple[Pending, Stop]]:
    """Send matching requests until one is paused in each of so many workers. Every one of them has to stop."""
    paused: dict[int, tuple[Pending, Stop]] = {}
    for number in range(200):
        pending = server.start_get(f"/view?{number}", ALLOWED)
        stop = ide.stopped()
        assert stop.locals()["query"] == f"'{number}'"
        pid = int(stop.session.evaluate("os.getpid()", stop.frame()["id"]))
        if pid in paused:
            stop.resume()
            assert pending.answer().body == f"total 7 for {number}"
        else:
            paused[pid] = pending, stop
        if len(paused) == workers:
            return paused
    raise AssertionError(f"200 requests came to {len(paused)} workers only")


def undisturbed(server: GatedServer, requests: int = 40) -> list[Answer]:
    """Requests of others, eight at a time, over the line with the breakpoint: none is paused."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: server.get(f"/view?{number}", OTHER), range(requests)))
    assert [answer.body for answer in answers] == [f"total 7 for {number}" for number in range(requests)]
    slowest = max(answer.seconds for answer in answers)
    print(f"The slowest of {requests} requests of others took {slowest * 1000:.1f} ms.")
    assert slowest < UNDISTURBED
    return answers


@pytest.mark.parametrize(("server_name", "options"), SERVERS)
def test_every_worker_stops_in_its_first_matching_request_and_nobody_else_waits(
    serve_gated: ServeGated, server_name: str, options: str
) -> None:
    server = serve_gated(server_name, options)
    ide = server.ready("view")
    # A sync worker serves one request at a time: one of the four is left for the others.
    paused = pause_one_in_each_of(server, ide, 3 if (server_name, options) == SYNC else server.workers)
    undisturbed(server)
    assert len(server.gatekeepers()) == 1
    reported = {worker["pid"] for worker in server.status()["workers"] if worker["paused"]}
    assert reported == set(paused)
    for pid, (pending, stop) in paused.items():
        assert not pending.done
        assert (stop.frame()["name"], stop.frame()["line"]) == ("view", stop_line("view"))
        assert re.fullmatch(rf"GET /view\?.+ \(worker {pid}\)", stop.name())
        query = stop.locals()["query"].strip("'")
        stop.resume()
        answer = pending.answer()
        assert answer.body == f"total 7 for {query}"
        assert answer.headers["Stagedoor"].endswith("client=attached")


@pytest.mark.parametrize(("server_name", "options"), SERVERS)
def test_stepping_and_changing_a_variable(serve_gated: ServeGated, server_name: str, options: str) -> None:
    server = serve_gated(server_name, options)
    ide = server.ready("view")
    paused = server.start_get("/view?mine", ALLOWED)
    stop = ide.stopped()
    assert stop.session.evaluate("cart['apples'] + 1", stop.frame()["id"]) == "4"
    stop.session.step_in(stop.thread_id)
    assert (stop := ide.stopped()).frame()["name"] == "work"
    stop.session.next(stop.thread_id)
    assert (stop := ide.stopped()).frame()["line"] == stop_line("work")
    stop.session.step_out(stop.thread_id)
    assert (stop := ide.stopped()).frame()["name"] == "view"
    stop.session.next(stop.thread_id)
    assert (stop := ide.stopped()).frame()["line"] == stop_line("view") + 1
    scope = stop.session.scopes(stop.frame()["id"])[0]
    change = {"variablesReference": scope["variablesReference"], "name": "query", "value": "'changed'"}
    stop.session.request("setVariable", change)
    stop.resume()
    assert paused.answer().body == "total 7 for changed"


@pytest.mark.parametrize(("server_name", "options"), SERVERS)
def test_breakpoints_with_a_condition_a_message_and_a_hit_count(
    serve_gated: ServeGated, server_name: str, options: str
) -> None:
    server = serve_gated(server_name, options)
    points = [
        {"line": stop_line("view"), "condition": "query == 'two'"},
        {"line": stop_line("work"), "logMessage": "number is {number}"},
        {"line": stop_line("stream"), "hitCondition": "3"},
    ]
    ide = server.ready(breakpoints={application.__file__: points})
    assert server.get("/view?one", ALLOWED).body == "total 7 for one"
    paused = server.start_get("/view?two", ALLOWED)
    stop = ide.stopped()
    assert stop.locals()["query"] == "'two'"
    stop.resume()
    assert paused.answer().body == "total 7 for two"
    stop.session.wait_event("output", lambda body: "number is 3" in body["output"])
    paused = server.start_get("/stream?blocks=5", ALLOWED)
    stop = ide.stopped()
    assert stop.locals()["number"] == "2"
    stop.resume()
    assert paused.answer().body == "".join(f"block {number}\n" for number in range(5))


@pytest.mark.parametrize(
    ("chosen", "frames"),
    [
        # pydevd stops in every frame of the user's that the exception passes.
        pytest.param("raised", ["failing", "application"], id="raised"),
        pytest.param("userUnhandled", ["failing"], id="user uncaught"),
    ],
)
def test_an_exception_stops_where_it_is_raised(serve_gated: ServeGated, chosen: str, frames: list[str]) -> None:
    server = serve_gated(*GTHREAD)
    ide = server.ready(exception_filters=[chosen])
    paused = server.start_get("/failing", ALLOWED)
    for name in frames:
        stop = ide.stopped()
        assert (stop.reason, stop.frame()["name"]) == ("exception", name)
        stop.resume()
    assert paused.answer().status == 500
    assert server.get("/failing", OTHER).status == 500


@pytest.mark.parametrize(("server_name", "options"), SERVERS)
def test_disconnecting_and_attaching_again_misses_nothing(
    serve_gated: ServeGated, server_name: str, options: str
) -> None:
    server = serve_gated(server_name, options)
    server.open()
    server.joined()
    for number in range(50):
        ide = server.ide("view")
        paused = server.start_get(f"/view?{number}", ALLOWED)
        assert ide.stopped().locals()["query"] == f"'{number}'"
        if number % 2:
            ide.disconnect()
        else:
            ide.close()
        assert paused.answer().body == f"total 7 for {number}"
        wait_for(lambda: server.status()["sessions"] == [], "the gatekeeper to see that the client is gone")


def test_requests_that_run_when_the_client_attaches_run_on_undebugged(serve_gated: ServeGated, tmp_path: Path) -> None:
    server = serve_gated(*GTHREAD)
    server.open()
    server.joined()
    run = tmp_path / "run-on"
    # One thread less than a worker has: they may all come to one.
    before = [server.start_get(f"/slow?{run}", ALLOWED) for _ in range(3)]
    wait_for(lambda: len(list(tmp_path.glob("run-on-begun-*"))) == 3, "the three requests to run")
    ide = server.ide("work")
    paused = server.start_get("/view?mine", ALLOWED)
    stop = ide.stopped()
    assert stop.session.stack(stop.thread_id)[1]["name"] == "view"
    run.touch()
    assert [pending.answer().body for pending in before] == ["True"] * 3
    stop.resume()
    assert paused.answer().body == "total 7 for mine"


def test_two_workers_that_join_at_once_both_stop(serve_gated: ServeGated) -> None:
    server = serve_gated(*SYNC)
    ide = server.ready("view")
    # A sync worker serves one request at a time, so these come to two.
    pending = [server.start_get(f"/view?{number}", ALLOWED) for number in range(2)]
    stops = [ide.stopped() for _ in pending]
    assert {stop.locals()["query"] for stop in stops} == {"'0'", "'1'"}
    assert len({stop.worker() for stop in stops}) == 2
    for stop in stops:
        stop.resume()
    assert [each.answer().body for each in pending] == [f"total 7 for {number}" for number in range(2)]


# Deaths


@pytest.mark.parametrize(("server_name", "options"), WORKERS)
def test_a_paused_worker_that_is_killed_leaves_the_session_going(
    serve_gated: ServeGated, server_name: str, options: str
) -> None:
    server = serve_gated(server_name, options)
    ide = server.ready("view")
    paused = pause_one_in_each_of(server, ide, 2)
    (killed, (lost, _)), (_, (kept, stop)) = paused.items()
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(OSError):
        lost.answer()
    ide.session.wait_event("output", lambda body: f"worker {killed} has ended" in body["output"].lower())
    assert not kept.done
    stop.resume()
    assert kept.answer().status == 200
    pids = server.joined()
    assert killed not in pids
    pause_and_resume(server, ide)


def test_a_gatekeeper_that_is_killed_leaves_undebugged_requests(serve_gated: ServeGated) -> None:
    server = serve_gated(*GTHREAD)
    ide = server.ready("view")
    paused = pause_one_in_each_of(server, ide, 2)
    [pid] = server.gatekeepers()
    os.kill(pid, signal.SIGKILL)
    for pending, _ in paused.values():
        assert pending.answer(timeout=3).status == 200
    wait_for(lambda: not server.debugger_threads(), "the workers to stop debugging", timeout=3)
    ide.session.wait_closed(3)
    server.joined()
    assert server.gatekeepers() != [pid]
    pause_and_resume(server, server.ide("view"))


def test_a_client_that_is_killed_leaves_running_requests_and_a_free_port(
    serve_gated: ServeGated, tmp_path: Path
) -> None:
    server = serve_gated(*GTHREAD)
    server.open()
    server.joined()
    client = start_ide_process(server)
    try:
        paused = server.start_get("/view?mine", ALLOWED)
        wait_for(lambda: any(worker["paused"] for worker in server.status()["workers"]), "the request to be paused")
    finally:
        client.kill()
        client.wait()
    assert paused.answer(timeout=3).body == "total 7 for mine"
    wait_for(lambda: server.status()["sessions"] == [], "the gatekeeper to see that the client is gone")
    pause_and_resume(server, server.ide("view"))


def pause_and_resume(server: GatedServer, ide: Ide) -> None:
    paused = server.start_get("/view?again", ALLOWED)
    ide.stopped().resume()
    assert paused.answer().body == "total 7 for again"


def start_ide_process(server: GatedServer) -> subprocess.Popen[str]:
    """An IDE in a process of its own, attached."""
    script = (
        "import sys; from stagedoor.dap.ide import Ide\n"
        "ide = Ide(('127.0.0.1', int(sys.argv[1])), {sys.argv[2]: [int(sys.argv[3])]}, source_address=(sys.argv[4], 0), token=sys.argv[5])\n"
        "print('attached', flush=True); ide.session.wait_closed(60)"
    )
    arguments = [str(server.debug_port), application.__file__, str(stop_line("view")), ALLOWED, str(server.token())]
    client = subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline() == "attached\n"
    return client


# Restarts


@pytest.mark.parametrize(
    ("options", "misses_the_last"),
    [
        # It is replaced only when its last request is over, so a paused one would hold that up.
        pytest.param("workers=2 threads=4 max_requests=5", True, id="threads"),
        pytest.param("workers=2 threads=1 worker_class=sync max_requests=3", False, id="sync"),
    ],
)
def test_workers_that_are_replaced_after_some_requests_are_debugged_like_the_first(
    serve_gated: ServeGated, options: str, misses_the_last: bool
) -> None:
    server = serve_gated("gunicorn", options)
    server.open()

    def attach() -> Ide | None:
        # One request, not many: a worker is replaced after a few, and with the last one its gatekeeper goes.
        server.get("/pid", ALLOWED)
        with suppress(AssertionError, OSError, RequestFailed, WaitFailed):
            wait_for(lambda: is_listening(server.debug_port), "the gatekeeper to listen", timeout=3)
            return server.ide("view")
        return None

    ide = wait_for(attach, "a worker that stays until the IDE is attached", timeout=30)
    seen = set()
    for number in range(12):
        paused = server.start_get(f"/view?{number}", ALLOWED)
        stop = wait_for(lambda paused=paused: next_stop(ide, paused), "a stop or an answer")  # type: ignore[misc]
        if isinstance(stop, Stop):
            seen.add(stop.session.evaluate("os.getpid()", stop.frame()["id"]))
            stop.resume()
        else:
            assert misses_the_last
            assert "this worker has to end" in stop.headers["Stagedoor"]
        assert paused.answer().body == f"total 7 for {number}"
    assert len(seen) > 2


def next_stop(ide: Ide, pending: Pending) -> Stop | Answer | None:
    """The next stop, or the answer if that comes instead."""
    if pending.done:
        return pending.answer()
    with suppress(WaitFailed):
        return ide.stopped(0.05)
    return None


@pytest.mark.parametrize(("server_name", "options"), WORKERS)
def test_a_reload_lets_paused_requests_run_on_and_keeps_the_session(
    serve_gated: ServeGated, server_name: str, options: str
) -> None:
    server = serve_gated(server_name, options)
    ide = server.ready("view")
    paused = pause_one_in_each_of(server, ide, 2)
    before = server.joined(0)
    os.kill(server.process.pid, signal.SIGHUP)
    for pending, _ in paused.values():
        assert pending.answer(timeout=5).status == 200
    wait_for(lambda: not before & server.joined(1), "the new workers to have taken over", timeout=5)
    pause_and_resume(server, ide)


@pytest.mark.parametrize(("server_name", "options"), WORKERS)
def test_a_graceful_shutdown_does_not_wait_for_paused_requests(
    serve_gated: ServeGated, server_name: str, options: str
) -> None:
    server = serve_gated(server_name, options)
    ide = server.ready("view")
    paused = pause_one_in_each_of(server, ide, 2)
    os.kill(server.process.pid, signal.SIGTERM)
    for pending, _ in paused.values():
        assert pending.answer(timeout=5).status == 200
    server.process.wait(5)
    wait_for(lambda: any("has to end, so its requests run on" in line for line in ide.console()), "the reason")
    outputs = [event["body"] for event in ide.session.events if event["event"] == "output"]
    assert {body["category"] for body in outputs if "has to end, so" in body["output"]} == {"important"}


def test_preloaded_workers_are_debugged_each_on_its_own(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4 preload_app=True")
    ide = server.ready("view")
    paused = pause_one_in_each_of(server, ide, 2)
    undisturbed(server)
    server.switch.close()
    for pending, _ in paused.values():
        assert pending.answer(timeout=5).status == 200
    server.wait_until_gone()


def test_werkzeugs_reloader_does_not_wait_for_a_paused_request_and_the_next_process_is_debugged(
    serve_gated: ServeGated, tmp_path: Path
) -> None:
    watched = tmp_path / "code.py"
    watched.touch()
    server = serve_gated("werkzeug", f"reload_when_changed={watched}")
    ide = server.ready("view")
    first = process_id(server)
    # It ends all threads of the process: the request is answered or not, as without a debugger.
    paused = server.start_get("/view?paused", ALLOWED)
    ide.stopped()
    os.utime(watched, (time.time() + 10,) * 2)
    wait_for(lambda: paused.done, "the paused request to be over")
    wait_for(lambda: process_id(server) not in (None, first), "the server to come back")
    server.joined()
    pause_and_resume(server, ide)


def process_id(server: GatedServer) -> str | None:
    """The process that serves a request; ``None`` while there is none."""
    try:
        return server.get("/pid").body or None
    except (OSError, HTTPException):
        return None


# What a server does not have to bear


def test_gunicorn_does_not_kill_a_sync_worker_that_is_paused(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=1 worker_class=sync timeout=2")
    server.open()
    before = server.joined()
    ide = server.ide("view")
    paused = server.start_get("/view?paused", ALLOWED)
    stop = ide.stopped()
    wait_for(lambda: longest_pause(server) > 4, "a pause of twice the timeout", every=0.1)
    stop.resume()
    assert paused.answer().body == "total 7 for paused"
    assert server.joined() == before


def test_a_request_that_is_paused_for_too_long_runs_on(serve_gated: ServeGated) -> None:
    server = serve_gated(*GTHREAD, STAGEDOOR_MAX_PAUSE="1s")
    ide = server.ready("view")
    assert server.start_get("/view?long", ALLOWED).answer().body == "total 7 for long"
    wait_for(
        lambda: any("GET /view was continued after 1s (max_pause)" in line for line in ide.console()), "the reason"
    )


def test_the_developer_is_warned_before_a_paused_request_runs_on(serve_gated: ServeGated) -> None:
    server = serve_gated(*GTHREAD, STAGEDOOR_MAX_PAUSE="31s")
    ide = server.ready("view")
    paused = server.start_get("/view?long", ALLOWED)
    stop = ide.stopped()
    wait_for(lambda: any("GET /view is continued in 30 s (max_pause)" in line for line in ide.console()), "the warning")
    assert not paused.done
    stop.resume()


def test_the_last_thread_of_a_worker_is_left_for_the_others(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=1 threads=3")
    ide = server.ready("view")
    paused = [server.start_get("/view?mine", ALLOWED) for _ in range(2)]
    stops = [ide.stopped() for _ in paused]
    for _ in range(3):
        assert "busy" in server.get("/view?one-more", ALLOWED).headers["Stagedoor"]
    undisturbed(server, 8)

    def told(words: str) -> int:
        return sum(words in line for line in ide.console())

    first, in_all = "GET /view was not paused: worker", "3 matching requests ran on meanwhile"
    wait_for(lambda: told(first), "the console to say so")
    stops[0].resume()
    wait_for(lambda: told(in_all), "the console to say how many there were")
    assert (told("was not paused"), told("ran on meanwhile")) == (1, 1), "once a pause"
    assert (server.log.count(f"refused: {first}"), server.log.count(f"refused: {in_all}")) == (1, 1)
    again = server.start_get("/view?mine", ALLOWED)
    stops[0] = ide.stopped()
    assert "busy" in server.get("/view?one-more", ALLOWED).headers["Stagedoor"]
    wait_for(lambda: told(first) == 2, "the console to say so of the next pause too")
    for stop in stops:
        stop.resume()
    assert [pending.answer().body for pending in (*paused, again)] == ["total 7 for mine"] * 3


def test_the_gatekeeper_starts_where_the_server_is_not_python(serve_gated: ServeGated) -> None:
    server = serve_gated("waitress", STAGEDOOR_TESTS_EXECUTABLE="/bin/true")
    pause_and_resume(server, server.ready("view"))


def test_all_workers_share_the_window_of_the_environment(serve_gated: ServeGated) -> None:
    until = format_time(datetime.now(UTC) + timedelta(minutes=10))
    token = "a-token-for-four-workers"
    server = serve_gated(*GTHREAD, STAGEDOOR_UNTIL=until, STAGEDOOR_TOKEN=token, STAGEDOOR_SWITCH="")
    wait_for(lambda: server.get("/hello", ALLOWED) and is_listening(server.debug_port), "the gatekeeper to listen")
    ide = server.ide("view", token=token)
    for pending, stop in pause_one_in_each_of(server, ide, 4).values():
        stop.resume()
        assert pending.answer().status == 200


def test_a_later_end_in_the_environment_is_that_of_the_window_after_a_restart(serve_gated: ServeGated) -> None:
    """The gatekeeper that the server's earlier process has started knows the earlier end."""

    def serve(minutes: int, **environ: str) -> GatedServer:
        until = format_time(datetime.now(UTC) + timedelta(minutes=minutes))
        token = "a-token-for-two-processes"
        return serve_gated("waitress", STAGEDOOR_UNTIL=until, STAGEDOOR_TOKEN=token, STAGEDOOR_SWITCH="", **environ)

    def left(server: GatedServer) -> float:
        server.get("/hello", ALLOWED)
        with suppress(OSError, EOFError):
            return float(ControlConnection(control).ask({"status": {}}, 2)["status"]["seconds_left"])
        return 0.0

    first = serve(10)
    bind = f"127.0.0.1:{first.debug_port}"
    control = socket_path(first.runtime / "stagedoor", bind, "the environment switch STAGEDOOR_UNTIL")
    wait_for(lambda: 590 < left(first) <= 600, "the gatekeeper")
    os.kill(first.process.pid, signal.SIGKILL)
    second = serve(20, STAGEDOOR_BIND=bind, XDG_RUNTIME_DIR=str(first.runtime))
    wait_for(lambda: 1190 < left(second) <= 1200, "the gatekeeper to know the later end")


def test_a_debugger_that_was_started_by_the_application_is_left_alone(serve_gated: ServeGated) -> None:
    """By default debugpy runs every process that its own one starts: the gatekeeper would be one."""
    server = serve_gated("waitress", app="support.application:debugged_application")
    server.get("/hello", OTHER)
    server.open()
    wait_for(lambda: "busy" in server.get("/hello", ALLOWED).headers.get("Stagedoor", ""), "the refusal", timeout=5)
    assert "Remove debugpy.listen()" in server.log
    assert not server.gatekeepers()
    assert not is_listening(server.debug_port)
    assert server.get("/view?x", ALLOWED).body == "total 7 for x"
    server.switch.close()
    wait_for(lambda: "stagedoor-window" not in server.report()["threads"], "the window's thread to end")


def test_two_doors_in_one_process_are_told_to_be_one(serve_gated: ServeGated) -> None:
    server = serve_gated("waitress", app="support.application:with_another_door")
    server.open()
    server.joined(1)
    wait_for(
        lambda: server.get("/inner", ALLOWED) and "wrap the outermost application only" in server.log,
        "the other door to be refused",
        timeout=5,
    )
    pause_and_resume(server, server.ide("view"))


def longest_pause(server: GatedServer) -> float:
    return max((pause["seconds"] for worker in server.status()["workers"] for pause in worker["paused"]), default=0.0)


# The end


@pytest.mark.parametrize(("server_name", "options"), SERVERS)
def test_at_the_end_of_the_window_nothing_is_left_and_it_can_be_opened_again(
    serve_gated: ServeGated, server_name: str, options: str
) -> None:
    server = serve_gated(server_name, options)
    before = {pid: open_descriptors(pid) for pid in reports(server)}
    for how in ("closed", "reached its end"):
        ide = server.ready("view")
        paused = pause_one_in_each_of(server, ide, min(2, server.workers))
        if how == "closed":
            server.switch.close()
        else:
            server.open(timedelta(seconds=1))
        for pending, _ in paused.values():
            assert pending.answer(timeout=5).body.startswith("total 7 for ")
        ide.session.wait_closed(3)
        server.wait_until_gone()
        assert any(how in line for line in ide.console())
    after = reports(server)
    assert after.keys() == before.keys()
    for pid, report in after.items():
        assert report["trace"] == report["threading_trace"] == "None"
        assert report["tool"] is None
        wait_until_closed(pid, before[pid])


def wait_until_closed(pid: int, before: Counter[str]) -> None:
    """Wait until a process has no more open than it had before."""

    def more() -> Counter[str]:
        return open_descriptors(pid) - before

    try:
        wait_for(lambda: not more(), f"process {pid} to close everything", timeout=3)
    except AssertionError:
        raise AssertionError(f"process {pid} still has open: {more()}") from None


def open_descriptors(pid: int) -> Counter[str]:
    """What a process has open, by kind, when it serves no request."""
    found: Counter[str] = Counter()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # Closed just now.
            found[os.readlink(entry).partition(":[")[0]] += 1
    return found


def reports(server: GatedServer) -> dict[int, dict[str, Any]]:
    """What every worker knows of itself."""
    found: dict[int, dict[str, Any]] = {}

    def ask() -> bool:
        with ThreadPoolExecutor(8) as pool:
            for answer in pool.map(lambda _: server.get("/report"), range(4 * server.workers)):
                report = json.loads(answer.body)
                found[report["pid"]] = report
        return len(found) >= server.workers

    wait_for(ask, f"all {server.workers} workers to report")
    return found
