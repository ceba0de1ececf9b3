"""The environment switch: what STAGEDOOR_UNTIL and STAGEDOOR_TOKEN may be, and what is said about the rest."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.errors import ConfigurationError, WindowRefused
from stagedoor.switches import EnvironmentSwitch
from stagedoor.window.window import Window, format_time
from support.clock import START, SettableClock

HOUR = timedelta(hours=1)
TOKEN = "correct-horse-battery-staple"


def switch(until: str | None = None, token: str | None = None) -> EnvironmentSwitch:
    values = {"STAGEDOOR_UNTIL": until, "STAGEDOOR_TOKEN": token}
    environ = {name: value for name, value in values.items() if value is not None}
    return EnvironmentSwitch(environ, max_window=8 * HOUR, clock=SettableClock())


def window(until: str, token: str | None = None) -> Window:
    found = switch(until, token).read()
    assert found is not None
    return found


class TestUntil:
    @pytest.mark.parametrize(
        "until",
        [
            pytest.param("2026-11-22T18:00:00Z", id="UTC"),
            pytest.param("2026-11-22T19:00:00+01:00", id="another zone"),
            pytest.param(" 2026-11-22T18:00:00Z\r\n", id="white space of an environment file"),
        ],
    )
    def test_is_the_end_and_now_is_the_beginning(self, until: str) -> None:
        found = window(until)
        assert format_time(found.expires_at) == "2026-11-22T18:00:00Z"
        assert found.opened_at == START
        assert found.opened_by == "environment"

    @pytest.mark.parametrize("until", [None, "", "  "], ids=["unset", "empty", "blank"])
    def test_nothing_is_closed(self, until: str | None) -> None:
        assert switch(until).read() is None

    @pytest.mark.parametrize(
        "until",
        [
            pytest.param("2026-11-22T15:59:59Z", id="a second ago"),
            pytest.param(format_time(START), id="now"),
            pytest.param("2001-01-01T00:00:00Z", id="years ago"),
        ],
    )
    def test_a_restart_after_the_end_is_closed_and_no_error(self, until: str) -> None:
        assert switch(until).read() is None

    @pytest.mark.parametrize(
        ("until", "problem"),
        [
            pytest.param("30m", "is a duration: it would start again with every restart", id="a duration"),
            pytest.param("1", "does not say when", id="1"),
            pytest.param("true", "does not say when", id="true"),
            pytest.param("on", "does not say when", id="on"),
            pytest.param("1795370400", "does not say when", id="seconds since 1970"),
            pytest.param("2026-11-22T18:00:00", "has no zone", id="a naive time"),
            pytest.param("2026-11-22", "has no zone or no time of day", id="a date"),
            pytest.param("tomorrow", "does not say when", id="a word"),
            pytest.param("\udcff", "does not say when", id="bytes that are no text"),
        ],
    )
    def test_anything_else_is_an_error_that_shows_what_is_right(self, until: str, problem: str) -> None:
        with pytest.raises(ConfigurationError, match=problem) as refused:
            switch(until)
        message = str(refused.value)
        assert message.startswith(f"STAGEDOOR_UNTIL={until!r} ")
        assert "STAGEDOOR_UNTIL=2026-11-22T16:30:00Z;" in message
        assert '"stagedoor until 30m"' in message

    def test_what_the_message_shows_is_right(self) -> None:
        assert format_time(window("2026-11-22T16:30:00Z").expires_at) == "2026-11-22T16:30:00Z"

    def test_later_than_the_longest_window_is_refused_not_shortened(self) -> None:
        with pytest.raises(ConfigurationError, match=r"STAGEDOOR_UNTIL=.* 8h .*STAGEDOOR_MAX_WINDOW"):
            switch(format_time(START + 8 * HOUR + timedelta(seconds=2)))

    @given(st.text() | st.datetimes().map(datetime.isoformat) | st.from_regex(r"[\dTZ:.+-]*"))
    def test_any_text_is_a_switch_or_a_configuration_error(self, until: str) -> None:
        try:
            found = switch(until).read()
        except ConfigurationError:
            return
        assert found is None or START < found.expires_at <= START + 8 * HOUR

    def test_is_read_once(self) -> None:
        environ = {"STAGEDOOR_UNTIL": "2026-11-22T18:00:00Z"}
        read_once = EnvironmentSwitch(environ, max_window=8 * HOUR, clock=SettableClock())
        environ["STAGEDOOR_UNTIL"] = "garbage"
        assert read_once.read() is not None


class TestToken:
    UNTIL = "2026-11-22T18:00:00Z"

    def test_is_the_windows(self) -> None:
        assert window(self.UNTIL, TOKEN).token == TOKEN
        assert switch(self.UNTIL, TOKEN).token_given is True

    @pytest.mark.parametrize("token", [None, ""], ids=["unset", "empty"])
    def test_without_one_every_process_makes_its_own(self, token: str | None) -> None:
        assert window(self.UNTIL, token).token != window(self.UNTIL, token).token
        assert switch(self.UNTIL, token).token_given is False

    @pytest.mark.parametrize("until", [UNTIL, None, "2001-01-01T00:00:00Z"], ids=["open", "unset", "over"])
    @pytest.mark.parametrize(
        "token",
        [
            pytest.param("hunter2-hunter2", id="15 characters"),
            pytest.param("hunter2 hunter2 hunter2", id="spaces"),
            pytest.param("hunter2-hünter2-hunter2", id="what a header can't carry"),
        ],
    )
    def test_a_bad_one_is_an_error_that_does_not_show_it(self, until: str | None, token: str) -> None:
        with pytest.raises(ConfigurationError, match="STAGEDOOR_TOKEN=") as refused:
            switch(until, token)
        assert "nter2" not in str(refused.value)
        assert "nter2" not in repr(refused.value)
        assert "16 to 256" in str(refused.value)


class TestCommands:
    """The commands can't change an environment; they say what can."""

    def test_opening_says_how_it_is_opened(self) -> None:
        with pytest.raises(WindowRefused, match=r"can't be opened.* STAGEDOOR_UNTIL .*restart") as refused:
            switch("2026-11-22T18:00:00Z").open(timedelta(minutes=30), opened_by="alice")
        assert "2026-11-22T16:30:00Z" in str(refused.value)

    def test_closing_says_how_it_is_closed(self) -> None:
        with pytest.raises(WindowRefused, match=r"can't be closed.* STAGEDOOR_UNTIL .*restart"):
            switch("2026-11-22T18:00:00Z").close()
