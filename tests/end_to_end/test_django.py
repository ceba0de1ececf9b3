"""What Django's app has for itself: system checks, and what they have to do with ``manage.py stagedoor``."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core import checks
from django.core.signals import got_request_exception
from django.test import override_settings

import stagedoor
from stagedoor import StageDoor
from stagedoor.integrations.django import get_wsgi_application
from stagedoor.switches import FileSwitch
from support.integrated import OnDjango
from support.modules import ROOT

EXAMPLE = ROOT / "examples" / "django_project"
ALLOW = {"STAGEDOOR_ALLOW": "192.0.2.1"}


# The app


def test_the_signal_is_connected_once() -> None:
    before = len(got_request_exception.receivers)
    get_wsgi_application()
    get_wsgi_application()
    assert len(got_request_exception.receivers) == before == 1


def test_the_app_is_known_as_stagedoor() -> None:
    assert apps.get_app_config("stagedoor").verbose_name == "Stagedoor"


# System checks


def found(*, deploy: bool = True, **changed: Any) -> list[tuple[str, str]]:
    """Ids and messages of what the checks find with these settings."""
    with override_settings(**changed):
        messages = checks.run_checks(tags=["stagedoor"], include_deployment_checks=deploy)
    return [(message.id, message.msg) for message in messages]


def test_where_tokens_select_an_empty_allowlist_is_none_of_a_mistake() -> None:
    assert found(**application("by_token")) == []
    assert found(**application("by_token"), STAGEDOOR_SELECT="token", STAGEDOOR_ALLOW=[]) == []
    assert [each for each, _ in found(**application("nobody"))] == ["stagedoor.W001"]


def application(name: str) -> dict[str, str]:
    return {"WSGI_APPLICATION": f"support.django_applications.{name}"}


@pytest.mark.parametrize(
    ("changed", "identifier", "message"),
    [
        pytest.param(
            application("wrapped") | {"STAGEDOOR_ALLOW": "example.org"},
            "stagedoor.E001",
            "STAGEDOOR_ALLOW: has a host name in it.",
            id="a setting is wrong",
        ),
        pytest.param(
            application("wrapped") | {"STAGEDOOR_ALOW": "192.0.2.1"},
            "stagedoor.E001",
            "STAGEDOOR_ALOW: is no setting of Stagedoor's.",
            id="a setting is misspelt",
        ),
        pytest.param(
            application("wrapped") | {"STAGEDOOR_ALLOW": ["0.0.0.0/0"]}, "stagedoor.E001", "everybody", id="everybody"
        ),
        pytest.param(
            application("wrapped") | {"STAGEDOOR_ALLOW": []},
            "stagedoor.W001",
            "STAGEDOOR_ALLOW lets nobody in",
            id="the setting lets nobody in",
        ),
        pytest.param(application("nobody"), "stagedoor.W001", "allow lets nobody in", id="no setting lets anybody in"),
        pytest.param(application("bare"), "stagedoor.W002", "is not behind Stagedoor", id="not wrapped"),
        pytest.param({"WSGI_APPLICATION": None}, "stagedoor.W002", "is not set", id="no application"),
        pytest.param(application("proxy_inside"), "stagedoor.E002", "ProxyFix is inside", id="the wrong order"),
        pytest.param(
            application("wrapped") | {"USE_X_FORWARDED_HOST": True},
            "stagedoor.W003",
            "USE_X_FORWARDED_HOST says that there is a proxy",
            id="a proxy that only Django knows of, by its host",
        ),
        pytest.param(
            application("wrapped") | {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
            "stagedoor.W003",
            "SECURE_PROXY_SSL_HEADER says that there is a proxy",
            id="a proxy that only Django knows of, by its scheme",
        ),
        pytest.param(
            application("wrapped") | {"RATELIMIT_IP_META_KEY": "HTTP_X_FORWARDED_FOR"},
            "stagedoor.W003",
            "RATELIMIT_IP_META_KEY says that there is a proxy",
            id="a proxy that only an app knows of, by the header it reads",
        ),
        pytest.param(
            application("hiding") | {"IPWARE_META_PRECEDENCE_ORDER": ("HTTP_CLIENT_IP", "REMOTE_ADDR")},
            "stagedoor.W003",
            "IPWARE_META_PRECEDENCE_ORDER says that there is a proxy",
            id="the same by one of several headers, behind a middleware that hides all",
        ),
        pytest.param(
            application("hiding_bare"), "stagedoor.W002", "is not behind Stagedoor", id="not wrapped, and well hidden"
        ),
        pytest.param(
            application("answering"),
            "stagedoor.W002",
            "can't be told whether WSGI_APPLICATION is behind Stagedoor: support.django_applications.Answering",
            id="a middleware outside that answers by itself",
        ),
        pytest.param(application("refusing"), "stagedoor.W002", "can't be told", id="one that fails"),
        pytest.param(
            application("hidden_inside"), "stagedoor.E002", "ProxyFix is inside", id="the wrong order, hidden"
        ),
        pytest.param(application("shown_inside"), "stagedoor.E002", "ProxyFix is inside", id="the wrong order, shown"),
        pytest.param(
            application("wrapped") | {"STAGEDOOR_ALLOW": ["0.0.0.0/1", "128.0.0.0/1"]},
            "stagedoor.W005",
            "lets in all of the internet's IPv4 addresses",
            id="everybody in two halves",
        ),
        pytest.param(
            application("wrapped") | {"STAGEDOOR_ALLOW": "::1"},
            "stagedoor.W005",
            "lets in loopback, by ::1",
            id="loopback in the settings",
        ),
        pytest.param(application("loopback"), "stagedoor.W005", "loopback, by 127.0.0.1", id="loopback as a keyword"),
        pytest.param(application("missing"), "stagedoor.W004", "could not be imported", id="an application not there"),
    ],
)
def test_a_check_finds_it(changed: dict[str, Any], identifier: str, message: str) -> None:
    messages = found(**changed)
    assert {each for each, _ in messages} == {identifier}
    assert message in messages[0][1]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(application("wrapped"), id="behind Stagedoor"),
        *[
            pytest.param(application(name), id=f"behind Stagedoor, which is {name}")
            for name in ("shown", "slotted", "hiding", "closed_over", "mounted")
        ],
        pytest.param(
            application("hiding_proxy_fix") | {"USE_X_FORWARDED_HOST": True}, id="behind a ProxyFix that is hidden"
        ),
        pytest.param(application("wrapped") | {"ORDER": ["HTTP_X_CLIENT_VERSION"]}, id="a header that is no proxy's"),
        pytest.param(application("wrapped") | ALLOW, id="with an allowlist in the settings"),
        pytest.param(application("behind_proxy") | {"USE_X_FORWARDED_HOST": True}, id="behind a proxy, and ProxyFix"),
    ],
)
def test_nothing_is_wrong(changed: dict[str, Any]) -> None:
    assert found(**changed) == []


def test_a_wrong_keyword_of_the_application_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong_keyword.py").write_text(
        "from stagedoor.integrations.django import get_wsgi_application\n"
        "application = get_wsgi_application(forwarded='believe')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert found(WSGI_APPLICATION="wrong_keyword.application") == [
        ("stagedoor.E001", "forwarded: is not one of its values.")
    ]


def test_the_application_is_imported_for_deployment_checks_only() -> None:
    assert found(deploy=False, **application("missing")) == []


def test_a_check_leaves_the_classes_that_it_watches_as_they_were() -> None:
    from django.core.handlers.wsgi import WSGIHandler

    before = StageDoor.__call__, WSGIHandler.__call__
    for name in ("hiding", "hiding_bare", "answering", "refusing"):
        found(**application(name))
    assert (StageDoor.__call__, WSGIHandler.__call__) == before


# manage.py stagedoor


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSwitch:
    """The project's; nothing in the environment names one."""
    for variable in [each for each in os.environ if each.startswith("STAGEDOOR_")]:
        monkeypatch.delenv(variable)
    return FileSwitch(tmp_path / "window.json", max_window=timedelta(hours=1))


