"""pydevd's events take effect only while a matching request runs: against the real ``sys.monitoring``."""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Iterator
from types import CodeType
from typing import Any

import pytest

from stagedoor.tracing.monitoring import SwitchedMonitoring

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring begins with Python 3.12")

TOOL = 4  # One that nobody else uses.
real: Any = getattr(sys, "monitoring", None)


def stepped() -> int:
    one = 1
    return one + 1


def other() -> int:
    return 2


class Scene:
    """A tool that counts the events that it gets."""

    def __init__(self) -> None:
        self.monitoring = SwitchedMonitoring(TOOL)
        self.lines: list[int] = []
        self.starts: list[str] = []
        real.use_tool_id(TOOL, "a test")
        real.register_callback(TOOL, real.events.LINE, self.line)
        real.register_callback(TOOL, real.events.PY_START, self.start)

    def line(self, code: CodeType, line: int) -> None:
        self.lines.append(line)

    def start(self, code: CodeType, offset: int) -> None:
        if code in (stepped.__code__, other.__code__):
            self.starts.append(code.co_name)

    def run(self) -> tuple[int, int]:
        """How many lines and starts are seen when the two functions run."""
        self.lines.clear()
        self.starts.clear()
        stepped()
        other()
        return len(self.lines), len(self.starts)

    def leave(self) -> None:
        """The last of the requests that run is over."""
        self.monitoring.pause()
        self.monitoring.forget_events()

    def close(self) -> None:
        for event in (real.events.LINE, real.events.PY_START):
            real.register_callback(TOOL, event, None)
        real.set_events(TOOL, 0)
        for function in (stepped, other):
            real.set_local_events(TOOL, function.__code__, 0)
        real.free_tool_id(TOOL)

    def ask_for_everything(self) -> None:
        """As pydevd does for breakpoints and steps."""
        self.monitoring.set_events(TOOL, real.events.PY_START)
        self.monitoring.set_local_events(TOOL, stepped.__code__, real.events.LINE)


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


NOTHING, EVERYTHING = (0, 0), (2, 2)


def test_nothing_is_seen_while_no_matching_request_runs(scene: Scene) -> None:
    scene.ask_for_everything()
    assert scene.run() == NOTHING
    assert real.get_events(TOOL) == 0
    assert real.get_local_events(TOOL, stepped.__code__) == 0


def test_pydevd_reads_back_what_it_asked_for(scene: Scene) -> None:
    scene.ask_for_everything()
    assert scene.monitoring.get_events(TOOL) == real.events.PY_START
    assert scene.monitoring.get_local_events(TOOL, stepped.__code__) == real.events.LINE
    assert scene.monitoring.get_local_events(TOOL, other.__code__) == 0


def test_everything_is_seen_while_one_runs_and_not_while_it_is_paused(scene: Scene) -> None:
    scene.monitoring.resume()
    scene.ask_for_everything()
    assert scene.run() == EVERYTHING
    scene.monitoring.pause()
    assert scene.run() == NOTHING
    # What the client asks for meanwhile comes into effect afterwards.
    scene.monitoring.set_local_events(TOOL, other.__code__, real.events.LINE)
    assert scene.run() == NOTHING
    scene.monitoring.resume()
    assert scene.run() == (3, 2)
    scene.leave()
    assert scene.run() == NOTHING


def test_what_was_asked_for_while_none_ran_comes_into_effect_with_the_next(scene: Scene) -> None:
    scene.ask_for_everything()
    scene.monitoring.resume()
    assert scene.run() == EVERYTHING
    scene.leave()


def test_the_events_of_functions_are_forgotten_with_the_last_request(scene: Scene) -> None:
    """pydevd never takes them back by itself, and asks for them again when it needs them."""
    scene.monitoring.resume()
    scene.monitoring.resume()
    scene.ask_for_everything()
    scene.leave()
    assert scene.run() == EVERYTHING
    scene.leave()
    scene.monitoring.resume()
    assert scene.run() == (0, 2)
    scene.leave()


