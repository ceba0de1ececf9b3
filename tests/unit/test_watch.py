"""Watching the switch: what is known of the window, for how long, and what is recorded."""

from __future__ import annotations

import logging
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stagedoor.application.identity import Application
from stagedoor.audit import Audit
from stagedoor.control.register import Register, seen_by, tidy
from stagedoor.errors import SwitchError
from stagedoor.switches import FileSwitch, MemorySwitch
from stagedoor.window.lifetime import CLOCK_TOLERANCE
from stagedoor.window.window import Window, new_window
from stagedoor.worker import watch
from stagedoor.worker.watch import LOOK_EVERY, USUAL, Patience, WindowWatch
from support.clock import SettableClock
from support.forks import forks, in_child
from support.stage import Stage
from support.waiting import wait_for

HALF_AN_HOUR = timedelta(minutes=30)
LOOK = timedelta(seconds=LOOK_EVERY)


class CountingSwitch(MemorySwitch):
    """Counts how often it is read, and fails when it is told to."""

    def __init__(self, clock: SettableClock) -> None:
        super().__init__(max_window=timedelta(hours=8), clock=clock)
        self.reads = 0
        self.trouble: Exception | None = None

    def read(self) -> Window | None:
        self.reads += 1
        if self.trouble is not None:
            raise self.trouble
        return super().read()

    def forget_in_child(self) -> None:
        """Nothing: its window is every process's, as one in a file is."""


class Scene:
    def __init__(self, patience: Patience = USUAL, register: Register | None = None) -> None:
        self.clock = SettableClock()
        self.switch = CountingSwitch(self.clock)
        self.watch = WindowWatch(self.switch, Audit(self.clock.monotonic), self.clock, register, patience)

    def is_open(self) -> bool:
        """As a request finds it: by what is known, as long as it is known, and else by asking."""
        now = self.clock.monotonic()
        if now < self.watch.closed_until:
            return False
        if now < self.watch.open_until:
            return self.watch.window is not None
        return self.watch.current() is not None

    def open(self, for_: timedelta = HALF_AN_HOUR) -> Window:
        window = self.switch.open(for_, opened_by="alice@staging")
        self.pass_a_look()
        assert self.is_open()
        return window

    def pass_a_look(self) -> None:
        self.clock.pass_time(LOOK)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, logger="stagedoor.audit")
    return lambda: [record.event for record in caplog.records]  # type: ignore[attr-defined]


# -- How often the switch is read --------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_open", [False, True])
def test_requests_read_the_switch_only_so_often(scene: Scene, is_open: bool) -> None:
    if is_open:
        scene.open()
    scene.pass_a_look()
    reads = scene.switch.reads
    for _ in range(10):
        for _ in range(100):
            assert scene.is_open() is is_open
            scene.clock.pass_time(LOOK / 100)
    assert scene.switch.reads - reads <= 11


@pytest.mark.parametrize("is_open", [False, True])
def test_a_change_is_noticed_within_one_look(scene: Scene, is_open: bool) -> None:
    if is_open:
        scene.open()
        scene.switch.close()
    else:
        assert not scene.is_open()
        scene.switch.open(HALF_AN_HOUR, opened_by="alice@staging")
    scene.pass_a_look()
    assert scene.is_open() is not is_open
    assert LOOK_EVERY < 1


def test_one_that_is_closed_and_opened_again_between_two_looks_is_taken_for_the_old_one_until_the_next(
    scene: Scene,
) -> None:
    first = scene.open()
    scene.switch.close()
    second = scene.switch.open(HALF_AN_HOUR, opened_by="alice@staging")
    assert scene.watch.current() == first
    scene.pass_a_look()
    assert scene.watch.current() == second


def test_looking_now_notices_a_change_at_once(scene: Scene) -> None:
    assert not scene.is_open()
    window = scene.switch.open(HALF_AN_HOUR, opened_by="alice@staging")
    assert not scene.is_open()
    assert scene.watch.current(look=True) == window
    assert scene.is_open()