def project(switch: FileSwitch, **changed: Any) -> OnDjango:
    return OnDjango(STAGEDOOR_SWITCH=str(switch.path), STAGEDOOR_MAX_WINDOW="1h", **ALLOW, **changed)


def test_opening_shows_what_the_checks_find_and_opens_all_the_same(switch: FileSwitch) -> None:
    opened = project(switch, **application("bare")).run("open", "--for", "30m")
    assert (opened.code, "stagedoor.W002" in opened.err) == (0, True)
    assert switch.read() is not None


def test_keywords_of_the_application_count(switch: FileSwitch) -> None:
    closed = project(switch, **application("wrapped")).run("close")
    assert closed.code == 2
    assert "the memory switch, which no command reaches" in closed.err


def test_where_the_application_is_not_to_be_had_it_is_said_that_its_keywords_are_not_known(switch: FileSwitch) -> None:
    closed = project(switch, **application("there_is_none")).run("close")
    assert closed.code == 1
    assert "WSGI_APPLICATION can't be imported (ImportError" in closed.err
    assert "the switch that the settings name" in closed.err
    assert str(switch.path) in closed.out


def test_a_wrong_setting_is_said(switch: FileSwitch) -> None:
    closed = project(switch, STAGEDOOR_BIND="nowhere").run("close")
    assert closed.code == 2
    assert "stagedoor: STAGEDOOR_BIND='nowhere'" in closed.err


def test_the_example_project_from_its_own_command_line(tmp_path: Path) -> None:
    environ = os.environ | {
        "DJANGO_SECRET_KEY": "only for these tests",
        "STAGEDOOR_SWITCH": str(tmp_path / "w.json"),
        "PYTHONPATH": str(Path(stagedoor.__file__).parent.parent),
    }

    def manage(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(command, cwd=EXAMPLE, env=environ, capture_output=True, text=True, check=False)

    opened = manage("stagedoor", "open", "--for", "30m")
    assert (opened.returncode, opened.stderr) == (0, "")
    assert "203.0.113.7" in opened.stdout
    checked = manage("check", "--deploy", "--tag", "stagedoor")
    assert (checked.returncode, "no issues" in checked.stdout) == (0, True)
