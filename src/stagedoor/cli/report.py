"""A window and its switch as the commands show them, to a script and to a person."""

from __future__ import annotations

import getpass
import os
from datetime import timedelta
from typing import Any

from stagedoor.console import print_row
from stagedoor.control.register import holder, seen_by
from stagedoor.settings.settings import Settings
from stagedoor.switches import EnvironmentSwitch, FileSwitch, Switch, user_name, windows_elsewhere
from stagedoor.window.document import shown
from stagedoor.window.window import Window, format_duration, format_time


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
    ``bind``                 ``address:port``: the gatekeeper's, where ``status`` finds one, else this command's setting
    ``allow``                a list of texts; empty if only the application knows
    ``user``                 whose switch this is: the command's own user, for people
    ``workers_seen``         how many of the application's workers have seen the window, those that have ended since
                             included; null where that is not kept
    ``application``          which application has the window, for people; null before one has met it
    ``problem``              a sentence if the switch can't be trusted or the gatekeeper does not answer, else null
    ======================== ===========================================================================

    What describes the window is null while none is open.
    """
    known = dict.fromkeys(("opened_at", "expires_at", "opened_by")) | (shown(window) if window is not None else {})
    if isinstance(settings.switch, EnvironmentSwitch):
        known["opened_at"] = None
    application, workers_seen = _registered(settings, window)
    return {
        "open": window is not None,
        "opened_at": known["opened_at"],
        "expires_at": known["expires_at"],
        "seconds_left": int(_left(settings, window).total_seconds()) if window else None,
        "opened_by": known["opened_by"],
        "token": _known_token(settings, window),
        "switch": _spelled(settings.switch),
        "bind": str(settings.bind),
        "allow": list(settings.allow),
        "user": user_name(),
        "workers_seen": workers_seen,
        "application": application,
        "problem": problem,
    }


def print_window(settings: Settings, window: Window | None, bind: str | None = None) -> None:
    """Print the window, its switch, its debug port and who is allowed, one a line.

    :param bind: the debug port as the gatekeeper knows it; by default the command's own setting.
    """
    switch = settings.switch
    if window is not None:
        left = format_duration(_left(settings, window))
        print_row("until", f"{format_time(window.expires_at)}, {left} from now")
        print_row("opened by", window.opened_by)
        print_row("token", _known_token(settings, window) or "one that nobody knows, for want of STAGEDOOR_TOKEN")
        application, seen = _registered(settings, window)
        if application is not None:
            print_row("application", application)
        if seen is not None:
            print_row("seen by", _seen(seen))
    print_row("switch", _spelled(switch).removeprefix("file:"))
    if isinstance(switch, FileSwitch):
        print_row("", f"for an application that runs as {user_name()}, with this switch")
    print_row("debug port", bind or str(settings.bind))
    print_row("allowed", str(settings.allow) if settings.allow else "the application knows; STAGEDOOR_ALLOW is not set")


def where_else(switch: Switch) -> str:
    """What to look at where nothing was open, one or more sentences; empty if there is nothing to be said."""
    if not isinstance(switch, FileSwitch):
        return ""
    said = (
        f"This command runs as {user_name()}. An application that runs as another user, or with another STAGEDOOR_SWITCH"
        " or XDG_RUNTIME_DIR, has another switch."
    )
    if found := windows_elsewhere(switch.path):
        listed = ", ".join(f"{path}, of {owner}" for path, owner in found[:5])
        said += f" There is a file of one at {listed}: give it as STAGEDOOR_SWITCH, as that user."
    return said


def user() -> str:
    """Who is at the keyboard, as the environment says. Not :func:`~stagedoor.switches.user_name`, which is whose files
    this process makes.
    """
    try:
        return getpass.getuser()
    # OSError from Python 3.13 on: a container's user that has no name; ImportError: a platform without pwd.
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "nobody known"


def _seen(workers: int) -> str:
    if workers:
        return f"{workers} worker{'s' if workers > 1 else ''}"
    return (
        "no worker: none has served a request since. If one has, the application reads another switch: compare the user,"
        " STAGEDOOR_SWITCH, XDG_RUNTIME_DIR, and whether its /tmp is a private one; or it does not believe this window,"
        " and its log says why"
    )


def _registered(settings: Settings, window: Window | None) -> tuple[str | None, int | None]:
    """Which application has the window, for people, and how many of its workers have seen it."""
    folder = settings.register_folder()
    if window is None or folder is None:
        return None, None
    known_as = settings.window_id(window)
    return holder(folder, known_as), seen_by(folder, known_as)


def _known_token(settings: Settings, window: Window | None) -> str | None:
    """The window's token, unless it is one that each process makes up for itself."""
    return window.token if window and settings.shared_token else None


def _spelled(switch: Switch) -> str:
    if isinstance(switch, FileSwitch):
        return f"file:{switch.path}"
    return "environment" if isinstance(switch, EnvironmentSwitch) else switch.name


def _left(settings: Settings, window: Window) -> timedelta:
    return max(timedelta(0), window.expires_at - settings.switch.clock.now())