def test_one_thread_looks_while_the_others_go_by_what_is_known(scene: Scene) -> None:
    scene.open()
    scene.pass_a_look()
    looking, release = threading.Event(), threading.Event()
    real = scene.switch.read

    def slow() -> Window | None:
        looking.set()
        assert release.wait(5)
        return real()

    scene.switch.read = slow  # type: ignore[method-assign]
    thread = threading.Thread(target=scene.watch.current)
    thread.start()
    assert looking.wait(5)
    assert scene.is_open(), "nobody waits for a slow switch"
    release.set()
    thread.join(5)


# -- The first look ----------------------------------------------------------------------------------------------------


class Hung:
    """A look that hangs in the switch until it is let go, on a thread of its own."""

    def __init__(self, scene: Scene) -> None:
        self._looking, self._release = threading.Event(), threading.Event()
        real = scene.switch.read

        def read() -> Window | None:
            self._looking.set()
            assert self._release.wait(30)
            return real()

        scene.switch.read = read  # type: ignore[method-assign]
        self._thread = threading.Thread(target=scene.watch.current)

    def __enter__(self) -> Hung:
        self._thread.start()
        assert self._looking.wait(5)
        return self

    def let_go(self) -> None:
        self._release.set()
        self._thread.join(5)

    def __exit__(self, *error: object) -> None:
        self.let_go()


def start(work: Callable[[], Any]) -> tuple[list[Any], threading.Thread]:
    """Do it on another thread, and go on when that has done it or waits in the watch."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()

    def is_there() -> bool:
        frame = sys._current_frames().get(thread.ident or 0)
        return bool(results) or (frame is not None and frame.f_code.co_filename == watch.__file__)

    wait_for(is_there, "the other thread to be in the watch, or through")
    return results, thread


def test_nothing_is_known_before_the_first_look(scene: Scene) -> None:
    """A request that comes while another one looks for the first time is not taken for a stranger's."""
    scene.switch.open(HALF_AN_HOUR, opened_by="alice@staging")
    scene.switch.reads = 0
    with Hung(scene) as hung:
        others = [start(scene.is_open) for _ in range(3)]
        hung.let_go()
        for results, thread in others:
            thread.join(5)
            assert results == [True]
    assert scene.switch.reads == 1, "they have waited for one look, and not looked again"


def test_a_switch_that_hangs_at_the_first_look_holds_up_nobody_for_long_and_nobody_twice() -> None:
    scene = Scene(Patience(first_look=0.1))
    scene.switch.open(HALF_AN_HOUR, opened_by="alice@staging")
    with Hung(scene) as hung:
        assert not scene.is_open(), "it goes on undebugged"
        hung.let_go()
        assert scene.is_open()
    # Whoever comes when that time is over would wait here for longer than the look hangs.
    scene = Scene(Patience(first_look=60.0))
    scene.switch.open(HALF_AN_HOUR, opened_by="alice@staging")
    with Hung(scene) as hung:
        scene.clock.pass_time(timedelta(seconds=60))
        assert not scene.is_open(), "it does not wait"
        hung.let_go()
        assert scene.is_open()


def test_a_first_look_that_fails_is_one_all_the_same(scene: Scene) -> None:
    scene.switch.trouble = OSError("disk on fire")
    assert [scene.is_open() for _ in range(3)] == [False] * 3
    assert scene.switch.reads == 1


def test_whoever_has_to_keep_the_end_does_not_wait_for_a_look_that_hangs() -> None:
    """The window's thread, while a request's look hangs."""
    scene = Scene(Patience(look=0.05))
    window = scene.open(timedelta(seconds=10))
    scene.pass_a_look()
    with Hung(scene):
        results, thread = start(lambda: scene.watch.current(look=True))
        thread.join(5)
        assert results == [window]
        scene.clock.pass_time(timedelta(seconds=10))
        results, thread = start(lambda: scene.watch.current(look=True))
        thread.join(5)
        assert results == [None]


