"""Which threads are traced, against the real debugpy; the test decides which thread serves which request."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from traceback import walk_stack
from types import CodeType
from typing import Any

import pytest

from stagedoor.dap.client import DapClient
from support import application
from support.application import stop_line
from support.servers import OTHER
from support.stage import Environ, Response, Stage, Worker, breakpoints, make_environ, process_state, serve, unfinished
from support.waiting import wait_for

BELOW_3_12 = sys.version_info < (3, 12)


def stopped_at(client: DapClient) -> tuple[int, str, int]:
    """Thread, function and line of the next stop."""
    stop = client.stopped()
    frame = client.stack(stop["threadId"])[0]
    return stop["threadId"], frame["name"], frame["line"]


# -- Who is stopped ----------------------------------------------------------------------------------------------------


def test_several_matching_requests_are_paused_and_running_at_once(stage: Stage) -> None:
    client = stage.armed("view")
    paused = [worker.start_get(f"/view?{number}") for number, worker in enumerate(stage.workers[:2])]
    threads = [stopped_at(client)[0] for _ in paused]
    assert len(set(threads)) == 2
    # A third one that runs while they are paused, over no breakpoint, and a fourth that is none of the developer's.
    assert stage.workers[2].get("/hello").text == "hello"
    assert stage.workers[3].get("/view?other", OTHER).text == "total 7 for other"
    assert not any(each.done() for each in paused)
    client.resume(threads[0])
    assert [each.result(5).text for each in paused] == ["total 7 for 0", "total 7 for 1"]


def test_a_paused_request_goes_on_holding_what_it_holds(stage: Stage) -> None:
    client = stage.armed("holding")
    mine, other = stage.workers[:2]
    paused = mine.start_get("/holding?mine")
    thread, _, _ = stopped_at(client)
    its_thread = other.run(threading.get_ident).result(5)
    waiting = other.start_get("/holding?other", OTHER)
    wait_for(
        lambda: application.holding.__code__ in running(its_thread), "a visitor to want what the paused request holds"
    )
    # Whoever wants nothing of it is served.
    assert stage.workers[2].get("/view?another", OTHER, timeout=2).text == "total 7 for another"
    assert not waiting.done()
    client.resume(thread)
    assert [each.result(5).text for each in (paused, waiting)] == ["held by mine", "held by other"]


def running(thread: int) -> list[CodeType]:
    """What runs on a thread."""
    return [frame.f_code for frame, _ in walk_stack(sys._current_frames()[thread])]


def test_one_request_steps_while_another_stays_paused(stage: Stage) -> None:
    client = stage.armed("view")
    first, second = (worker.start_get(f"/view?{number}") for number, worker in enumerate(stage.workers[:2]))
    thread, _, line = stopped_at(client)
    other, _, _ = stopped_at(client)
    client.next(thread)
    assert stopped_at(client) == (thread, "view", line + 1)
    client.step_in(other)
    assert stopped_at(client)[:2] == (other, "work")
    assert not first.done()
    assert not second.done()
    client.resume(thread)
    assert {first.result(5).text, second.result(5).text} == {"total 7 for 0", "total 7 for 1"}


def test_everybody_elses_breakpoint_calls_do_nothing(stage: Stage) -> None:
    client = stage.armed()
    stage.passes("/hard-coded")
    assert stage.workers[0].get("/is-connected", OTHER).text == "False"
    mine = stage.workers[1].start_get("/hard-coded")
    thread, name, _ = stopped_at(client)
    assert name == "hard_coded"
    client.resume(thread)
    assert mine.result(5).text == "past the hard-coded breakpoint"
    assert stage.workers[1].get("/is-connected").text == "True"


def test_everybody_elses_builtin_breakpoint_is_the_applications_own(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: calls.append(threading.current_thread().name))
    before = sys.breakpointhook
    client = stage.armed()
    stage.workers[1].get("/builtin-breakpoint", OTHER)
    assert len(calls) == 1
    mine = stage.workers[1].start_get("/builtin-breakpoint")
    thread, name, _ = stopped_at(client)
    assert name == "builtin_breakpoint"
    client.resume(thread)
    mine.result(5)
    assert len(calls) == 1
    stage.door.close()
    assert sys.breakpointhook is before


def test_a_call_that_traces_every_thread_traces_only_a_matching_one(stage: Stage) -> None:
    client = stage.armed("work")
    stage.passes("/trace-everything")
    stage.passes()
    with running_over_a_breakpoint():
        stage.workers[1].get("/trace-everything")
        stage.passes()
    assert stops(client) == 0


@contextmanager
def running_over_a_breakpoint() -> Iterator[None]:
    """A thread of the application's own that runs over the line "work" all the time, and is not held up."""
    release, turns = threading.Event(), itertools.count()

    def run() -> None:
        while not release.is_set():
            application.work(next(turns))

    thread = threading.Thread(target=run)
    thread.start()
    yield
    before = next(turns)
    wait_for(lambda: next(turns) > before + 10, "the application's own thread to run on")
    release.set()
    thread.join(5)
    assert not thread.is_alive()


