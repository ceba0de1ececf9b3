"""Whether a window is over, and why."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.window.lifetime import CLOCK_TOLERANCE, Deadline, Ending
from stagedoor.window.window import Clock, Window, new_window
from support.clock import SettableClock

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class TestDeadline:
    def window(self, clock: Clock) -> Window:
        return new_window(HOUR, opened_by="alice", max_window=HOUR, clock=clock)

    def test_counts_down_in_seconds(self) -> None:
        clock = SettableClock()
        deadline = Deadline(self.window(clock), clock)
        clock.pass_time(MINUTE)
        assert deadline.remaining() == 59 * 60

    @given(
        passed=st.timedeltas(timedelta(0), 2 * HOUR),
        set_by=st.timedeltas(-2 * HOUR, 2 * HOUR),
    )
    def test_the_earlier_of_the_two_clocks_wins(self, passed: timedelta, set_by: timedelta) -> None:
        clock = SettableClock()
        deadline = Deadline(self.window(clock), clock)
        clock.pass_time(passed)
        clock.set_wall(set_by)
        by_monotonic, by_wall = HOUR - passed, HOUR - passed - set_by
        assert deadline.remaining() == pytest.approx(min(by_monotonic, by_wall).total_seconds(), abs=1e-6)

    def test_a_clock_set_back_does_not_prolong_it(self) -> None:
        clock = SettableClock()
        deadline = Deadline(self.window(clock), clock)
        clock.set_wall(-30 * MINUTE)
        clock.pass_time(HOUR)
        assert deadline.remaining() <= 0

    def test_a_clock_set_forward_ends_it_earlier(self) -> None:
        clock = SettableClock()
        deadline = Deadline(self.window(clock), clock)
        clock.set_wall(HOUR)
        assert deadline.remaining() <= 0

    @pytest.mark.parametrize(
        ("set_by", "trouble"),
        [
            pytest.param(timedelta(0), None, id="untouched"),
            pytest.param(CLOCK_TOLERANCE, None, id="a step of NTP forward"),
            pytest.param(-CLOCK_TOLERANCE, None, id="a step of NTP back"),
            pytest.param(40 * SECOND, "was set forward by 40 s", id="set forward"),
            pytest.param(-40 * SECOND, "was set back by 40 s", id="set back"),
            pytest.param(-90 * MINUTE, "before the window was opened", id="set back behind the beginning"),
        ],
    )
    def test_a_clock_that_was_set_is_trouble(self, set_by: timedelta, trouble: str | None) -> None:
        clock = SettableClock()
        deadline = Deadline(self.window(clock), clock)
        clock.pass_time(45 * MINUTE)
        clock.set_wall(set_by)
        found = deadline.clock_trouble()
        assert found is None if trouble is None else trouble in (found or "")

    @given(st.timedeltas(timedelta(0), 8 * HOUR))
    def test_time_that_passes_is_no_trouble(self, passed: timedelta) -> None:
        clock = SettableClock()
        deadline = Deadline(self.window(clock), clock)
        clock.pass_time(passed)
        assert deadline.clock_trouble() is None


#: Minutes that pass, minutes by which the clock is set, what its switch holds: whether it has expired, the doubt.
ENDINGS: dict[str, tuple[int, int, str, tuple[bool, str | None] | None]] = {
    "open": (1, 0, "it", None),
    "closed": (1, 0, "none", (False, None)),
    "another in its place": (1, 0, "another", (False, None)),
    "at its end": (60, 0, "it", (True, None)),
    "at its end, and taken away": (61, 0, "none", (True, None)),
    "the clock set back": (1, -1, "it", (False, "set back by 60 s")),
    "the clock set back, and closed": (1, -1, "none", (False, "set back by 60 s")),
    "the clock set to its end": (1, 59, "it", (True, "set forward by 3540 s")),
    "the clock set behind its beginning": (1, -90, "it", (False, "before the window was opened")),
}


class TestEnding:
    """The one judgement, for workers and gatekeepers alike."""

    @pytest.mark.parametrize(("passed", "set_by", "held", "expected"), ENDINGS.values(), ids=ENDINGS.keys())
    def test_why_it_is_over(
        self, passed: int, set_by: int, held: str, expected: tuple[bool, str | None] | None
    ) -> None:
        clock = SettableClock()
        window, another = (new_window(HOUR, opened_by="alice", max_window=HOUR, clock=clock) for _ in range(2))
        deadline = Deadline(window, clock)
        clock.pass_time(passed * MINUTE)
        clock.set_wall(set_by * MINUTE)
        ending = deadline.ending({"it": window, "another": another, "none": None}[held])
        if expected is None or ending is None:
            assert ending is expected
        else:
            is_expired, doubt = expected
            assert ending.is_expired == is_expired
            assert ending.doubt is doubt or str(doubt) in str(ending.doubt)

    def test_a_window_whose_end_was_moved_is_still_the_same(self) -> None:
        clock = SettableClock()
        window = new_window(HOUR, opened_by="alice", max_window=HOUR, clock=clock)
        moved = Window(window.opened_at, window.expires_at - MINUTE, window.opened_by, window.token)
        assert Deadline(window, clock).ending(moved) is None
        assert Deadline(window, clock).ended() == Ending(False, None)
