"""What all integrations share: settings from the framework's configuration, and ``stagedoor`` on the same settings."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stagedoor.console import complain
from stagedoor.errors import ConfigurationError
from stagedoor.middleware import StageDoor
from stagedoor.settings.settings import Settings
from stagedoor.switches import EnvironmentSwitch, FileSwitch
from stagedoor.window.window import format_duration

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PREFIX = "STAGEDOOR_"

#: The keywords of :class:`stagedoor.StageDoor` that are settings.
KEYWORDS = tuple(
    name
    for name, parameter in inspect.signature(StageDoor).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name != "clock"
)

#: Variables that mean something in the process's environment only.
_ENVIRONMENT_ONLY = ("STAGEDOOR_UNTIL", "STAGEDOOR_TOKEN")


def make_door(app: WSGIApplication, keywords: Mapping[str, Any], configuration: Mapping[str, Any]) -> StageDoor:
    """The middleware around ``app``.

    :param keywords: as for :class:`stagedoor.StageDoor`; one that is ``None`` counts as not given.
    :param configuration: the framework's, of which the names ``STAGEDOOR_...`` are read. A keyword wins over it, and it
        wins over the environment.
    :raises ConfigurationError: if a setting is wrong, by the name under which it was given.
    """
    configured = settings_in(configuration)
    given = configured | {name: value for name, value in keywords.items() if value is not None}
    try:
        return StageDoor(app, **given)
    except ConfigurationError as error:
        raise _named(error, configured, keywords) from None


def read_settings(configuration: Mapping[str, Any]) -> Settings:
    """The settings of a door with this configuration.

    :raises ConfigurationError: as :func:`make_door` does.
    """
    configured = settings_in(configuration)
    try:
        return Settings.read(**configured)
    except ConfigurationError as error:
        raise _named(error, configured, {}) from None


def settings_in(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords that a framework's configuration gives.

    :raises ConfigurationError: for a name that begins with ``STAGEDOOR_`` and is none: whoever misspells the allowlist
        must not end up with another one.
    """
    found = {}
    for variable, value in configuration.items():
        if not variable.startswith(PREFIX):
            continue
        keyword = variable.removeprefix(PREFIX).lower()
        if keyword in KEYWORDS:
            found[keyword] = value
        elif variable in _ENVIRONMENT_ONLY:
            if os.environ.get(variable) != value:
                remedy = "Set it in the environment of the server's process."
                raise ConfigurationError(variable, "...", "is read from the environment only", remedy)
        else:
            known = ", ".join(PREFIX + name.upper() for name in KEYWORDS)
            raise ConfigurationError(variable, value, "is no setting of Stagedoor's", f"There are {known}.")
    return {name: value for name, value in found.items() if value is not None}


def run_command(settings: Settings, arguments: Sequence[str]) -> int:
    """Run the command ``stagedoor`` on the application's settings, in this process; returns the exit code.

    :param settings: the application's; the command takes them for those of the environment.
    :param arguments: such as ``["open", "--for", "30m"]``.
    """
    from stagedoor.cli import main

    if not isinstance(settings.switch, FileSwitch | EnvironmentSwitch) and arguments[:1] in _SWITCHING:
        complain(
            f"The application keeps its window in {settings.switch.name}, which no command reaches."
            " Open and close it in Python: door.open(timedelta(minutes=30)), door.close()."
        )
        return 2
    return main(arguments, _environment(settings))


_SWITCHING = (["open"], ["close"], ["status"], ["pass"], ["gatekeeper"])


def _environment(settings: Settings) -> dict[str, str]:
    """This process's environment, with the variables that say the same as ``settings`` and no other settings."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | {
        "STAGEDOOR_ALLOW": ",".join(settings.allow),
        "STAGEDOOR_BIND": str(settings.bind),
        "STAGEDOOR_MAX_WINDOW": format_duration(settings.max_window),
        "STAGEDOOR_SELECT": settings.select,
        "STAGEDOOR_REQUIRE_TOKEN": str(int(settings.require_token)),
        "STAGEDOOR_DEBUGGER": settings.debugger,
        "STAGEDOOR_AUDIT_EXPRESSIONS": str(int(settings.audit_expressions)),
    }
    if isinstance(settings.switch, FileSwitch):
        return variables | {"STAGEDOOR_SWITCH": str(settings.switch.path)}
    return variables | {name: os.environ[name] for name in _ENVIRONMENT_ONLY if name in os.environ}


def _named(error: ConfigurationError, configured: Mapping[str, Any], keywords: Mapping[str, Any]) -> ConfigurationError:
    if error.name in configured and keywords.get(error.name) is None:
        return ConfigurationError(PREFIX + error.name.upper(), error.value, error.problem, error.remedy)
    return error