def test_while_a_look_hangs_nobody_notices_that_the_window_was_closed(scene: Scene) -> None:
    window = scene.open()
    scene.switch.close()
    scene.pass_a_look()
    with Hung(scene) as hung:
        assert scene.watch.current() == window
        hung.let_go()
        assert not scene.is_open()


@forks
def test_a_forked_worker_does_not_go_by_the_last_look_of_its_master(scene: Scene) -> None:
    assert not scene.is_open()
    scene.switch.open(HALF_AN_HOUR, opened_by="alice@staging")
    assert not scene.is_open(), "the master knows that for half a second"
    assert in_child(scene.is_open) is True


@forks
def test_a_worker_that_is_forked_while_its_master_looks_looks_itself(scene: Scene) -> None:
    scene.switch.open(HALF_AN_HOUR, opened_by="alice@staging")
    real = scene.switch.read
    with Hung(scene):
        scene.switch.read = real  # type: ignore[method-assign]
        assert in_child(scene.is_open) is True


@forks
def test_a_forked_worker_does_not_record_again_what_its_master_has_recorded(
    scene: Scene, events: Callable[[], list[str]]
) -> None:
    scene.open()
    assert in_child(lambda: [scene.is_open(), events()]) == [True, ["opened"]]


@pytest.fixture
def registered(tmp_path: Path) -> Scene:
    """One that writes into a register."""
    return Scene(
        register=Register(tmp_path / "marks", Application("1" * 16, "the shop"), "the switch", lambda _: "window")
    )


@forks
def test_a_forked_worker_says_itself_that_it_has_seen_the_window(
    registered: Scene, tmp_path: Path, events: Callable[[], list[str]]
) -> None:
    registered.open()

    def look() -> list[object]:
        found = [registered.is_open(), seen_by(tmp_path / "marks", "window"), events()]
        (tmp_path / "marks" / f"window.seen.{os.getpid()}").unlink()
        registered.pass_a_look()
        return [*found, registered.is_open(), seen_by(tmp_path / "marks", "window")]

    # Once, and not with every look.
    assert in_child(look) == [True, 2, ["opened"], True, 1]


@forks
def test_what_is_left_of_a_window_stays_while_a_forked_worker_is_in_it(registered: Scene, tmp_path: Path) -> None:
    """Its master may have ended."""
    registered.open()
    marks = tmp_path / "marks"

    def look() -> list[object]:
        is_open = registered.is_open()
        (marks / f"window.seen.{os.getppid()}").unlink()
        tidy(marks)
        return [is_open, marks.exists(), registered.watch.current(look=True) is not None]

    assert in_child(look) == [True, True, True]


@forks
def test_a_forked_worker_whose_first_look_can_not_tell_says_it_with_the_next(registered: Scene, tmp_path: Path) -> None:
    registered.open()

    def look() -> list[object]:
        registered.switch.trouble = OSError("disk on fire")
        found = [registered.is_open()]
        registered.switch.trouble = None
        registered.pass_a_look()
        return [*found, registered.is_open(), seen_by(tmp_path / "marks", "window")]

    assert in_child(look) == [False, True, 2]


@forks
def test_a_clock_that_was_set_before_the_fork_is_distrusted_in_the_child(scene: Scene) -> None:
    scene.open()
    scene.clock.set_wall(timedelta(hours=-1))
    assert in_child(scene.is_open) is False


def test_every_one_of_a_fresh_workers_first_requests_matches() -> None:
    """Through the whole middleware, on four threads at once."""

    class SlowAtFirst(MemorySwitch):
        def __init__(self) -> None:
            super().__init__(max_window=timedelta(hours=1))
            self.others = 0

        def read(self) -> Window | None:
            def inside() -> int:
                frames = [frame.f_code.co_filename for frame in sys._current_frames().values()]
                return frames.count(watch.__file__) + sum(request.done() for request in requests)

            if threading.current_thread().name.startswith("worker") and not self.others:
                self.others = wait_for(lambda: inside() >= 3, "the other three")
            return super().read()

    switch = SlowAtFirst()
    switch.open(timedelta(minutes=10), opened_by="alice@staging")
    stage = Stage(switch=switch)
    requests: list[Any] = []
    try:
        requests.extend(worker.start_get("/hello") for worker in stage.workers)
        said = [request.result(30).header for request in requests]
        assert all("client=" in str(header) for header in said), said
    finally:
        stage.stop()


