"""Whatever fails in a stop of the debugger: everything is given back, and the next window works."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from stagedoor.dap.client import DapClient
from stagedoor.tracing import Pause, Tracing, current_tracing
from stagedoor.tracing.steps import Steps
from support import application
from support.stage import breakpoints, make_environ, process_state, serve
from support.waiting import wait_for

monitoring = getattr(sys, "monitoring", None)
with_monitoring = pytest.mark.skipif(monitoring is None, reason="sys.monitoring begins with Python 3.12")


class Listener:
    """Hears of everything and minds nothing."""

    def attached(self) -> None: ...
    def detached(self) -> None: ...
    def paused(self, pause: Pause) -> None: ...
    def resumed(self, pause: Pause, seconds: float) -> None: ...
    def not_paused(self, request: str, limit: int, session: str | None) -> None: ...


class Process:
    """This process, with one thread for requests and a place where pydevd and its client meet."""

    def __init__(self, folder: Path) -> None:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(folder / "dap"))
        self.server.listen()
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="request")
        self.pool.submit(str).result()
        self.client: DapClient
        self.tracing: Tracing

    def start(self) -> Tracing:
        """A window with a client that has a breakpoint."""
        self.client = DapClient(str(self.server.getsockname()))
        self.tracing = Tracing(Listener())
        self.tracing.start_over(self.server.accept()[0])
        self.client.attach(breakpoints=breakpoints("view"))
        return self.tracing

    def pause(self) -> Future[str]:
        """Start a request, and wait until it is paused."""
        request = self.pool.submit(self._serve, self.tracing)
        self.client.wait_event("stopped")
        return request

    @staticmethod
    def _serve(tracing: Tracing) -> str:
        matching = tracing.begin("GET /view")
        assert matching is not None
        tracing.enter(matching)
        try:
            return serve(application.application, make_environ("/view?mine")).text
        finally:
            tracing.leave(matching)
            tracing.end(matching)

    def stops_a_request(self) -> None:
        """A whole window, as it should be."""
        self.start()
        request = self.pause()
        self.tracing.stop()
        assert request.result(10) == "total 7 for mine"
        self.client.close()

    def close(self) -> None:
        with suppress(BaseException):
            self.tracing.stop()
        self.client.close()
        self.pool.shutdown()
        self.server.close()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path)
    made.stops_a_request()  # What the first window imports stays.
    yield made
    made.close()


def state() -> dict[str, Any]:
    """What a stop has to give back: that which a debugger changes in a process, and pydevd's own places."""
    pydevd: Any = sys.modules["pydevd"]
    module: Any = sys.modules.get("_pydevd_sys_monitoring_cython") or sys.modules.get(
        "_pydevd_sys_monitoring._pydevd_sys_monitoring"
    )
    commands: Any = sys.modules["_pydevd_bundle.pydevd_api"].PyDevdAPI
    return process_state() | {
        "callbacks": callbacks(),
        "monitor": getattr(module, "monitor", None) is monitoring,
        "debugger": pydevd.get_global_debugger(),
        "setup": pydevd.SetupHolder.setup,
        "PyDB": pydevd.PyDB,
        "enumerate": pydevd.threadingEnumerate,
        "commands": [commands.request_terminate_process, commands.list_threads, commands.request_resume_thread],
        "listens": sys.modules["debugpy.server.api"].listen.called,
        "current": current_tracing(),
        "descriptors": len(os.listdir("/proc/self/fd")),
    }


def callbacks() -> list[str]:
    """The events of the debugger's place that have a callback. To see them one has to have the place."""
    if monitoring is None or monitoring.get_tool(monitoring.DEBUGGER_ID) is not None:
        return []
    names = ("PY_START", "PY_RESUME", "PY_RETURN", "PY_UNWIND", "LINE", "JUMP", "RAISE")
    taken = [
        monitoring.register_callback(monitoring.DEBUGGER_ID, getattr(monitoring.events, name), None) for name in names
    ]
    return [name for name, callback in zip(names, taken, strict=True) if callback is not None]


def wait_until_as(before: dict[str, Any], *, but: str = "") -> None:
    different: list[Any] = []

    def is_as_before() -> bool:
        gc.collect()
        now = state()
        different[:] = [(name, before[name], now[name]) for name in now if now[name] != before[name] and name != but]
        return not different

    try:
        wait_for(is_as_before, "everything to be as before", timeout=5)
    except AssertionError:
        assert different == []


