"""``select="token"``: which requests match where the address is not what counts, and what is said about it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

from stagedoor import StageDoor
from stagedoor.access.passes import make_passes
from stagedoor.cli import main
from stagedoor.errors import ConfigurationError
from stagedoor.settings.settings import Settings
from stagedoor.window.window import SYSTEM_CLOCK, format_time
from support.servers import ALLOWED
from support.stage import make_environ, serve

#: Where developers and visitors come from: none of it is on an allowlist.
ANYWHERE, ELSEWHERE = "198.51.100.9", "2001:db8::9"


def app(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def opened(**settings: Any) -> tuple[StageDoor, str]:
    usual = {"select": "token", "switch": "memory", "debugger": "listen", "bind": "127.0.0.1:1"}
    door = StageDoor(app, **(usual | settings))
    return door, door.open(timedelta(minutes=5)).token


@pytest.fixture
def door(caplog: pytest.LogCaptureFixture) -> Iterator[tuple[StageDoor, str]]:
    caplog.set_level(logging.INFO)
    made, token = opened()
    yield made, token
    made.close()


def matches(door: StageDoor, source: str, *, scheme: str = "https", **headers: str) -> bool:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    environ = make_environ("/", source, {"X-Stagedoor": "ignore"} | named)
    environ["wsgi.url_scheme"] = scheme
    return serve(door, environ).header is not None


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.reason for record in caplog.records if record.event == "refused"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("source", [ANYWHERE, ELSEWHERE, "127.0.0.1", "::ffff:198.51.100.9"])
def test_any_address_matches_with_a_token_or_a_pass(door: tuple[StageDoor, str], source: str) -> None:
    made, token = door
    anna = make_passes("anna", token)
    assert matches(made, source, X_Stagedoor_Token=token)
    assert matches(made, source, X_Stagedoor_Token=anna.request)
    assert matches(made, source, Cookie=f"a=b; stagedoor_token={anna.request}")
    assert not matches(made, source, X_Stagedoor_Token=anna.attach)
    assert not matches(made, source, X_Stagedoor_Token="x" * 43)
    assert not matches(made, source)


def test_an_allowed_address_alone_does_not_match() -> None:
    door, token = opened(allow=ANYWHERE)
    assert not matches(door, ANYWHERE)
    assert matches(door, ANYWHERE, X_Stagedoor_Token=token)
    door.close()


@pytest.mark.parametrize("visits", [1, 3, 50])
def test_whoever_comes_first_without_a_token_matches_with_it(door: tuple[StageDoor, str], visits: int) -> None:
    """Their address is a stranger's by then, and the log may be full of others."""
    made, token = door
    for number in range(visits):
        assert not matches(made, ANYWHERE)
        assert not matches(made, f"198.51.100.{number}")
        assert not matches(made, ANYWHERE, X_Stagedoor_Token="wrong")
    assert matches(made, ANYWHERE, X_Stagedoor_Token=token)
    assert matches(made, f"198.51.100.{visits}", X_Stagedoor_Token=token)


def test_over_http_nothing_matches_and_the_log_says_so_once(
    door: tuple[StageDoor, str], caplog: pytest.LogCaptureFixture
) -> None:
    made, token = door
    anna = make_passes("anna", token)
    for source in (ANYWHERE, ELSEWHERE):
        for carried in (anna.request, token, anna.request):
            assert not matches(made, source, scheme="http", X_Stagedoor_Token=carried)
    assert refusals(caplog) == ["http"]
    assert "plain http" in caplog.text
    assert "ProxyFix x_proto=1" in caplog.text
    assert matches(made, ANYWHERE, X_Stagedoor_Token=token)
    made.close()
    caplog.clear()
    again = make_passes("anna", made.open(timedelta(minutes=5)).token)
    assert not matches(made, ANYWHERE, scheme="http", X_Stagedoor_Token=again.request)
    assert refusals(caplog) == ["http"], "in another window once more"


@pytest.mark.parametrize("carried", ["wrong", "x" * 43, f"anna.{'0' * 64}"])
def test_nobody_else_uses_up_what_is_said_once(
    door: tuple[StageDoor, str], caplog: pytest.LogCaptureFixture, carried: str
) -> None:
    made, token = door
    assert not matches(made, ELSEWHERE, scheme="http", X_Stagedoor_Token=carried)
    assert "http" not in refusals(caplog)
    assert not matches(made, ANYWHERE, scheme="http", X_Stagedoor_Token=token)
    assert refusals(caplog)[-1] == "http"