# -- The end -----------------------------------------------------------------------------------------------------------


def test_an_open_window_ends_without_a_look(scene: Scene, events: Callable[[], list[str]]) -> None:
    scene.open(timedelta(seconds=10))
    scene.clock.pass_time(timedelta(seconds=10) - LOOK)
    assert not scene.is_open()
    scene.pass_a_look()
    assert not scene.is_open()
    assert events() == ["opened", "expired"]


def test_the_end_is_sharp_also_between_two_looks(scene: Scene) -> None:
    scene.open(timedelta(seconds=10))
    scene.clock.pass_time(timedelta(seconds=9.4))
    assert scene.is_open()
    scene.clock.pass_time(timedelta(seconds=0.05))
    assert scene.is_open()
    scene.clock.pass_time(timedelta(seconds=0.06))
    assert not scene.is_open()
    assert scene.watch.remaining() <= 0


def test_remaining(scene: Scene) -> None:
    assert scene.watch.remaining() == 0
    scene.open(timedelta(seconds=10))
    assert scene.watch.remaining() == pytest.approx(9.5)


@pytest.mark.parametrize(
    "by",
    [
        pytest.param(timedelta(hours=-1), id="set back by an hour"),
        pytest.param(timedelta(days=-400), id="set back to before the window"),
        pytest.param(CLOCK_TOLERANCE + timedelta(seconds=1), id="set forward by more than is tolerated"),
        pytest.param(timedelta(hours=1), id="set forward past the end"),
    ],
)
def test_a_clock_that_was_set_closes_the_window_for_good(
    scene: Scene, events: Callable[[], list[str]], by: timedelta
) -> None:
    scene.open()
    scene.clock.set_wall(by)
    scene.pass_a_look()
    assert not scene.is_open()
    # Setting it right again does not bring the window back: nobody knows what happened in between.
    scene.clock.set_wall(-by)
    for _ in range(3):
        scene.pass_a_look()
        assert not scene.is_open()
    assert events()[:1] == ["opened"]
    assert events().count("untrusted") <= 1
    # A new one does.
    scene.switch.close()
    scene.open()
    assert events()[-1] == "opened"


def test_a_clock_that_drifts_a_little_does_nothing(scene: Scene, events: Callable[[], list[str]]) -> None:
    scene.open()
    for seconds in (20, -20, -20, 20):
        scene.clock.set_wall(timedelta(seconds=seconds))
        scene.pass_a_look()
        assert scene.is_open()
    assert events() == ["opened"]


# -- Trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        pytest.param(SwitchError("the switch", "is a directory"), "the switch is a directory", id="a SwitchError"),
        pytest.param(OSError("disk on fire"), "failed with OSError: disk on fire", id="an error of somebody's switch"),
    ],
)
def test_trouble_closes_the_window_and_is_recorded_once(
    scene: Scene, caplog: pytest.LogCaptureFixture, trouble: Exception, words: str
) -> None:
    scene.open()
    scene.switch.trouble = trouble
    for _ in range(5):
        scene.pass_a_look()
        assert not scene.is_open()
    assert [record.getMessage() for record in caplog.records if words in record.getMessage()] == [
        record.getMessage()
        for record in caplog.records
        if record.event == "untrusted"  # type: ignore[attr-defined]
    ]
    assert caplog.text.count(words) == 1
    # When it is over, the window is believed again; when it comes back, that is news.
    scene.switch.trouble = None
    scene.pass_a_look()
    assert scene.is_open()
    scene.switch.trouble = trouble
    scene.pass_a_look()
    assert not scene.is_open()
    assert caplog.text.count(words) == 2


