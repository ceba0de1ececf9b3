"""The Flask extension: where its settings come from, what it does to the application, and ``flask stagedoor``."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.signals import got_request_exception

import stagedoor
from stagedoor import ConfigurationError
from stagedoor.integrations.flask import StageDoor
from stagedoor.switches import FileSwitch
from stagedoor.window.window import format_time


def app_with(**config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(config)
    return app


def settings_of(app: Flask) -> Any:
    return app.extensions["stagedoor"].settings


# Where settings come from


@pytest.mark.parametrize(
    ("keyword", "config", "variable", "allowed"),
    [
        pytest.param("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1", id="a keyword wins"),
        pytest.param(None, "192.0.2.2", "192.0.2.3", "192.0.2.2", id="then app.config"),
        pytest.param(None, None, "192.0.2.3", "192.0.2.3", id="then the environment"),
        pytest.param(None, None, None, "nobody", id="then the default"),
    ],
)
def test_where_a_setting_comes_from(
    monkeypatch: pytest.MonkeyPatch, keyword: str | None, config: str | None, variable: str | None, allowed: str
) -> None:
    if variable is not None:
        monkeypatch.setenv("STAGEDOOR_ALLOW", variable)
    app = app_with(**({"STAGEDOOR_ALLOW": config} if config else {}))
    StageDoor(app, allow=keyword)
    assert str(settings_of(app).allow) == allowed


def test_every_setting_can_stand_in_app_config(tmp_path: Path) -> None:
    app = app_with(
        STAGEDOOR_ALLOW=["192.0.2.1", "2001:db8::/48"],
        STAGEDOOR_SWITCH=str(tmp_path / "window.json"),
        STAGEDOOR_BIND="127.0.0.1:5999",
        STAGEDOOR_MAX_WINDOW=timedelta(hours=1),
        STAGEDOOR_REQUIRE_TOKEN=True,
        STAGEDOOR_FORWARDED="ignore",
        STAGEDOOR_MAX_PAUSE="5m",
        STAGEDOOR_DEBUGGER="listen",
        STAGEDOOR_BREAK_ON=["/checkout"],
    )
    StageDoor(app)
    settings = settings_of(app)
    assert list(settings.allow) == ["192.0.2.1", "2001:db8::/48"]
    assert settings.switch.path == tmp_path / "window.json"
    assert (str(settings.bind), settings.max_window) == ("127.0.0.1:5999", timedelta(hours=1))
    assert (settings.require_token, settings.forwarded) == (True, "ignore")
    assert (settings.max_pause, settings.debugger) == (timedelta(minutes=5), "listen")
    assert settings.break_on({"PATH_INFO": "/checkout/pay"})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({"STAGEDOOR_ALLOW": "0.0.0.0/0"}, "^STAGEDOOR_ALLOW='0.0.0.0/0' ", id="by the name in app.config"),
        pytest.param({"STAGEDOOR_ALOW": "192.0.2.1"}, "^STAGEDOOR_ALOW=.* is no setting of Stagedoor's", id="misspelt"),
        pytest.param({"STAGEDOOR_UNTIL": "2030-01-01T00:00:00Z"}, "is read from the environment only", id="a variable"),
        pytest.param({"STAGEDOOR_TOKEN": "s" * 20}, "^STAGEDOOR_TOKEN='...' is read", id="a secret is not shown"),
    ],
)
def test_a_wrong_setting_is_refused(config: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        StageDoor(app_with(**config))


def test_a_wrong_keyword_is_refused_by_its_own_name() -> None:
    with pytest.raises(ConfigurationError, match=r"^bind='nowhere' "):
        StageDoor(app_with(STAGEDOOR_BIND="127.0.0.1:5678"), bind="nowhere")


def test_a_whole_environment_in_app_config_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    until = format_time(datetime.now(UTC) + timedelta(minutes=30))
    monkeypatch.setenv("STAGEDOOR_UNTIL", until)
    StageDoor(app_with(STAGEDOOR_UNTIL=until))


# What it does to the application


def test_it_wraps_the_application_and_keeps_the_middleware_at_hand() -> None:
    app = Flask("shop")
    extension = StageDoor()
    assert not app.extensions
    extension.init_app(app)
    assert isinstance(app.wsgi_app, stagedoor.StageDoor)
    assert app.extensions["stagedoor"] is app.wsgi_app


def test_one_extension_serves_several_applications() -> None:
    extension = StageDoor(switch="memory")
    first, second = Flask("first"), Flask("second")
    extension.init_app(first)
    extension.init_app(second)
    assert first.wsgi_app is not second.wsgi_app


def test_a_second_stagedoor_on_one_application_is_refused() -> None:
    app = Flask("shop")
    StageDoor(app)
    with pytest.raises(ConfigurationError, match="has a StageDoor already"):
        StageDoor(app)


def test_without_a_window_errors_and_responses_are_flasks_own() -> None:
    app = Flask("shop")
    seen: list[BaseException] = []

    @app.get("/fails")
    def fails() -> str:
        raise LookupError("no such fruit")

    def remember(sender: Flask, exception: BaseException) -> None:
        seen.append(exception)

    got_request_exception.connect(remember, app)
    bare = app.test_client().get("/fails")
    StageDoor(app, allow="127.0.0.1", switch="memory")
    answer = app.test_client().get("/fails")
    assert (answer.status_code, answer.data, list(answer.headers)) == (500, bare.data, list(bare.headers))
    assert [str(error) for error in seen] == ["no such fruit"] * 2


# flask stagedoor


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An application whose settings are all its own: nothing in the environment names its switch."""
    for variable in [each for each in os.environ if each.startswith("STAGEDOOR_")]:
        monkeypatch.delenv(variable)
    app = Flask("shop")
    StageDoor(app, allow="192.0.2.1", switch=tmp_path / "window.json", bind="127.0.0.1:5999", max_window="1h")
    return app