def test_an_uncaught_exception_stops_only_a_matching_request(stage: Stage) -> None:
    client = stage.armed(exception_filters=["raised", "uncaught", "userUnhandled"])
    others = [worker.start_get("/failing", OTHER) for worker in stage.workers[1:]]
    mine = stage.workers[0].start_get("/failing")
    stop = client.stopped()
    assert stop["reason"] == "exception"
    assert client.stack(stop["threadId"])[0]["name"] == "failing"
    for other in others:
        with pytest.raises(KeyError):
            other.result(2)
    others = [worker.start_get("/failing", OTHER) for worker in stage.workers[1:]]
    for other in others:
        with pytest.raises(KeyError):
            other.result(2)
    while not mine.done():
        client.resume(stop["threadId"])
        wait_for(lambda: mine.done() or stops(client) > 1, "the request to end or to stop on its way out")
    with pytest.raises(KeyError):
        mine.result(5)
    assert {stop["body"]["threadId"] for stop in client.events if stop["event"] == "stopped"} == {stop["threadId"]}


def stops(client: DapClient) -> int:
    return sum(event["event"] == "stopped" for event in client.events)


def test_pause_stops_nobody_but_a_running_matching_request(stage: Stage) -> None:
    client = stage.armed()
    with running_over_a_breakpoint(), until_told(stage.workers[1]):
        client.request("pause", {"threadId": 1})
        thread, _, _ = stopped_at(client)
        stage.workers[2].get("/view", OTHER, timeout=2)
        client.resume(thread)


@contextmanager
def until_told(worker: Worker) -> Iterator[Future[Response]]:
    """A matching request that runs meanwhile."""
    application.told.clear()
    mine = worker.start_get("/until-told")
    wait_for(lambda: application.waiting_until_told, "the matching request to run")
    try:
        yield mine
    finally:
        application.told.set()
    assert mine.result(5).text == "told"


def test_pause_while_no_request_matches_stops_nobody_later(stage: Stage) -> None:
    client = stage.armed()
    client.request("pause", {"threadId": 1})
    stage.passes()
    for worker in stage.workers:
        assert worker.get("/view?mine", timeout=2).text == "total 7 for mine"
    assert stops(client) == 0


def test_a_step_out_of_the_application_stops_no_later_request(stage: Stage) -> None:
    client = stage.armed("view")
    worker = stage.workers[0]
    mine = worker.start_get("/view?mine")
    thread, _, _ = stopped_at(client)
    client.step_out(thread)
    assert stopped_at(client)[1] == "application"
    client.step_out(thread)
    assert mine.result(5).text == "total 7 for mine"
    client.request("setBreakpoints", {"source": {"path": application.__file__}, "breakpoints": []})
    assert worker.get("/view?later", timeout=2).text == "total 7 for later"
    assert worker.get("/view?other", OTHER, timeout=2).text == "total 7 for other"
    assert stops(client) == 2


