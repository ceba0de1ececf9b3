"""What Flask's extension has for itself; what it has in common with Django's is in test_integrations.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.signals import got_request_exception

import stagedoor
from stagedoor import ConfigurationError
from stagedoor.integrations.flask import StageDoor


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
def app(tmp_path: Path) -> Flask:
    """An application whose settings are keywords."""
    app = Flask("shop")
    StageDoor(app, allow="192.0.2.1", switch=tmp_path / "window.json", bind="127.0.0.1:5999", max_window="1h")
    return app


def test_the_command_knows_what_is_given_as_keywords(app: Flask, tmp_path: Path) -> None:
    opened = app.test_cli_runner().invoke(args=["stagedoor", "open", "--for", "30m"])
    assert opened.exit_code == 0
    assert "192.0.2.1" in opened.output
    assert "5999" in opened.output
    assert (tmp_path / "window.json").exists()
    assert app.test_cli_runner().invoke(args=["stagedoor", "open", "--for", "2h"]).exit_code == 1


def test_its_help_is_that_of_the_command(app: Flask) -> None:
    helped = app.test_cli_runner().invoke(args=["stagedoor", "--help"])
    assert helped.exit_code == 0
    assert "launch-json" in helped.output


def test_flask_lists_the_command(app: Flask) -> None:
    listed = app.test_cli_runner().invoke(args=["--help"])
    assert "stagedoor" in listed.output
    assert "Open, close and show this application's window" in listed.output