def test_a_flood_of_visitors_writes_a_few_lines_of_no_importance(
    door: tuple[StageDoor, str], caplog: pytest.LogCaptureFixture
) -> None:
    made, _ = door
    for number in range(2000):
        assert not matches(made, f"10.0.{number >> 8}.{number & 255}")
    assert len(refusals(caplog)) <= 12
    assert set(refusals(caplog)) == {"select"}
    assert not [record for record in caplog.records if record.levelno > logging.INFO and record.event == "refused"]  # type: ignore[attr-defined]
    assert not matches(made, ANYWHERE, X_Stagedoor_Token="wrong")
    assert refusals(caplog)[-1] == "token", "which hides no other refusal"


def test_behind_a_proxy_that_no_proxy_fix_has_handled_nothing_matches(door: tuple[StageDoor, str]) -> None:
    made, token = door
    assert not matches(made, ANYWHERE, X_Stagedoor_Token=token, X_Forwarded_For="203.0.113.9")


@pytest.mark.parametrize(
    ("proto", "x_proto", "expected"), [("https", 1, True), ("http", 1, False), ("https", 0, False)]
)
def test_where_https_ends_at_a_proxy_proxy_fix_says_so(
    door: tuple[StageDoor, str], caplog: pytest.LogCaptureFixture, proto: str, x_proto: int, expected: bool
) -> None:
    made, token = door
    carried = {"X-Stagedoor": "ignore", "X-Stagedoor-Token": make_passes("anna", token).request}
    environ = make_environ("/", "127.0.0.1", carried | {"X-Forwarded-For": ANYWHERE, "X-Forwarded-Proto": proto})
    assert (serve(ProxyFix(made, x_for=1, x_proto=x_proto), environ).header is not None) is expected
    said = f"GET / of anna, from {ANYWHERE}" if expected else f"a request from {ANYWHERE} carried"
    assert said in caplog.text


# The setting


@pytest.mark.parametrize("value", ["tokens", "", "Token", "address,token", True])
def test_another_value_is_refused_when_the_application_starts(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"select={value!r} is not one of its values")):
        StageDoor(app, switch="memory", select=value)


def test_it_is_read_from_the_environment_and_a_keyword_wins() -> None:
    assert Settings.read(switch="memory", environ={}).select == "address"
    assert Settings.read(switch="memory", environ={"STAGEDOOR_SELECT": "token"}).select == "token"
    assert Settings.read(switch="memory", select="address", environ={"STAGEDOOR_SELECT": "token"}).select == "address"
    with pytest.raises(ConfigurationError, match=r"^STAGEDOOR_SELECT='http'"):
        Settings.read(switch="memory", environ={"STAGEDOOR_SELECT": "http"})


@pytest.mark.parametrize(
    ("allow", "bind", "said"),
    [
        pytest.param("", "127.0.0.1:1", None, id="nobody"),
        pytest.param("0.0.0.0/1 128.0.0.0/1", "127.0.0.1:1", None, id="everybody, and a local port"),
        pytest.param("127.0.0.1", "0.0.0.0:1", None, id="loopback"),
        pytest.param("0.0.0.0/1 128.0.0.0/1", "0.0.0.0:1", "strangers can attach to the debug port", id="everybody"),
    ],
)
def test_the_allowlist_is_doubted_only_for_what_it_lets_in(
    allow: str, bind: str, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    StageDoor(app, switch="memory", select="token", allow=allow, bind=bind)
    assert [said] * (said is not None) == [said for record in caplog.records if str(said) in record.getMessage()]
    assert len(caplog.records) == (said is not None)


@pytest.mark.parametrize("settings", [{"select": "token"}, {"require_token": True, "allow": ALLOWED}])
def test_a_window_whose_token_nobody_knows_is_said(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STAGEDOOR_UNTIL", format_time(SYSTEM_CLOCK.now() + timedelta(minutes=5)))
    StageDoor(app, bind="203.0.113.1:5678", allow=ALLOWED)
    assert "no request can match" not in caplog.text
    StageDoor(app, bind="203.0.113.1:5678", **settings)
    asking = "require_token" if "require_token" in settings else 'select="token"'
    assert f"no request can match: nobody knows the token that {asking} asks for. Set STAGEDOOR_TOKEN." in caplog.text
    caplog.clear()
    monkeypatch.setenv("STAGEDOOR_TOKEN", "x" * 32)
    StageDoor(app, bind="203.0.113.1:5678", **settings)
    assert "no request can match" not in caplog.text


@pytest.mark.parametrize(
    ("allow", "code", "said"),
    [
        (ANYWHERE, 0, f"Allowed: {ANYWHERE} is on the allowlist, by {ANYWHERE}."),
        ("", 1, "nobody is allowed here"),
        ("203.0.113.7", 1, "is not on the allowlist"),
    ],
)
def test_the_command_check_says_what_the_allowlist_is_for(
    allow: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", ANYWHERE], {"STAGEDOOR_SELECT": "token", "STAGEDOOR_ALLOW": allow}) == code
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith("Requests from any address match if they carry the window's token or a pass over https")
    assert said in told