def test_a_look_that_can_not_tell_is_no_end(scene: Scene, events: Callable[[], list[str]]) -> None:
    scene.open()
    scene.switch.trouble = OSError("disk on fire")
    scene.pass_a_look()
    assert not scene.is_open()
    scene.switch.trouble = None
    scene.pass_a_look()
    assert scene.is_open()
    assert events() == ["opened", "untrusted"]


@pytest.mark.parametrize(
    ("happens", "recorded"),
    [
        pytest.param(lambda scene: scene.switch.close(), "closed", id="it is closed"),
        pytest.param(lambda scene: scene.clock.pass_time(HALF_AN_HOUR), "expired", id="its end comes"),
        pytest.param(lambda scene: scene.clock.set_wall(timedelta(hours=-1)), "untrusted", id="the clock is set"),
    ],
)
def test_what_happens_while_nobody_can_tell_is_noticed_afterwards(
    scene: Scene, events: Callable[[], list[str]], happens: Callable[[Scene], None], recorded: str
) -> None:
    scene.open()
    scene.switch.trouble = OSError("disk on fire")
    scene.pass_a_look()
    assert not scene.is_open()
    scene.switch.trouble = None
    happens(scene)
    scene.pass_a_look()
    assert not scene.is_open()
    assert events()[:3] == ["opened", "untrusted", recorded]
    assert events().count(recorded) == (2 if recorded == "untrusted" else 1)


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_worker_without_a_free_descriptor_does_not_give_the_window_away(
    tmp_path: Path, events: Callable[[], list[str]]
) -> None:
    switch = FileSwitch(tmp_path / "window.json", max_window=timedelta(hours=8))
    window = switch.open(HALF_AN_HOUR, opened_by="alice@staging")

    def application(name: str) -> WindowWatch:
        register = Register(tmp_path / "marks", Application(name, name), switch.name, lambda _: "window")
        return WindowWatch(switch, Audit(), register=register)

    shop, blog = application("the shop"), application("the blog")
    assert shop.current(look=True) == window
    with no_descriptor_left():
        assert shop.current(look=True) is None
    assert blog.current(look=True) is None
    assert shop.current(look=True) == window
    assert events() == ["opened", "untrusted", "refused"]


# -- Records -----------------------------------------------------------------------------------------------------------


def test_what_happens_to_a_window_is_recorded(scene: Scene, events: Callable[[], list[str]]) -> None:
    scene.open()
    scene.switch.open(timedelta(minutes=45), opened_by="bob@staging")
    scene.pass_a_look()
    scene.is_open()
    assert events() == ["opened", "extended"]
    scene.switch.close()
    scene.pass_a_look()
    scene.is_open()
    assert events() == ["opened", "extended", "closed"]


def test_a_window_that_takes_anothers_place_is_a_new_one(scene: Scene, events: Callable[[], list[str]]) -> None:
    first = scene.open()
    scene.switch.close()
    second = scene.switch.open(HALF_AN_HOUR, opened_by="bob@staging")
    scene.pass_a_look()
    assert scene.is_open()
    assert scene.watch.window == second != first
    assert events() == ["opened", "closed", "opened"]


def test_no_record_holds_the_token(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = scene.open().token
    scene.switch.open(timedelta(minutes=45), opened_by="bob@staging")
    scene.pass_a_look()
    scene.is_open()
    scene.switch.close()
    scene.pass_a_look()
    scene.is_open()
    records: list[dict[str, Any]] = [vars(record) for record in caplog.records]
    assert len(records) == 3
    assert {record["opened_by"] for record in records} == {"alice@staging"}
    assert token not in repr(records)


def test_a_window_that_is_too_long_for_the_switch_is_not_believed(scene: Scene) -> None:
    window = new_window(timedelta(hours=7), opened_by="alice@staging", max_window=timedelta(hours=8), clock=scene.clock)
    scene.switch.read = lambda: window  # type: ignore[method-assign]
    scene.pass_a_look()
    assert scene.is_open(), "the watch itself has no opinion on lengths: that is the switch's"
