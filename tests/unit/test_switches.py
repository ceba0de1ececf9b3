"""What every switch promises (one inherited suite), and which one is chosen."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from stagedoor.errors import ConfigurationError, WindowRefused
from stagedoor.switches import EnvironmentSwitch, FileSwitch, MemorySwitch, Switch, switch_from
from stagedoor.window.window import format_time, is_token
from support.clock import START, SettableClock

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
MAX_WINDOW = 2 * HOUR


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


class SwitchContract(ABC):
    """What holds for a switch that can only be read, too."""

    @abstractmethod
    def closed(self, clock: SettableClock, tmp_path: Path) -> Switch:
        """A switch on which no window is open."""

    @abstractmethod
    def opened(self, clock: SettableClock, tmp_path: Path, for_: timedelta) -> Switch:
        """A switch on which a window was opened just now."""

    def test_closed_holds_no_window(self, clock: SettableClock, tmp_path: Path) -> None:
        assert self.closed(clock, tmp_path).read() is None

    def test_open_holds_a_whole_window(self, clock: SettableClock, tmp_path: Path) -> None:
        window = self.opened(clock, tmp_path, HOUR).read()
        assert window is not None
        assert abs(window.opened_at - START) < SECOND
        assert abs(window.expires_at - (START + HOUR)) < SECOND
        assert window.opened_at.tzinfo is UTC
        assert window.expires_at.tzinfo is UTC
        assert window.opened_by
        assert is_token(window.token)

    def test_reading_changes_nothing(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.opened(clock, tmp_path, HOUR)
        assert switch.read() == switch.read()

    def test_is_over_at_its_end(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.opened(clock, tmp_path, HOUR)
        clock.pass_time(HOUR - 2 * SECOND)
        assert switch.read() is not None
        clock.pass_time(2 * SECOND)
        assert switch.read() is None

    def test_is_over_when_the_clock_is_set_forward(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.opened(clock, tmp_path, HOUR)
        clock.set_wall(HOUR)
        assert switch.read() is None

    def test_a_window_as_long_as_the_longest_is_allowed(self, clock: SettableClock, tmp_path: Path) -> None:
        assert self.opened(clock, tmp_path, MAX_WINDOW).read() is not None

    def test_a_longer_window_is_refused(self, clock: SettableClock, tmp_path: Path) -> None:
        with pytest.raises((WindowRefused, ConfigurationError), match=r"2h.*max_window"):
            self.opened(clock, tmp_path, MAX_WINDOW + 2 * SECOND)

    def test_has_a_name_for_a_sentence(self, clock: SettableClock, tmp_path: Path) -> None:
        assert self.closed(clock, tmp_path).name.startswith("the ")


class WritableSwitchContract(SwitchContract):
    """What holds for a switch that can be opened and closed, besides."""

    def opened(self, clock: SettableClock, tmp_path: Path, for_: timedelta) -> Switch:
        switch = self.closed(clock, tmp_path)
        switch.open(for_, opened_by="alice@staging")
        return switch

    def test_opening_gives_the_window_that_is_read(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.closed(clock, tmp_path)
        window = switch.open(timedelta(minutes=30), opened_by="alice@staging")
        assert switch.read() == window
        assert window.expires_at - window.opened_at == timedelta(seconds=1800)
        assert window.opened_by == "alice@staging"

    def test_opening_again_extends_the_same_window(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.closed(clock, tmp_path)
        first = switch.open(HOUR, opened_by="alice")
        clock.pass_time(30 * MINUTE)
        second = switch.open(HOUR, opened_by="bob")
        assert switch.read() == second
        assert second.expires_at == START + 90 * MINUTE
        assert (second.token, second.opened_at, second.opened_by) == (first.token, START, "alice")

    def test_opening_again_can_shorten_it(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.opened(clock, tmp_path, HOUR)
        switch.open(MINUTE, opened_by="alice")
        clock.pass_time(MINUTE)
        assert switch.read() is None

    def test_extending_stays_within_the_longest_window(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.opened(clock, tmp_path, HOUR)
        before = switch.read()
        clock.pass_time(30 * MINUTE)
        with pytest.raises(WindowRefused, match="max_window"):
            switch.open(MAX_WINDOW, opened_by="alice")
        assert switch.read() == before

    def test_opening_after_the_end_is_a_new_window(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.closed(clock, tmp_path)
        first = switch.open(HOUR, opened_by="alice")
        clock.pass_time(HOUR)
        second = switch.open(HOUR, opened_by="bob")
        assert second.token != first.token
        assert (second.opened_at, second.opened_by) == (START + HOUR, "bob")

    def test_closing_ends_it_and_says_whether_it_was_open(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.opened(clock, tmp_path, HOUR)
        assert switch.close() is True
        assert switch.read() is None
        assert switch.close() is False

    def test_closing_after_the_end_finds_it_closed(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.opened(clock, tmp_path, HOUR)
        clock.pass_time(HOUR)
        assert switch.close() is False

    def test_opening_after_closing_is_a_new_window(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.closed(clock, tmp_path)
        first = switch.open(HOUR, opened_by="alice")
        switch.close()
        assert switch.open(HOUR, opened_by="alice").token != first.token

    def test_a_refused_window_leaves_it_closed(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.closed(clock, tmp_path)
        with pytest.raises(WindowRefused):
            switch.open(-HOUR, opened_by="alice")
        assert switch.read() is None

    def test_threads_that_open_at_once_leave_one_whole_window(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.closed(clock, tmp_path)
        together = threading.Barrier(4)
        windows = []

        def open_it() -> None:
            together.wait()
            windows.append(switch.open(HOUR, opened_by="alice"))

        threads = [threading.Thread(target=open_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(windows) == 4
        assert switch.read() in windows


class TestMemorySwitch(WritableSwitchContract):
    def closed(self, clock: SettableClock, tmp_path: Path) -> Switch:
        return MemorySwitch(max_window=MAX_WINDOW, clock=clock)

    def test_is_over_at_its_end_though_the_clock_was_set_back(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.opened(clock, tmp_path, HOUR)
        clock.set_wall(-30 * MINUTE)
        clock.pass_time(HOUR)
        assert switch.read() is None

    def test_threads_that_open_at_once_share_one_token(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.closed(clock, tmp_path)
        tokens = set()
        threads = [
            threading.Thread(target=lambda: tokens.add(switch.open(HOUR, opened_by="alice").token)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(tokens) == 1


class TestFileSwitch(WritableSwitchContract):
    def closed(self, clock: SettableClock, tmp_path: Path) -> Switch:
        return FileSwitch(tmp_path / "window.json", max_window=MAX_WINDOW, clock=clock)

    def test_another_process_reads_the_same_window(self, clock: SettableClock, tmp_path: Path) -> None:
        assert self.opened(clock, tmp_path, HOUR).read() == self.closed(clock, tmp_path).read()


class TestEnvironmentSwitch(SwitchContract):
    def closed(self, clock: SettableClock, tmp_path: Path) -> Switch:
        return EnvironmentSwitch({}, max_window=MAX_WINDOW, clock=clock)

    def opened(self, clock: SettableClock, tmp_path: Path, for_: timedelta) -> Switch:
        environ = {"STAGEDOOR_UNTIL": format_time(clock.now() + for_)}
        return EnvironmentSwitch(environ, max_window=MAX_WINDOW, clock=clock)

    def test_is_over_at_its_end_though_the_clock_was_set_back(self, clock: SettableClock, tmp_path: Path) -> None:
        switch = self.opened(clock, tmp_path, HOUR)
        clock.set_wall(-30 * MINUTE)
        clock.pass_time(HOUR)
        assert switch.read() is None


class TestSwitchFrom:
    """The one place that chooses."""

    UNTIL = format_time(START + HOUR)

    @pytest.mark.parametrize(
        ("spec", "environ", "kind"),
        [
            pytest.param(None, {}, FileSwitch, id="nothing is said: the file switch"),
            pytest.param(None, {"STAGEDOOR_UNTIL": UNTIL}, EnvironmentSwitch, id="STAGEDOOR_UNTIL"),
            pytest.param(None, {"STAGEDOOR_SWITCH": "/run/x/w.json"}, FileSwitch, id="STAGEDOOR_SWITCH"),
            pytest.param(None, {"STAGEDOOR_UNTIL": "", "STAGEDOOR_SWITCH": " "}, FileSwitch, id="both empty: unset"),
            pytest.param("memory", {}, MemorySwitch, id="memory"),
            pytest.param("memory", {"STAGEDOOR_UNTIL": "garbage"}, MemorySwitch, id="a keyword beats the environment"),
            pytest.param("/run/x/w.json", {}, FileSwitch, id="a path as text"),
            pytest.param("file:/run/x/w.json", {}, FileSwitch, id="a path after file:"),
            pytest.param(Path("/run/x/w.json"), {}, FileSwitch, id="a path object"),
        ],
    )
    def test_chooses(self, spec: object, environ: dict[str, str], kind: type[Switch], clock: SettableClock) -> None:
        switch = switch_from(spec, environ=environ, max_window=MAX_WINDOW, clock=clock)  # type: ignore[arg-type]
        assert type(switch) is kind
        assert switch.max_window == MAX_WINDOW
        assert switch.clock is clock

    @pytest.mark.parametrize(
        ("spec", "environ"),
        [
            pytest.param("/run/x/w.json", {}, id="text"),
            pytest.param("file:/run/x/w.json", {}, id="after file:"),
            pytest.param(Path("/run/x/w.json"), {}, id="a path object"),
            pytest.param(None, {"STAGEDOOR_SWITCH": "/run/x/w.json"}, id="from STAGEDOOR_SWITCH"),
            pytest.param(None, {"STAGEDOOR_SWITCH": "file:/run/x/w.json"}, id="from it, after file:"),
        ],
    )
    def test_the_file_is_where_it_was_asked_for(self, spec: str | None, environ: dict[str, str]) -> None:
        switch = switch_from(spec, environ=environ, max_window=MAX_WINDOW)
        assert isinstance(switch, FileSwitch)
        assert switch.path == Path("/run/x/w.json")

    def test_the_default_path_is_that_of_the_environment_given(self) -> None:
        switch = switch_from(environ={"XDG_RUNTIME_DIR": "/run/user/7"}, max_window=MAX_WINDOW)
        assert isinstance(switch, FileSwitch)
        assert switch.path == Path("/run/user/7/stagedoor/window.json")

    def test_a_switch_is_taken_as_it_is(self) -> None:
        mine = MemorySwitch(max_window=MINUTE)
        assert switch_from(mine, environ={}, max_window=MAX_WINDOW) is mine

    @pytest.mark.parametrize(
        ("spec", "environ", "message"),
        [
            pytest.param(
                None,
                {"STAGEDOOR_UNTIL": UNTIL, "STAGEDOOR_SWITCH": "/run/x/w.json"},
                r"STAGEDOOR_SWITCH='/run/x/w.json' is set, and so is STAGEDOOR_UNTIL=",
                id="both variables",
            ),
            pytest.param(
                None,
                {"STAGEDOOR_SWITCH": "window.json"},
                r"STAGEDOOR_SWITCH='window.json' is not an absolute path",
                id="a relative path in the environment",
            ),
            pytest.param("window.json", {}, "switch='window.json' is not an abs", id="a relative path"),
            pytest.param("~/window.json", {}, "is not an absolute path", id="a path with a tilde"),
            pytest.param("/", {}, "is a directory", id="the root directory"),
            pytest.param("/run/x\0y", {}, "is not a path", id="a null byte"),
            pytest.param("/run/\ud800", {}, "is not a path", id="what no file system can name"),
            pytest.param("", {}, "is not an absolute path", id="the empty keyword"),
            pytest.param("redis://localhost/0", {}, "Redis switch, which this version does not", id="Redis"),
            pytest.param(None, {"STAGEDOOR_SWITCH": "redis://h"}, "^STAGEDOOR_SWITCH=.*Redis", id="Redis by variable"),
            pytest.param(None, {"STAGEDOOR_SWITCH": "memory"}, "not an absolute", id="memory by variable"),
            pytest.param(None, {"STAGEDOOR_UNTIL": "1"}, "^STAGEDOOR_UNTIL='1'", id="a bad end"),
            pytest.param(True, {}, "switch=True is neither a switch nor a path", id="a truth value"),
            pytest.param(HOUR, {}, "is neither a switch nor a path", id="a duration"),
            pytest.param(b"/run/x/w.json", {}, "is neither a switch nor a path", id="bytes"),
            pytest.param(MemorySwitch, {}, "is neither a switch nor a path", id="a class"),
        ],
    )
    def test_refuses(self, spec: object, environ: dict[str, str], message: str) -> None:
        with pytest.raises(ConfigurationError, match=message):
            switch_from(spec, environ=environ, max_window=MAX_WINDOW)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(lambda path: FileSwitch(path, max_window=HOUR), id="constructing"),
            pytest.param(lambda path: FileSwitch(path, max_window=HOUR).read(), id="reading"),
            pytest.param(lambda path: FileSwitch(path, max_window=HOUR).close(), id="closing"),
        ],
    )
    def test_only_opening_makes_a_file_or_a_directory(self, make: Callable[[Path], object], tmp_path: Path) -> None:
        make(tmp_path / "stagedoor" / "window.json")
        assert os.listdir(tmp_path) == []
