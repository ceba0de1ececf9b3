"""What Flask's and Django's integrations have in common: where settings come from, and the command ``stagedoor``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stagedoor import ConfigurationError
from stagedoor.access.passes import make_passes
from stagedoor.switches import FileSwitch
from stagedoor.window.window import format_time
from support.integrated import OnDjango, OnFlask, Site

NewSite = Callable[..., Site]


@pytest.fixture(params=[OnFlask, OnDjango], ids=["Flask", "Django"])
def new_site(request: pytest.FixtureRequest) -> NewSite:
    made: NewSite = request.param
    return made


# Settings


@pytest.mark.parametrize(
    ("keyword", "configured", "variable", "allowed"),
    [
        pytest.param("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1", id="a keyword wins"),
        pytest.param(None, "192.0.2.2", "192.0.2.3", "192.0.2.2", id="then the framework's configuration"),
        pytest.param(None, None, "192.0.2.3", "192.0.2.3", id="then the environment"),
        pytest.param(None, None, None, "nobody", id="then the default"),
    ],
)
def test_where_a_setting_comes_from(
    new_site: NewSite,
    monkeypatch: pytest.MonkeyPatch,
    keyword: str | None,
    configured: str | None,
    variable: str | None,
    allowed: str,
) -> None:
    if variable is not None:
        monkeypatch.setenv("STAGEDOOR_ALLOW", variable)
    site = new_site(**({"STAGEDOOR_ALLOW": configured} if configured else {}))
    assert str(site.door(allow=keyword).settings.allow) == allowed


def test_every_setting_can_stand_in_the_configuration(new_site: NewSite, tmp_path: Path) -> None:
    site = new_site(
        STAGEDOOR_ALLOW=["192.0.2.1", "2001:db8::/48"],
        STAGEDOOR_SWITCH=str(tmp_path / "window.json"),
        STAGEDOOR_BIND="127.0.0.1:5999",
        STAGEDOOR_MAX_WINDOW=timedelta(hours=1),
        STAGEDOOR_SELECT="token",
        STAGEDOOR_REQUIRE_TOKEN=True,
        STAGEDOOR_FORWARDED="ignore",
        STAGEDOOR_MAX_PAUSE="5m",
        STAGEDOOR_DEBUGGER="listen",
        STAGEDOOR_BREAK_ON=["/checkout"],
    )
    settings: Any = site.door().settings
    assert list(settings.allow) == ["192.0.2.1", "2001:db8::/48"]
    assert settings.switch.path == tmp_path / "window.json"
    assert (str(settings.bind), settings.max_window) == ("127.0.0.1:5999", timedelta(hours=1))
    assert (settings.select, settings.require_token, settings.forwarded) == ("token", True, "ignore")
    assert (settings.max_pause, settings.debugger) == (timedelta(minutes=5), "listen")
    assert settings.break_on({"PATH_INFO": "/checkout/pay"})


@pytest.mark.parametrize(
    ("configured", "message"),
    [
        pytest.param({"STAGEDOOR_ALLOW": "0.0.0.0/0"}, "^STAGEDOOR_ALLOW='0.0.0.0/0' ", id="by the name it has there"),
        pytest.param({"STAGEDOOR_MAX_PAUSE": "10"}, "^STAGEDOOR_MAX_PAUSE='10' has no unit", id="without a unit"),
        pytest.param({"STAGEDOOR_ALOW": "192.0.2.1"}, "^STAGEDOOR_ALOW=.* is no setting of Stagedoor's", id="misspelt"),
        pytest.param({"STAGEDOOR_UNTIL": "2030-01-01T00:00:00Z"}, "is read from the environment only", id="a variable"),
        pytest.param({"STAGEDOOR_TOKEN": "s" * 20}, "^STAGEDOOR_TOKEN='...' is read", id="a secret is not shown"),
    ],
)
def test_a_wrong_setting_keeps_the_server_from_starting(
    new_site: NewSite, configured: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        new_site(**configured).door()


def test_a_wrong_keyword_is_refused_by_its_own_name(new_site: NewSite) -> None:
    with pytest.raises(ConfigurationError, match=r"^bind='nowhere' "):
        new_site(STAGEDOOR_BIND="127.0.0.1:5678").door(bind="nowhere")


def test_a_whole_environment_in_the_configuration_does_no_harm(
    new_site: NewSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = format_time(datetime.now(UTC) + timedelta(minutes=30))
    monkeypatch.setenv("STAGEDOOR_UNTIL", until)
    new_site(STAGEDOOR_UNTIL=until).door()


# The command


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSwitch:
    """The site's; nothing in the environment names one."""
    for variable in [each for each in os.environ if each.startswith("STAGEDOOR_")]:
        monkeypatch.delenv(variable)
    return FileSwitch(tmp_path / "window.json", max_window=timedelta(hours=1))