@pytest.mark.parametrize("how", ["terminate", "disconnect and terminate"])
def test_a_client_cant_end_the_process(stage: Stage, how: str) -> None:
    client = stage.armed("view")
    paused = stage.workers[0].start_get("/view?mine")
    client.stopped()
    if how == "terminate":
        client.send("terminate")
    else:
        client.send("disconnect", {"terminateDebuggee": True})
    assert paused.result(5).text == "total 7 for mine"
    stage.passes()
    # And the debugger is not stuck: the next client gets its breakpoint. It has to wait for this event: debugpy's
    # adapter refuses a client that comes before, and its port is mute from then on.
    client.wait_event("terminated")
    client.close()
    again = stage.attach("view")
    mine = stage.workers[0].start_get("/view?mine")
    again.resume(stopped_at(again)[0])
    assert mine.result(5).text == "total 7 for mine"


def test_stopping_all_threads_at_once_is_not_to_be_had(stage: Stage) -> None:
    client = stage.armed("view", arguments={"stopAllThreadsOnSuspend": True, "steppingResumesAllThreads": True})
    first, second = (worker.start_get(f"/view?{number}") for number, worker in enumerate(stage.workers[:2]))
    thread, _, line = stopped_at(client)
    stopped_at(client)
    stage.workers[2].get("/view", OTHER, timeout=2)
    client.next(thread)
    assert stopped_at(client) == (thread, "view", line + 1)
    assert not first.done()
    assert not second.done()
    client.resume(thread)
    first.result(5)
    second.result(5)


def test_output_and_changed_code_stay_the_applications_own(stage: Stage) -> None:
    before = process_state()
    client = stage.armed(arguments={"redirectOutput": True, "autoReload": {"enable": True}})
    stage.workers[0].get("/print-secret", OTHER)
    stage.workers[0].get("/print-secret")
    now = process_state()
    assert (now["stdout"], now["stderr"]) == (before["stdout"], before["stderr"])
    client.request("threads")
    assert "s3cret" not in repr([event for event in client.events if event["event"] == "output"])
    assert not any("FSNotify" in name for name in now["threads"])


# -- Directives --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("just_my_code", [True, False])
@pytest.mark.parametrize("carrier", [{"X-Stagedoor": "break"}, {"Cookie": "theme=dark; stagedoor=break"}])
def test_break_stops_at_the_first_line_of_the_application(
    stage: Stage, just_my_code: bool, carrier: dict[str, str]
) -> None:
    client = stage.armed(arguments={"justMyCode": just_my_code})
    worker = stage.workers[0]
    for _ in range(2):
        # Functions that were called before without being stopped in must be found again.
        assert worker.get("/hello", timeout=2).text == "hello"
        mine = worker.start_get("/hello", headers=carrier)
        thread, name, line = stopped_at(client)
        assert (name, line) == ("application", stop_line("first"))
        client.resume(thread)
        assert mine.result(5).text == "hello"
    assert worker.get("/hello", OTHER, carrier, timeout=2).text == "hello"


@pytest.mark.parametrize("carrier", [{"X-Stagedoor": "ignore"}, {"Cookie": "stagedoor=ignore"}])
def test_ignore_leaves_a_matching_request_undebugged(stage: Stage, carrier: dict[str, str]) -> None:
    client = stage.armed("view")
    assert "client=ignored" in str(stage.workers[0].get("/view", headers=carrier, timeout=2).header)
    assert stops(client) == 0


# -- Breakpoints -------------------------------------------------------------------------------------------------------


def test_breakpoints_added_and_removed_while_idle_and_while_paused(stage: Stage) -> None:
    client = stage.armed()
    worker = stage.workers[0]

    def set_stops(*stops: str) -> None:
        lines = [{"line": line} for line in breakpoints(*stops)[application.__file__]]
        client.request("setBreakpoints", {"source": {"path": application.__file__}, "breakpoints": lines})

    def run(*names: str) -> None:
        mine = worker.start_get("/view?mine")
        for name in names:
            thread, function, _ = stopped_at(client)
            assert function == name
            client.resume(thread)
        assert mine.result(5).text == "total 7 for mine"

    run()
    set_stops("view")
    run("view")
    set_stops("view", "work")
    run("view", "work")
    set_stops()
    run()
    set_stops("view")
    mine = worker.start_get("/view?mine")
    thread, _, _ = stopped_at(client)
    set_stops("work")
    client.resume(thread)
    thread, name, _ = stopped_at(client)
    assert name == "work"
    set_stops()
    client.resume(thread)
    assert mine.result(5).text == "total 7 for mine"
    run()


