"""The command ``stagedoor``: opens and closes windows on the same switch as the application, and says how to attach.

The exit code is 0 for done, 1 for refused or closed, 2 for bad usage, with one line on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from importlib import metadata
from typing import Any, NoReturn

from stagedoor.access.addresses import normalized
from stagedoor.access.allowlist import Allowlist
from stagedoor.access.decision import refusal
from stagedoor.access.openness import openness
from stagedoor.console import complain, print_item, print_paragraph, printable
from stagedoor.control.protocol import folder_beside
from stagedoor.control.register import tidy
from stagedoor.errors import ConfigurationError, DebuggerError, StagedoorError, SwitchError
from stagedoor.launch_json import client_address, is_installed, launch_json, ssh_line
from stagedoor.platforms import gatekeeper_misfit
from stagedoor.settings.settings import Settings
from stagedoor.switches import FileSwitch, MemorySwitch, Switch, switch_from, user_name
from stagedoor.window.window import format_time, new_window, parse_duration

from .port_check import check_port, sweep_beside
from .report import print_window, user, where_else, window_document
from .status import print_status, status_document, watch_status

_Arguments = argparse.Namespace
_Command = Callable[[_Arguments], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    :param argv: its arguments; those of the process by default.
    :returns: the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a path may hold what the terminal's encoding can't write
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(argv)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            complain(f"{error}.")
        # Else the interpreter tries once more to write the rest when it exits, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return code


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = _parser().parse_args(argv)
        return int(arguments.command(arguments))
    except ConfigurationError as error:
        name = f"--{error.name}" if error.name in _OPTIONS else error.name
        complain(str(ConfigurationError(name, error.value, error.problem, error.remedy)))
        return 2
    except SwitchError as error:
        complain(error.for_a_command)
        return 1
    except StagedoorError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130  # as a shell reports the end by SIGINT
    except SystemExit as end:  # --help, --version and bad usage
        return end.code if isinstance(end.code, int) else 0


def _open(arguments: _Arguments) -> int:
    duration = parse_duration(arguments.for_, "--for")
    settings = _settings(arguments)
    was_open = settings.switch.read() is not None
    note = check_port(settings)
    # With sudo -u www-data, who is at the keyboard says more than whose files these are.
    opened_by = f"{os.environ.get('SUDO_USER') or user()}@{socket.gethostname()}"
    window = settings.switch.open(duration, opened_by=opened_by)
    if arguments.json:
        _print_json(window_document(settings, window))
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
    print_item(2, "Request a page of the application from an allowed address: the first one opens the debug port.")
    configuration = f"stagedoor launch-json --bind {shlex.quote(str(settings.bind))}"
    print_item(3, f'Attach VS Code: "{configuration}" prints the configuration for it, which asks for the token.')
    return 0


def _close(arguments: _Arguments) -> int:
    # Whatever window is there, and whatever else is misconfigured: closing must always work.
    switch = _reachable(switch_from(arguments.switch, max_window=timedelta.max))
    is_trusted = True
    try:
        switch.read()
    except SwitchError:
        is_trusted = False
    was_open = switch.close()
    if isinstance(switch, FileSwitch):
        tidy(folder_beside(switch.path))
        with suppress(StagedoorError):  # As above.
            sweep_beside(Settings.read(switch=arguments.switch))
    if was_open:
        print_paragraph(f"The window is closed: that of {switch.name}, for applications that run as {user_name()}.")
        return 0
    if not is_trusted:
        print_paragraph(f"No window was open, and what could not be trusted is removed: {switch.name}.")
        return 0
    print_paragraph(f"No window was open: {switch.name} holds none. {where_else(switch)}")
    return 1


def _status(arguments: _Arguments) -> int:
    settings = _settings(arguments)
    if arguments.watch:
        return watch_status(settings, as_json=arguments.json)
    try:
        window = settings.switch.read()
    except SwitchError as error:
        if not arguments.json:
            raise
        _print_json(status_document(settings, None, error.for_a_command))
        return 1
    if arguments.json:
        _print_json(status_document(settings, window))
    else:
        print_status(settings, window)
    return 1 if window is None else 0


def _gatekeeper(arguments: _Arguments) -> int:
    _require_gatekeeper("stagedoor gatekeeper")
    from stagedoor.gatekeeper.foreground import run_in_foreground

    settings = _settings(arguments)
    try:
        settings.switch.read()
    except SwitchError as error:
        if error.as_owner:  # Whatever it made there would be in the way of the application.
            raise
    return run_in_foreground(settings)


def _until(arguments: _Arguments) -> int:
    duration = parse_duration(arguments.duration, "DURATION")
    # With the memory switch, because STAGEDOOR_UNTIL may hold what this command is asked to put right.
    longest = Settings.read(switch="memory").max_window
    print(format_time(new_window(duration, opened_by="nobody", max_window=longest).expires_at))
    return 0


def _check(arguments: _Arguments) -> int:
    settings = Settings.read(switch="memory", allow=arguments.allow)
    address = normalized(arguments.address)
    if address is None:
        remedy = 'Write one in numbers, without port, network or zone, such as "203.0.113.7" or "2001:db8::7".'
        raise ConfigurationError("ADDRESS", arguments.address, "is not one IPv4 or IPv6 address", remedy)
    if not settings.allow:
        print_paragraph(
            "Refused: nobody is allowed here, because STAGEDOOR_ALLOW is not set. The application may have an allow=..."
            " of its own, which this command can't see: give the same with --allow."
        )
        return 1
    refused = refusal(address, settings.allow, token="", presented=None, require_token=False)
    for doubt in openness(settings.allow):
        print_paragraph(f"Warning: {doubt}")
        print()
    if refused is not None:
        print_paragraph(f"Refused: {refused.sentence}.")
        return 1
    entry = next(entry for entry in settings.allow if address in Allowlist([entry]))
    token = " Its requests must carry the window's token too (require_token)." if settings.require_token else ""
    print_paragraph(f"Allowed: {address} is on the allowlist, by {entry}.{token}")
    return 0


def _launch_json(arguments: _Arguments) -> int:
    bind = Settings.read(switch="memory", bind=arguments.bind).bind
    root = os.path.abspath(arguments.root)
    if not os.path.isdir(root):
        remedy = "Give the folder that holds the application's code."
        raise ConfigurationError("--root", arguments.root, "is not a folder on this server", remedy)
    server = socket.gethostname()
    installed = arguments.installed or is_installed(root)
    host, port = client_address(bind, server)
    _print_json(launch_json(host, port, root, name=f"Stagedoor: {server}", installed=installed))
    notes = ["Save it as .vscode/launch.json in the folder that VS Code has open."]
    if bind.is_local:
        notes.append(f"Before you attach, on your own machine: {ssh_line(bind, server)}")
    if installed:
        notes.append('"justMyCode" is false: else no breakpoint stops in an installed package (debugpy issue 354).')
    for note in notes:  # on stderr, so that stdout is the file
        print(printable(note), file=sys.stderr)
    return 0


def _demo(arguments: _Arguments) -> int:
    _require_gatekeeper("stagedoor demo")
    from stagedoor.demo import play, serve  # what it needs, no other command needs

    return serve() if arguments.serve else play()


def _require_gatekeeper(command: str) -> None:
    misfit = gatekeeper_misfit(command)
    if misfit is not None:
        raise DebuggerError(misfit)


#: The options that stand for a setting, and so have a variable too; and one that several commands have.
_OPTIONS: dict[str, dict[str, Any]] = {
    "switch": {"metavar": "PATH", "help": "the file of the switch (STAGEDOOR_SWITCH)"},
    "bind": {"metavar": "ADDRESS:PORT", "help": "where the debug port is (STAGEDOOR_BIND)"},
    "allow": {"metavar": "ADDRESSES", "help": "who may debug (STAGEDOOR_ALLOW)"},
    "json": {"action": "store_true", "help": "print one JSON object, with times as in RFC 3339"},
}


_SETTINGS = ("switch", "bind", "allow")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others are."""

    def error(self, message: str) -> NoReturn:
        complain(f'{message}. See "{self.prog} --help".')
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="stagedoor",
        description="Attach a debugger to a running WSGI application: for allowed addresses, while a window is open.",
        epilog="Durations are written 90s, 30m, 2h or 1h30m. What no option says comes from the variables STAGEDOOR_..."
        " as in the application. The exit code is 0 for done, 1 for refused or closed, 2 for bad usage.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"stagedoor {_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, function: _Command, summary: str, *options: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", allow_abbrev=False
        )
        added.set_defaults(command=function)
        for option in options:
            added.add_argument(f"--{option}", **_OPTIONS[option])
        return added

    opening = command("open", _open, "open a window, or move an open one's end", *_SETTINGS, "json")
    opening.add_argument("--for", dest="for_", metavar="DURATION", required=True, help="how long from now, such as 30m")
    command("close", _close, "close the window", "switch")
    status = command("status", _status, "show the window, its token and who is attached", *_SETTINGS, "json")
    watching = "show it again each second, until Ctrl-C; with --json one document a line"
    status.add_argument("--watch", action="store_true", help=watching)
    gatekeeper = command("gatekeeper", _gatekeeper, "run the gatekeeper under a supervisor", *_SETTINGS)
    gatekeeper.add_argument("--foreground", action="store_true", required=True, help="do not detach; the only way")
    until = command("until", _until, "print the time after a while, for STAGEDOOR_UNTIL")
    until.add_argument("duration", metavar="DURATION", help="how long from now, such as 30m")
    check = command("check", _check, "say whether an address is on the allowlist, and why", "allow")
    check.add_argument("address", metavar="ADDRESS", help="one IPv4 or IPv6 address")
    launch = command("launch-json", _launch_json, "print the configuration with which VS Code attaches", "bind")
    launch.add_argument("--root", metavar="FOLDER", default="", help="the application's code; by default this folder")
    launch.add_argument("--installed", action="store_true", help="the application is an installed package")
    demo = command("demo", _demo, "show all of it on this machine, in a minute")
    demo.add_argument("--serve", action="store_true", help="leave the application running, for your own IDE")
    return parser


def _settings(arguments: _Arguments) -> Settings:
    settings = Settings.read(switch=arguments.switch, bind=arguments.bind, allow=arguments.allow)
    _reachable(settings.switch)
    return settings


def _reachable(switch: Switch) -> Switch:
    if isinstance(switch, MemorySwitch):
        problem = "is inside the application's own process, where no command reaches it"
        raise ConfigurationError("switch", "memory", problem, "Give the path of a file.")
    return switch


def _version() -> str:
    try:
        return metadata.version("stagedoor")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=2))
