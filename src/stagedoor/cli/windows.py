"""``stagedoor open``, ``close`` and ``until``: the window and its end, on the same switch as the application."""

from __future__ import annotations

import shlex
import socket
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

from stagedoor.console import print_item, print_json, print_paragraph
from stagedoor.control.place import folder_beside
from stagedoor.control.register import tidy
from stagedoor.errors import StagedoorError, SwitchError
from stagedoor.launch_json import ssh_line
from stagedoor.settings.settings import Settings
from stagedoor.switches import FileSwitch, switch_from, user_name
from stagedoor.window.window import format_time, new_window, parse_duration

from .port_check import check_port, sweep_beside
from .report import print_window, user, where_else, window_document
from .settings import reachable, settings_of


def open_window(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Open a window, or move the end of an open one."""
    duration = parse_duration(arguments.for_, "--for")
    settings = settings_of(arguments, environ)
    was_open = settings.switch.read() is not None
    note = check_port(settings)
    # With sudo -u www-data, who is at the keyboard says more than whose files these are.
    opened_by = f"{environ.get('SUDO_USER') or user()}@{socket.gethostname()}"
    window = settings.switch.open(duration, opened_by=opened_by)
    if arguments.json:
        print_json(window_document(settings, window))
        return 0
    print("A window was open, and has a new end.\n" if was_open else "The window is open.\n")
    print_window(settings, window)
    if note is not None:
        print()
        print_paragraph(note)
    print("\nNext:")
    if settings.bind.is_local:
        print_item(1, f"On your own machine: {ssh_line(settings.bind, socket.gethostname())}")
    else:
        print_item(1, f"See that your own machine reaches {settings.bind}.")
    how = "from an allowed address" if settings.select == "address" else "over https, with the token or a pass"
    print_item(2, f"Request a page of the application {how}: the first one opens the debug port.")
    configuration = f"stagedoor launch-json --bind {shlex.quote(str(settings.bind))}"
    print_item(3, f'Attach VS Code: "{configuration}" prints the configuration for it, which asks for the token.')
    return 0


def close_window(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Close the window."""
    # Whatever window is there, and whatever else is misconfigured: closing must always work.
    switch = reachable(switch_from(arguments.switch, environ=environ, max_window=timedelta.max))
    is_trusted = True
    try:
        switch.read()
    except SwitchError:
        is_trusted = False
    was_open = switch.close()
    if isinstance(switch, FileSwitch):
        tidy(folder_beside(switch.path))
        with suppress(StagedoorError):  # As above.
            sweep_beside(Settings.read(switch=arguments.switch, environ=environ))
    if was_open:
        print_paragraph(f"The window is closed: that of {switch.name}, for applications that run as {user_name()}.")
        return 0
    if not is_trusted:
        print_paragraph(f"No window was open, and what could not be trusted is removed: {switch.name}.")
        return 0
    print_paragraph(f"No window was open: {switch.name} holds none. {where_else(switch)}")
    return 1


def print_until(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print the time after a while."""
    duration = parse_duration(arguments.duration, "DURATION")
    # With the memory switch, because STAGEDOOR_UNTIL may hold what this command is asked to put right.
    longest = Settings.read(switch="memory", environ=environ).max_window
    print(format_time(new_window(duration, opened_by="nobody", max_window=longest).expires_at))
    return 0