class Interrupted(Exception):
    """What a signal's handler raises, say."""


def raise_once(step: Callable[[], object], *, after: bool) -> Callable[[], object]:
    left = [Interrupted()]

    def interrupted() -> None:
        if left and not after:
            raise left.pop()
        step()
        if left:
            raise left.pop()

    return interrupted


#: How many steps a stop has. The test below holds the number.
STEPS = 23 if monitoring is not None else 18


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
@pytest.mark.parametrize("number", range(STEPS))
def test_a_stop_that_is_interrupted_at_any_step_gives_everything_back(
    process: Process, number: int, after: bool
) -> None:
    before = state()
    left: Any = process.start()._back._left
    assert len(left) == STEPS, "and no step that this test leaves out"
    request = process.pause()
    left[number] = (raise_once(left[number][0], after=after), False)
    with pytest.raises(Interrupted):
        process.tracing.stop()
    assert request.result(10) == "total 7 for mine"
    process.client.close()
    wait_until_as(before)
    process.stops_a_request()
    wait_until_as(before)


# What of pydevd's fails each time


def closed_socket(process: Process) -> None:
    process.tracing._debugger.reader.sock.close()


def broken(target: Callable[[Process], tuple[Any, str]]) -> Callable[[Process, pytest.MonkeyPatch], None]:
    def fail(*arguments: Any, **keywords: Any) -> None:
        raise Interrupted

    def break_it(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(*target(process), fail)

    return break_it


def pydevd() -> Any:
    return sys.modules["pydevd"]


BROKEN: dict[str, Callable[[Process, pytest.MonkeyPatch], None]] = {
    "its disconnect": broken(lambda _: (sys.modules["_pydevd_bundle.pydevd_api"].PyDevdAPI, "request_disconnect")),
    "to take breakpoints back": broken(lambda p: (p.tracing._debugger, "consolidate_breakpoints")),
    "to wake a thread": broken(lambda p: (p.tracing._debugger, "get_internal_queue_and_event")),
    "its own stop": broken(lambda _: (pydevd(), "stoptrace")),
    "to end its threads": broken(lambda p: (p.tracing._debugger, "dispose_and_kill_all_pydevd_threads")),
    "to write": broken(lambda p: (p.tracing._debugger.writer, "add_command")),
    "a socket that somebody has closed": lambda process, _: closed_socket(process),
    "a peer that has hung up": lambda process, _: process.client.close(),
}
if monitoring is not None:
    BROKEN["to give up its place"] = broken(lambda _: (pydevd().pydevd_sys_monitoring, "stop_monitoring"))


@pytest.mark.parametrize("break_it", BROKEN.values(), ids=BROKEN.keys())
def test_a_stop_in_which_pydevd_fails_gives_everything_back(
    process: Process, monkeypatch: pytest.MonkeyPatch, break_it: Callable[[Process, pytest.MonkeyPatch], None]
) -> None:
    before = state()
    process.start()
    request = process.pause()
    with monkeypatch.context() as breaking:
        break_it(process, breaking)
        with suppress(Interrupted):
            process.tracing.stop()
        assert request.result(10) == "total 7 for mine"
    process.client.close()
    # A thread of pydevd's whose own end fails leaves its socket to whoever collects it, at the next window at the latest.
    wait_until_as(before, but="descriptors")
    process.stops_a_request()
    wait_until_as(before)


def test_a_signal_whose_handler_raises_while_pydevd_waits_for_its_threads(process: Process) -> None:
    """The stop runs on the main thread here, where signals come: pydevd sleeps for 0.1 s at a time."""
    before = state()
    process.start()
    request = process.pause()

    def handler(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    previous = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.01)
        try:
            for _ in range(1000):
                try:
                    process.tracing.stop()
                    break
                except Interrupted:
                    continue
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupted:
        pass
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert request.result(10) == "total 7 for mine"
    process.client.close()
    # Where it came between two steps, the next start takes the rest.
    process.stops_a_request()
    wait_until_as(before)


# Other ways to the same end


def test_two_threads_that_stop_at_once_stop_once(process: Process) -> None:
    before = state()
    tracing = process.start()
    request = process.pause()
    threads = [threading.Thread(target=tracing.stop) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert request.result(10) == "total 7 for mine"
    process.client.close()
    wait_until_as(before)
    tracing.stop()
    process.stops_a_request()
    wait_until_as(before)


def test_a_stop_during_a_start_waits_for_it_and_leaves_nothing(process: Process) -> None:
    before = state()
    tracing = Tracing(Listener())
    process.client = DapClient(str(process.server.getsockname()))
    connection = process.server.accept()[0]
    stopping = threading.Thread(target=tracing.stop)

    def connect() -> None:
        stopping.start()
        wait_for(lambda: tracing._stopped, "the other thread to stop")
        tracing._internals.speak_over(connection)

    tracing.start(connect)
    stopping.join(10)
    process.client.close()
    wait_until_as(before)
    process.stops_a_request()


HALF_WAY: dict[str, Callable[[Tracing, socket.socket], object]] = {
    "before pydevd": lambda tracing, connection: fail_with(OSError("no gatekeeper")),
    "after pydevd": lambda tracing, connection: [tracing._internals.speak_over(connection), fail_with(OSError("late"))],
    "a connection that is closed": lambda tracing, connection: [
        connection.close(),
        tracing._internals.speak_over(connection),
        fail_with(OSError("closed")),
    ],
    "a peer that has hung up": lambda tracing, connection: [
        connection.shutdown(socket.SHUT_RDWR),
        tracing._internals.speak_over(connection),
        fail_with(OSError("hung up")),
    ],
    "pydevd has forgotten its debugger": lambda tracing, connection: [
        tracing._internals.speak_over(connection),
        tracing._internals._set_global_debugger(None),
        fail_with(OSError("forgotten")),
    ],
}


def fail_with(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("connect", HALF_WAY.values(), ids=HALF_WAY.keys())
def test_a_start_that_fails_half_way_leaves_nothing(
    process: Process, connect: Callable[[Tracing, socket.socket], object]
) -> None:
    before = state()
    tracing = Tracing(Listener())
    process.client = DapClient(str(process.server.getsockname()))
    connection = process.server.accept()[0]
    with pytest.raises(OSError):
        tracing.start(lambda: connect(tracing, connection))
    connection.close()
    process.client.close()
    wait_until_as(before)
    process.stops_a_request()
    wait_until_as(before)


def test_a_debugger_that_has_given_up_by_itself_is_taken_back(process: Process) -> None:
    """Its connection ended, because the gatekeeper was killed say."""
    before = state()
    tracing = process.start()
    process.client.close()
    wait_for(lambda: not tracing.alive, "pydevd to give up")
    tracing.stop()
    wait_until_as(before)
    process.stops_a_request()
    wait_until_as(before)


@with_monitoring
def test_a_place_that_somebody_else_holds_is_left_alone(process: Process) -> None:
    process.start()
    place = monitoring.DEBUGGER_ID

    def other(*arguments: Any) -> None:
        """Somebody's callback."""

    def take_it() -> None:
        monitoring.use_tool_id(place, "somebody else")
        monitoring.register_callback(place, monitoring.events.LINE, other)

    left: Any = process.tracing._back._left
    left.insert(5, (take_it, False))  # After pydevd's own stop, which has given it back.
    process.tracing.stop()
    process.client.close()
    try:
        assert monitoring.get_tool(place) == "somebody else"
        assert monitoring.register_callback(place, monitoring.events.LINE, None) is other
    finally:
        monitoring.free_tool_id(place)
    process.stops_a_request()


# The steps themselves


def test_no_step_is_left_out_and_one_that_fails_is_tried_once_more() -> None:
    taken: list[str] = []

    def step(name: str, *errors: Exception) -> Callable[[], None]:
        left = list(errors)

        def take() -> None:
            taken.append(name)
            if left:
                raise left.pop(0)

        return take

    steps = Steps([step("a"), step("b", ValueError("first")), step("c", KeyError(), KeyError()), step("d")])
    with pytest.raises(ValueError, match="first"):
        steps.take()
    assert taken == ["a", "b", "c", "d", "b", "c"]
    assert steps.are_done
    steps.take()