def test_conditions_hit_counts_and_logpoints(stage: Stage) -> None:
    client = stage.armed()
    line = stop_line("view")

    def set_breakpoint(**extra: str) -> None:
        source = {"path": application.__file__}
        client.request("setBreakpoints", {"source": source, "breakpoints": [{"line": line, **extra}]})

    worker = stage.workers[0]
    set_breakpoint(condition="query == 'mine'")
    assert worker.get("/view?yours", timeout=2).text == "total 7 for yours"
    mine = worker.start_get("/view?mine")
    client.resume(stopped_at(client)[0])
    mine.result(5)

    set_breakpoint(hitCondition="3")
    for _ in range(2):
        worker.get("/view?mine", timeout=2)
        stage.workers[1].get("/view?mine", OTHER, timeout=2)
    third = worker.start_get("/view?mine")
    client.resume(stopped_at(client)[0])
    third.result(5)

    set_breakpoint(logMessage="seen {query}")
    stage.workers[1].get("/view?yours", OTHER, timeout=2)
    worker.get("/view?mine", timeout=2)
    output = client.wait_event("output", lambda body: "seen" in body["output"])
    assert output["output"].strip() == "seen mine"
    assert not any("seen yours" in str(event) for event in client.events)


# -- Requests that end in unusual ways ---------------------------------------------------------------------------------


def test_a_streamed_body_is_still_the_request(stage: Stage) -> None:
    client = stage.armed("stream")
    mine = stage.workers[0].start_get("/stream?blocks=2")
    for _ in range(2):
        thread, name, _ = stopped_at(client)
        assert name == "__iter__"
        stage.workers[1].get("/stream?blocks=3", OTHER, timeout=2)
        client.resume(thread)
    assert mine.result(5).text == "block 0\nblock 1\n"
    assert stage.workers[0].get("/stream?blocks=1", OTHER, timeout=2).text == "block 0\n"


def begin(door: Callable[..., Iterable[bytes]], path: str) -> Iterable[bytes]:
    """A server that takes one block of a body, and lets the rest be."""
    body = door(make_environ(path), Response().start)
    next(iter(body))
    return body


def test_a_body_that_is_never_closed_leaves_no_thread_traced(stage: Stage) -> None:
    client = stage.armed("view")
    worker = stage.workers[0]
    abandoned = worker.run(begin, stage.door, "/stream?blocks=3").result(5)
    assert worker.get("/view?other", OTHER, timeout=2).text == "total 7 for other"
    # Also while another matching request runs, and so the events of sys.monitoring are on.
    mine = stage.workers[1].start_get("/view?mine")
    thread, _, _ = stopped_at(client)
    client.next(thread)
    stopped_at(client)
    assert worker.get("/view?other", OTHER, timeout=2).text == "total 7 for other"
    client.resume(thread)
    mine.result(5)
    # And the thread can serve a matching request again, though the first one is not over for the server.
    again = worker.start_get("/view?mine")
    client.resume(stopped_at(client)[0])
    assert again.result(5).text == "total 7 for mine"
    abandoned.close()  # type: ignore[attr-defined]
    assert not unfinished()


def test_a_body_that_is_closed_on_another_thread_leaves_no_thread_traced(stage: Stage) -> None:
    client = stage.armed("view")
    first, second = stage.workers[:2]
    body = first.run(begin, stage.door, "/stream?blocks=3").result(5)
    second.run(body.close).result(5)  # type: ignore[attr-defined]
    mine = second.start_get("/view?mine")
    thread, _, _ = stopped_at(client)
    client.next(thread)
    stopped_at(client)
    assert first.get("/view?other", OTHER, timeout=2).text == "total 7 for other"
    client.resume(thread)
    mine.result(5)
    assert first.run(sys.gettrace).result(5) is None
    assert not unfinished()