def test_events_stay_on_until_the_last_of_several_rests(scene: Scene) -> None:
    scene.ask_for_everything()
    for _ in range(3):
        scene.monitoring.resume()
    scene.monitoring.pause()
    scene.leave()
    assert scene.run() == EVERYTHING
    scene.monitoring.pause()
    assert scene.run() == NOTHING
    scene.monitoring.resume()
    assert scene.run() == EVERYTHING
    scene.leave()
    assert scene.run() == NOTHING
    scene.monitoring.resume()
    scene.leave()
    assert scene.run() == NOTHING


def test_the_end_takes_everything_back_for_good(scene: Scene) -> None:
    scene.monitoring.resume()
    scene.monitoring.resume()
    scene.monitoring.pause()
    scene.ask_for_everything()
    scene.monitoring.end()
    assert scene.run() == NOTHING
    # Requests that were running and paused go on, and pydevd may still ask for something.
    scene.monitoring.resume()
    scene.ask_for_everything()
    assert scene.run() == NOTHING
    scene.leave()
    scene.leave()
    assert real.get_events(TOOL) == 0
    assert real.get_local_events(TOOL, stepped.__code__) == 0


def test_the_end_does_not_need_the_tool_any_more(scene: Scene) -> None:
    scene.monitoring.resume()
    scene.ask_for_everything()
    scene.monitoring.end()
    real.free_tool_id(TOOL)
    scene.leave()
    real.use_tool_id(TOOL, "a test")


def test_the_rest_is_that_of_the_real_module(scene: Scene) -> None:
    assert scene.monitoring.get_tool(TOOL) == "a test"
    assert scene.monitoring.DISABLE is real.DISABLE
    assert scene.monitoring.DEBUGGER_ID == TOOL
    assert scene.monitoring.events is real.events
    assert scene.monitoring.restart_events == real.restart_events


def test_a_lock_that_was_held_when_the_process_forked_is_forgotten(scene: Scene) -> None:
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with scene.monitoring._lock:
            holding.set()
            release.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(5)
    scene.monitoring.forget_in_child()
    release.set()
    thread.join(5)


def test_threads_that_come_and_go_leave_it_as_it_was(scene: Scene) -> None:
    scene.ask_for_everything()

    def requests() -> None:
        for _ in range(200):
            scene.monitoring.resume()
            scene.monitoring.set_local_events(TOOL, other.__code__, real.events.LINE)
            scene.monitoring.pause()
            scene.monitoring.resume()
            scene.leave()

    threads = [threading.Thread(target=requests) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert scene.run() == NOTHING
    assert scene.monitoring._running == 0


def test_equal_functions_of_two_files_are_told_apart(scene: Scene) -> None:
    """Code objects are equal if all but their file is: the first views of two modules, say."""
    first, second = (compile("def view():\n    return 1\n", file, "exec").co_consts[0] for file in ("a.py", "b.py"))
    assert first == second
    scene.monitoring.resume()
    for code in (first, second):
        scene.monitoring.set_local_events(TOOL, code, real.events.LINE)
        assert scene.monitoring.get_local_events(TOOL, code) == real.events.LINE
    scene.leave()
    assert [real.get_local_events(TOOL, code) for code in (first, second)] == [0, 0]


def test_code_that_had_events_is_as_it_was_but_for_what_cpython_3_12_never_restores(scene: Scene) -> None:
    """CPython 3.12 joins two instructions into one (LOAD_FAST__LOAD_FAST) when it makes a code object, and parts them for
    good when any tool has events in it. From 3.13 on its compiler joins them.
    """

    def hot() -> int:
        total = 0
        for number in range(100):
            total += number & 3
        return total

    # A code object that nobody has had events in: the function's own is the same in each run of this test.
    hot.__code__ = hot.__code__.replace()

    def run() -> bytes:
        """Until the interpreter has specialised the instructions; returns them."""
        for _ in range(100):
            hot()
        return bytes(hot.__code__._co_code_adaptive)  # type: ignore[attr-defined]

    def instructions() -> list[str]:
        run()
        return [each.opname for each in dis.get_instructions(hot, adaptive=True)]

    before, bare = instructions(), run()
    scene.monitoring.resume()
    scene.monitoring.set_local_events(TOOL, hot.__code__, real.events.LINE)
    assert run() != bare
    scene.leave()
    scene.monitoring.end()
    after = instructions()
    if sys.version_info >= (3, 13):
        assert after == before
    else:
        assert after == [name.partition("__")[0] for name in before] != before
