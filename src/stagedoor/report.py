"""A window and its switch as the commands show them, to a script and to a person."""

from __future__ import annotations

import getpass
import os
from datetime import timedelta
from typing import Any

from .console import print_row
from .settings import Settings
from .switches import EnvironmentSwitch, FileSwitch, Switch
from .window import Window, format_duration, format_time


def window_document(settings: Settings, window: Window | None, problem: str | None = None) -> dict[str, Any]:
    """What ``open --json`` and ``status --json`` print. The keys are stable: later releases may add others.

    ======================== ===========================================================================
    ``open``                 a boolean
    ``opened_at``            RFC 3339 in UTC; null with the environment switch, which does not know it
    ``expires_at``           RFC 3339 in UTC
    ``seconds_left``         whole seconds
    ``opened_by``            a text for people, such as ``alice@staging``
    ``token``                the window's token; null if every process makes up its own
    ``switch``               as ``--switch`` takes it, or ``environment``
    ``bind``                 ``address:port``
    ``allow``                a list of texts; empty if only the application knows
    ``problem``              a sentence if the switch can't be trusted, else null
    ======================== ===========================================================================

    What describes the window is null while none is open.
    """
    from_environment = isinstance(settings.switch, EnvironmentSwitch)
    return {
        "open": window is not None,
        "opened_at": format_time(window.opened_at) if window and not from_environment else None,
        "expires_at": format_time(window.expires_at) if window else None,
        "seconds_left": int(_left(settings, window).total_seconds()) if window else None,
        "opened_by": window.opened_by if window else None,
        "token": _known_token(settings.switch, window),
        "switch": _spelled(settings.switch),
        "bind": str(settings.bind),
        "allow": list(settings.allow),
        "problem": problem,
    }


def print_window(settings: Settings, window: Window | None) -> None:
    """Print the window, its switch, its debug port and who is allowed, one a line."""
    switch = settings.switch
    if window is not None:
        left = format_duration(_left(settings, window))
        print_row("until", f"{format_time(window.expires_at)}, {left} from now")
        print_row("opened by", window.opened_by)
        print_row("token", _known_token(switch, window) or "one that nobody knows, for want of STAGEDOOR_TOKEN")
    print_row("switch", _spelled(switch).removeprefix("file:"))
    if isinstance(switch, FileSwitch):
        print_row("", f"for an application that runs as {user()}, with this switch")
    print_row("debug port", str(settings.bind))
    print_row("allowed", str(settings.allow) if settings.allow else "the application knows; STAGEDOOR_ALLOW is not set")


def user() -> str:
    """The name of this process's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on: a container's user that has no name
        return f"uid {os.getuid()}"


def _known_token(switch: Switch, window: Window | None) -> str | None:
    """The window's token, unless it is one that each process makes up for itself."""
    made_up = isinstance(switch, EnvironmentSwitch) and not switch.token_given
    return window.token if window and not made_up else None


def _spelled(switch: Switch) -> str:
    if isinstance(switch, FileSwitch):
        return f"file:{switch.path}"
    return "environment" if isinstance(switch, EnvironmentSwitch) else switch.name


def _left(settings: Settings, window: Window) -> timedelta:
    return max(timedelta(0), window.expires_at - settings.switch.clock.now())