def run(app: Flask, *arguments: str) -> Any:
    return app.test_cli_runner().invoke(args=["stagedoor", *arguments])


def test_the_command_opens_and_closes_the_applications_window(app: Flask, tmp_path: Path) -> None:
    switch = FileSwitch(tmp_path / "window.json", max_window=timedelta(hours=1))
    opened = run(app, "open", "--for", "30m")
    assert opened.exit_code == 0
    assert switch.read() is not None
    assert "192.0.2.1" in opened.output
    assert "5999" in opened.output
    assert run(app, "status").exit_code == 0
    assert run(app, "close").exit_code == 0
    assert switch.read() is None
    assert run(app, "status").exit_code == 1


def test_the_command_knows_the_applications_other_settings(app: Flask) -> None:
    assert run(app, "check", "192.0.2.1").exit_code == 0
    assert run(app, "check", "192.0.2.2").exit_code == 1
    assert run(app, "open", "--for", "2h").exit_code == 1, "longer than its max_window"


def test_the_command_knows_the_applications_debugger(tmp_path: Path, app: Flask) -> None:
    run(app, "open", "--for", "30m")
    assert "next matching request starts it" in " ".join(run(app, "status").output.split())
    without = Flask("shop")
    StageDoor(without, switch=tmp_path / "window.json", debugger="listen")
    assert "not running" not in run(without, "status").output


def test_an_option_wins_over_the_application(app: Flask, tmp_path: Path) -> None:
    run(app, "open", "--for", "30m", "--switch", str(tmp_path / "other.json"))
    assert (tmp_path / "other.json").exists()
    assert not (tmp_path / "window.json").exists()


def test_the_applications_file_wins_over_a_window_in_the_environment(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGEDOOR_UNTIL", format_time(datetime.now(UTC) + timedelta(minutes=30)))
    assert run(app, "open", "--for", "30m").exit_code == 0
    assert (tmp_path / "window.json").exists()


@pytest.mark.parametrize("command", ["open --for 30m", "status", "check 192.0.2.1", "until 30m", "close"])
def test_the_command_leaves_the_processs_environment_as_it_is(
    app: Flask, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("STAGEDOOR_UNTIL", "2001-01-01T00:00:00Z")
    before = dict(os.environ)
    run(app, *command.split())
    assert dict(os.environ) == before


def test_another_application_of_the_process_keeps_the_settings_of_the_environment(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGEDOOR_SWITCH", str(tmp_path / "other.json"))
    monkeypatch.setenv("STAGEDOOR_ALLOW", "192.0.2.9")
    assert run(app, "status").exit_code == 1
    other = Flask("other")
    StageDoor(other)
    assert (settings_of(other).switch.path, str(settings_of(other).allow)) == (tmp_path / "other.json", "192.0.2.9")


def test_what_the_application_does_not_read_is_not_read_by_the_command(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    StageDoor(other := Flask("other"), switch=settings_of(app).switch.path, threads=4, max_pause="5m")
    monkeypatch.setenv("STAGEDOOR_THREADS", "many")
    monkeypatch.setenv("STAGEDOOR_MAX_PAUSE", "long")
    assert run(other, "open", "--for", "30m").exit_code == 0


def test_usage_and_bad_usage_are_those_of_the_command(app: Flask) -> None:
    helped = run(app, "--help")
    assert helped.exit_code == 0
    assert "launch-json" in helped.output
    assert run(app, "open", "--for", "30").exit_code == 2
    assert run(app, "nonsense").exit_code == 2


def test_a_switch_inside_the_process_is_out_of_the_commands_reach() -> None:
    app = Flask("shop")
    StageDoor(app, switch="memory")
    for command in ("open", "close", "status", "gatekeeper --foreground"):
        refused = run(app, *command.split())
        assert refused.exit_code == 2
        assert "which no command reaches" in refused.stderr


def test_flask_lists_the_command(app: Flask) -> None:
    listed = app.test_cli_runner().invoke(args=["--help"])
    assert "stagedoor" in listed.output
    assert "Open, close and show this application's window" in listed.output
