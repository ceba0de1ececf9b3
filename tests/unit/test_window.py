"""The window's arithmetic: durations, times, tokens, and the deadline against both clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.errors import ConfigurationError, WindowRefused
from stagedoor.window.window import (
    extended_window,
    format_duration,
    format_time,
    is_name,
    is_token,
    new_token,
    new_window,
    parse_duration,
    parse_time,
)
from support.clock import START, SettableClock

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class TestDurations:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            pytest.param("90s", 90, id="seconds"),
            pytest.param("30m", 30 * 60, id="minutes, not months or milliseconds"),
            pytest.param("2h", 2 * 60 * 60, id="hours"),
            pytest.param("1h30m", 90 * 60, id="hours and minutes"),
            pytest.param("1h30m15s", 90 * 60 + 15, id="all three"),
            pytest.param("90m", 90 * 60, id="more minutes than an hour has"),
            pytest.param(" 30m\n", 30 * 60, id="white space around it"),
        ],
    )
    def test_reads_each_unit_as_what_it_is(self, text: str, seconds: int) -> None:
        assert parse_duration(text).total_seconds() == seconds

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            pytest.param("30", "has no unit", id="a bare number"),
            pytest.param("", "is not a duration", id="nothing"),
            pytest.param("0m", "lasts no time", id="zero"),
            pytest.param("-30m", "is not a duration", id="negative"),
            pytest.param("1.5h", "is not a duration", id="a fraction"),
            pytest.param("30m1h", "is not a duration", id="units in the wrong order"),
            pytest.param("1d", "is not a duration", id="a unit that is too long for a window"),
            pytest.param("30M", "is not a duration", id="a capital unit"),
            pytest.param("1h 30m", "is not a duration", id="a space inside"),
            pytest.param("３０m", "is not a duration", id="digits of another script"),
            pytest.param("9" * 5000 + "s", "is not a duration", id="more digits than Python converts"),
        ],
    )
    def test_refuses_everything_else_and_shows_what_is_right(self, text: str, problem: str) -> None:
        with pytest.raises(ConfigurationError, match=problem) as refused:
            parse_duration(text, "--for")
        assert str(refused.value).startswith("--for=")
        assert '"30m"' in str(refused.value)
        assert len(str(refused.value)) < 300

    @given(st.integers(min_value=1, max_value=9999 * 3600 + 3599))
    def test_are_read_back_as_they_were_written(self, seconds: int) -> None:
        duration = timedelta(seconds=seconds)
        assert parse_duration(format_duration(duration)) == duration

    @given(st.text() | st.from_regex(r"\d*[hms]?\d*[hms]?"))
    def test_any_text_is_a_positive_duration_or_a_configuration_error(self, text: str) -> None:
        try:
            duration = parse_duration(text)
        except ConfigurationError:
            return
        assert duration > timedelta(0)

    def test_nothing_is_written_as_zero_seconds(self) -> None:
        assert format_duration(timedelta(0)) == "0s"


class TestTimes:
    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("2026-11-22T18:00:00Z", id="UTC"),
            pytest.param("2026-11-22t18:00:00z", id="small letters"),
            pytest.param("2026-11-22 18:00:00Z", id="a space for the T"),
            pytest.param("2026-11-22T18:00:00.000Z", id="a fraction"),
            pytest.param("2026-11-22T19:00:00+01:00", id="a zone east of Greenwich"),
            pytest.param("2026-11-22T12:30:00-05:30", id="a zone west of Greenwich"),
            pytest.param("2026-11-22T18:00:00-00:00", id="an unknown local offset"),
        ],
    )
    def test_are_read_into_utc(self, text: str) -> None:
        moment = parse_time(text)
        assert moment == datetime(2026, 11, 22, 18, tzinfo=UTC)
        assert moment.tzinfo is UTC

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("2026-11-22T18:00:00", id="no zone"),
            pytest.param("2026-11-22", id="no time of day"),
            pytest.param("2026-11-22T18:00Z", id="no seconds"),
            pytest.param("20261122T180000Z", id="the short form of ISO 8601"),
            pytest.param("2026-W47-7T18:00:00Z", id="a week date"),
            pytest.param("2026-13-01T18:00:00Z", id="no such month"),
            pytest.param("2026-11-22T18:00:00+99:00", id="no such zone"),
            pytest.param("0001-01-01T00:00:00+23:59", id="before the year 1 in UTC"),
            pytest.param("9999-12-31T23:59:59-23:59", id="after the year 9999 in UTC"),
            pytest.param("２026-11-22T18:00:00Z", id="digits of another script"),
            pytest.param("1763834400", id="seconds since 1970"),
            pytest.param("2026-11-22T18:00:00Z\n", id="a line break"),
        ],
    )
    def test_anything_but_rfc_3339_is_a_value_error(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"no RFC 3339 time|month|offset|out of range"):
            parse_time(text)

    @given(
        st.datetimes(
            min_value=datetime(1, 1, 2),
            max_value=datetime(9999, 12, 30),
            timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
        )
    )
    def test_are_read_back_as_they_were_written_to_the_second(self, moment: datetime) -> None:
        assert parse_time(format_time(moment)) == moment.replace(microsecond=0)

    @given(st.text() | st.from_regex(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-6]\d:[0-6]\d(Z|[+-]\d\d:\d\d)", fullmatch=True))
    def test_any_text_is_a_time_in_utc_or_a_value_error(self, text: str) -> None:
        try:
            moment = parse_time(text)
        except ValueError:
            return
        assert moment.tzinfo is UTC


class TestTokensAndNames:
    def test_a_new_token_is_a_token_and_never_the_same(self) -> None:
        tokens = {new_token() for _ in range(100)}
        assert len(tokens) == 100
        assert all(is_token(token) and len(token) == 43 for token in tokens)

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("a" * 15, id="short enough to try out"),
            pytest.param("a" * 257, id="longer than a header should be"),
            pytest.param("a b" * 10, id="a space"),
            pytest.param("aaaaaaaaaaaaaaaa\n", id="a line break at the end"),
            pytest.param("a;b" * 10, id="what ends a cookie"),
            pytest.param("é" * 20, id="what a header can't carry"),
        ],
    )
    def test_what_a_header_or_a_cookie_would_garble_is_no_token(self, text: str) -> None:
        assert not is_token(text)

    @pytest.mark.parametrize("text", ["", "a" * 201, "a\nb", "\x1b[31mred", "\ud800"])
    def test_what_would_garble_a_log_is_no_name(self, text: str) -> None:
        assert not is_name(text)

    def test_a_window_does_not_show_its_token(self) -> None:
        window = new_window(HOUR, opened_by="alice", max_window=HOUR)
        assert window.token not in repr(window)


class TestNewWindow:
    def test_begins_now_and_lasts_what_was_asked_for(self) -> None:
        window = new_window(HOUR, opened_by="alice@staging", max_window=HOUR, clock=SettableClock())
        assert (window.opened_at, window.expires_at) == (START, START + HOUR)
        assert window.opened_by == "alice@staging"

    def test_longer_than_the_longest_allowed_is_refused_not_shortened(self) -> None:
        with pytest.raises(WindowRefused, match=r"1h1s was refused: the longest allowed is 1h .*max_window"):
            new_window(HOUR + SECOND, opened_by="alice", max_window=HOUR)

    @pytest.mark.parametrize("for_", [timedelta(0), -HOUR], ids=["no time at all", "negative"])
    def test_over_before_it_begins_is_refused(self, for_: timedelta) -> None:
        with pytest.raises(WindowRefused, match="over before it began"):
            new_window(for_, opened_by="alice", max_window=HOUR)

    def test_a_number_has_no_unit_and_is_a_type_error(self) -> None:
        with pytest.raises(TypeError, match=r"timedelta\(minutes=30\), not 30"):
            new_window(30, opened_by="alice", max_window=HOUR)  # type: ignore[arg-type]

    def test_a_name_that_would_forge_a_log_line_is_refused(self) -> None:
        with pytest.raises(WindowRefused, match="no name for a log line"):
            new_window(HOUR, opened_by="alice\nstagedoor: closed", max_window=HOUR)


class TestExtendedWindow:
    def test_moves_the_end_and_keeps_the_rest(self) -> None:
        clock = SettableClock()
        window = new_window(HOUR, opened_by="alice", max_window=3 * HOUR, clock=clock)
        clock.pass_time(30 * MINUTE)
        extended = extended_window(window, HOUR, max_window=3 * HOUR, clock=clock)
        assert extended.expires_at == START + 90 * MINUTE
        assert (extended.opened_at, extended.opened_by, extended.token) == (START, "alice", window.token)

    def test_again_and_again_ends_at_the_longest_allowed(self) -> None:
        clock = SettableClock()
        window = new_window(HOUR, opened_by="alice", max_window=HOUR, clock=clock)
        clock.pass_time(SECOND)
        with pytest.raises(WindowRefused, match=r"open since 2026-11-22T16:00:00Z, and the longest .* is 1h"):
            extended_window(window, HOUR, max_window=HOUR, clock=clock)

    def test_after_the_clock_was_set_back_behind_its_beginning_is_refused(self) -> None:
        clock = SettableClock()
        window = new_window(HOUR, opened_by="alice", max_window=HOUR, clock=clock)
        clock.set_wall(-2 * HOUR)
        with pytest.raises(WindowRefused):
            extended_window(window, HOUR, max_window=HOUR, clock=clock)