def test_a_thread_whose_body_was_closed_elsewhere_shows_nothing_of_its_next_request(stage: Stage) -> None:
    """Logpoints and conditions need no pause to look into a request."""
    client = stage.armed()
    line = {"line": stop_line("view"), "logMessage": "seen {query}"}
    client.request("setBreakpoints", {"source": {"path": application.__file__}, "breakpoints": [line]})
    first, second, third = stage.workers[:3]
    body = first.run(begin, stage.door, "/stream?blocks=3").result(5)
    second.run(body.close).result(5)  # type: ignore[attr-defined]
    with until_told(third):  # The events of sys.monitoring are on.
        first.get("/view?secret", OTHER, timeout=2)
        second.get("/view?mine", timeout=2)
        output = client.wait_event("output", lambda body: "seen" in body["output"])
    assert output["output"].strip() == "seen mine"
    assert not unfinished()


def test_trouble_of_pydevds_is_not_the_applications(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    import pydevd  # type: ignore[import-not-found,import-untyped,unused-ignore]

    def fail(*arguments: Any, **keywords: Any) -> None:
        raise RuntimeError("something about frames")

    client = stage.armed("view")
    with monkeypatch.context() as patch:
        patch.setattr(pydevd.PyDB, "_do_wait_suspend", fail)
        assert stage.workers[0].get("/view?mine").text == "total 7 for mine"
    mine = stage.workers[0].start_get("/view?mine")
    client.stopped()
    client.resume(stopped_at(client)[0])
    assert mine.result(5).text == "total 7 for mine"


def test_a_request_within_a_request_is_part_of_it() -> None:
    def outer(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/outer":
            return application.application(environ, start_response)
        inner = serve(stage.door, make_environ("/view?inner"))
        application.view({"QUERY_STRING": "outer"})
        start_response("200 OK", [])
        return [inner.text.encode()]

    stage = Stage(outer)
    try:
        client = stage.armed("view")
        mine = stage.workers[0].start_get("/outer")
        for query in ("inner", "outer"):
            thread, _, _ = stopped_at(client)
            assert client.locals(client.stack(thread)[0]["id"])["query"] == f"'{query}'"
            client.resume(thread)
        assert mine.result(5).text == "total 7 for inner"
        stage.passes()
    finally:
        stage.stop()


# -- The end of a window -----------------------------------------------------------------------------------------------


def test_a_request_that_runs_at_the_end_runs_on_untraced(stage: Stage) -> None:
    """Promise 3: the application's code runs at its old speed, in a request too that the end finds running."""
    client = stage.armed("work")
    worker = stage.workers[0]
    with until_told(worker) as mine:
        assert (application.trace_while_waiting is not None) == BELOW_3_12
        stage.door.close()
        client.wait_closed(2)
        wait_for(lambda: application.trace_while_waiting is None, "the thread to be untraced")
        assert not mine.done()
    assert worker.run(sys.gettrace).result(5) is None


def test_one_that_calls_no_function_is_traced_below_3_12_until_it_is_over(stage: Stage) -> None:
    stage.armed("work")
    worker = stage.workers[0]
    application.spun.clear()
    mine = worker.start_get("/spin")
    try:
        wait_for(lambda: application.spun.get("turns"), "the request to run")
        stage.door.close()
        turns = application.spun["turns"]
        wait_for(lambda: application.spun["turns"] > turns + 100, "the request to run on")
        assert (application.spun["trace"] is not None) == BELOW_3_12
    finally:
        application.spun["ends"] = True
    assert mine.result(5).text == "spun"
    assert worker.run(sys.gettrace).result(5) is None


def test_a_tracer_of_the_applications_own_is_kept(stage: Stage) -> None:
    """Coverage, profilers and the like: on the threads that have one, and for threads that are started later."""

    def tracer(frame: Any, event: str, argument: Any) -> None:
        return None

    worker = stage.workers[0]
    worker.run(sys.settrace, tracer).result(5)
    threading.settrace(tracer)
    try:
        client = stage.armed("view")
        mine = worker.start_get("/view?mine")
        client.resume(stopped_at(client)[0])
        mine.result(5)
        assert worker.run(sys.gettrace).result(5) is tracer
        stage.door.close()
        assert threading.gettrace() is tracer
        assert worker.run(sys.gettrace).result(5) is tracer
    finally:
        threading.settrace(None)  # type: ignore[arg-type]
        worker.run(sys.settrace, None).result(5)


def test_a_tracer_sees_nothing_of_a_matching_request_below_3_12_and_all_of_it_from_there_on(stage: Stage) -> None:
    seen: list[str] = []

    def tracer(frame: Any, event: str, argument: Any) -> None:
        if frame.f_code is application.work.__code__:
            seen.append(event)

    worker = stage.workers[0]
    client = stage.armed("view")
    worker.run(sys.settrace, tracer).result(5)
    try:
        for _ in range(2):
            mine = worker.start_get("/view?mine")
            client.resume(stopped_at(client)[0])
            assert mine.result(5).text == "total 7 for mine"
            assert seen == ([] if BELOW_3_12 else ["call"])
            seen.clear()
            worker.get("/view?other", OTHER)
            assert seen == ["call"], "everybody else's are seen"
            seen.clear()
    finally:
        worker.run(sys.settrace, None).result(5)


def test_nothing_in_the_process_is_changed_after_a_window(stage: Stage) -> None:
    stage.open()
    stage.workers[0].get("/hello")  # The first window imports debugpy, which stays.
    stage.door.close()
    before = process_state()
    client = stage.armed("view")
    mine = stage.workers[0].start_get("/view?mine")
    client.resume(stopped_at(client)[0])
    mine.result(5)
    assert process_state() != before
    stage.door.close()
    wait_for(lambda: process_state() == before, "everything to be as before")


def test_importing_the_debugger_leaves_everybody_elses_breakpoint_alone() -> None:
    """Alone in a process: here debugpy was imported long ago."""
    script = """if True:
        import builtins, os, sys
        from stagedoor.tracing import Tracing
        def state():
            return sys.breakpointhook, sorted(vars(builtins)), dict(os.environ), sys.gettrace(), sys.settrace
        before = state()
        Tracing.prepare()
        assert "pydevd" in sys.modules
        print([name for name, was, now in zip(("hook", "builtins", "environ", "trace", "settrace"), before, state()) if was != now])"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (said.stdout, said.stderr) == ("[]\n", "")


def test_the_environment_and_the_stderr_of_the_server_are_left_alone(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    environment = dict(os.environ)
    client = stage.armed("view")
    mine = stage.workers[0].start_get("/view?mine")
    client.resume(stopped_at(client)[0])
    mine.result(5)
    stage.workers[1].run(sys.settrace, None).result(5)
    for _ in range(20):
        threading.Thread(target=str).start()
    stage.door.close()
    assert dict(os.environ) == environment
    assert capfd.readouterr().err == ""


def test_requests_begin_and_end_while_the_window_ends_again_and_again(stage: Stage) -> None:
    """The race between a request that begins and a window that ends, with a client attached."""
    done = threading.Event()

    def request_all_the_time(worker: Worker) -> int:
        count = 0
        while not done.is_set():
            assert worker.get("/view?mine", timeout=10).text == "total 7 for mine"
            count += 1
        return count

    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda worker=worker: counts.append(request_all_the_time(worker)))
        for worker in stage.workers[:3]
    ]
    for thread in threads:
        thread.start()
    for _ in range(4):
        client = stage.armed("view")
        client.stopped()
        stage.door.close()
        stage.workers[3].get("/view?other", OTHER, timeout=2)
        client.close()
    done.set()
    for thread in threads:
        thread.join(10)
    assert len(counts) == 3
    assert all(stage.workers[number].run(sys.gettrace).result(5) is None for number in range(3))