@pytest.fixture
def site(new_site: NewSite, switch: FileSwitch) -> Site:
    """A site whose settings are all its own."""
    return new_site(
        STAGEDOOR_ALLOW="192.0.2.1",
        STAGEDOOR_SWITCH=str(switch.path),
        STAGEDOOR_BIND="127.0.0.1:5999",
        STAGEDOOR_MAX_WINDOW="1h",
    )


def test_the_command_opens_and_closes_the_sites_window(site: Site, switch: FileSwitch) -> None:
    opened = site.run("open", "--for", "30m")
    assert opened.code == 0
    assert switch.read() is not None
    assert "192.0.2.1" in opened.out
    assert "5999" in opened.out
    assert site.run("status").code == 0
    assert site.run("close").code == 0
    assert switch.read() is None
    assert site.run("status").code == 1


def test_it_knows_the_sites_other_settings(site: Site) -> None:
    assert site.run("check", "192.0.2.1").code == 0
    assert site.run("check", "192.0.2.2").code == 1
    assert site.run("open", "--for", "2h").code == 1, "longer than its max_window"


def test_it_makes_passes_of_the_sites_window(site: Site, switch: FileSwitch) -> None:
    assert site.run("pass", "anna").code == 1
    made = make_passes("anna", switch.open(timedelta(minutes=5), opened_by="me").token)
    printed = site.run("pass", "anna", "--json")
    assert printed.code == 0
    assert json.loads(printed.out) == {"name": "anna", "request": made.request, "attach": made.attach}
    assert site.run("pass", "Anna").code == 2


def test_it_knows_how_the_sites_requests_are_selected(new_site: NewSite, switch: FileSwitch) -> None:
    by_token = new_site(STAGEDOOR_SWITCH=str(switch.path), STAGEDOOR_SELECT="token")
    assert "over https, with the token or a pass" in " ".join(by_token.run("open", "--for", "30m").out.split())
    assert "Requests from any address match" in by_token.run("check", "192.0.2.1").out


def test_it_knows_the_sites_debugger(new_site: NewSite, site: Site, switch: FileSwitch) -> None:
    site.run("open", "--for", "30m")
    assert "next matching request starts it" in " ".join(site.run("status").out.split())
    without = new_site(STAGEDOOR_SWITCH=str(switch.path), STAGEDOOR_DEBUGGER="listen")
    assert "not running" not in without.run("status").out


def test_an_option_wins_over_the_site(site: Site, switch: FileSwitch, tmp_path: Path) -> None:
    site.run("open", "--for", "30m", "--switch", str(tmp_path / "other.json"))
    assert (tmp_path / "other.json").exists()
    assert not switch.path.exists()


def test_the_sites_file_wins_over_a_window_in_the_environment(
    site: Site, switch: FileSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGEDOOR_UNTIL", format_time(datetime.now(UTC) + timedelta(minutes=30)))
    assert site.run("open", "--for", "30m").code == 0
    assert switch.path.exists()


@pytest.mark.parametrize("command", ["open --for 30m", "status", "check 192.0.2.1", "until 30m", "close"])
def test_it_leaves_the_processs_environment_as_it_is(site: Site, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("STAGEDOOR_UNTIL", "2001-01-01T00:00:00Z")
    before = dict(os.environ)
    site.run(*command.split())
    assert dict(os.environ) == before


def test_another_site_of_the_process_keeps_the_settings_of_the_environment(
    new_site: NewSite, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGEDOOR_SWITCH", str(tmp_path / "other.json"))
    monkeypatch.setenv("STAGEDOOR_ALLOW", "192.0.2.9")
    assert site.run("status").code == 1
    other: Any = new_site().door().settings
    assert (other.switch.path, str(other.allow)) == (tmp_path / "other.json", "192.0.2.9")


def test_what_the_site_does_not_read_is_not_read_by_the_command(
    new_site: NewSite, switch: FileSwitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_site(STAGEDOOR_SWITCH=str(switch.path), STAGEDOOR_THREADS=4, STAGEDOOR_MAX_PAUSE="5m")
    monkeypatch.setenv("STAGEDOOR_THREADS", "many")
    monkeypatch.setenv("STAGEDOOR_MAX_PAUSE", "long")
    assert other.run("open", "--for", "30m").code == 0


@pytest.mark.parametrize("command", ["open --for 30", "nonsense"])
def test_bad_usage_is_that_of_the_command(site: Site, command: str) -> None:
    assert site.run(*command.split()).code == 2


@pytest.mark.parametrize("command", ["open", "close", "status", "pass anna", "gatekeeper --foreground"])
def test_a_switch_inside_the_process_is_out_of_the_commands_reach(new_site: NewSite, command: str) -> None:
    refused = new_site(STAGEDOOR_SWITCH="memory").run(*command.split())
    assert refused.code == 2
    assert "which no command reaches" in refused.err
