"""What can be written after ``stagedoor``: its commands, their options, and what ``--help`` says of them."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from stagedoor.console import complain

#: The options that stand for a setting, and so have a variable too; and one that several commands have.
OPTIONS: dict[str, dict[str, Any]] = {
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


class _Version(argparse.Action):
    """Prints the version, which is looked up for nobody else: that takes as long as all the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *others: object) -> NoReturn:
        from importlib import metadata

        try:
            version = metadata.version("stagedoor")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        print(f"stagedoor {version}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """Reads all commands. What it returns names the one that was given as ``command``."""
    whole = _Parser(
        prog="stagedoor",
        description="Attach a debugger to a running WSGI application: for allowed addresses, while a window is open.",
        epilog="Durations are written 90s, 30m, 2h or 1h30m. What no option says comes from the variables STAGEDOOR_..."
        " as in the application. The exit code is 0 for done, 1 for refused or closed, 2 for bad usage.",
        allow_abbrev=False,
    )
    whole.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, summary: str, *options: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", allow_abbrev=False
        )
        added.set_defaults(command=name)
        for option in options:
            added.add_argument(f"--{option}", **OPTIONS[option])
        return added

    opening = command("open", "open a window, or move an open one's end", *_SETTINGS, "json")
    opening.add_argument("--for", dest="for_", metavar="DURATION", required=True, help="how long from now, such as 30m")
    command("close", "close the window", "switch")
    status = command("status", "show the window, its token and who is attached", *_SETTINGS, "json")
    watching = "show it again each second, until Ctrl-C; with --json one document a line"
    status.add_argument("--watch", action="store_true", help=watching)
    passes = command("pass", "print a developer's passes, which tell several apart", "switch", "json")
    passes.add_argument("name", metavar="NAME", help="whose they are, such as anna")
    gatekeeper = command("gatekeeper", "run the gatekeeper under a supervisor", *_SETTINGS)
    gatekeeper.add_argument("--foreground", action="store_true", required=True, help="do not detach; the only way")
    until = command("until", "print the time after a while, for STAGEDOOR_UNTIL")
    until.add_argument("duration", metavar="DURATION", help="how long from now, such as 30m")
    check = command("check", "say whether an address is on the allowlist, and why", "allow")
    check.add_argument("address", metavar="ADDRESS", help="one IPv4 or IPv6 address")
    launch = command("launch-json", "print the configuration with which VS Code attaches", "bind")
    launch.add_argument("--root", metavar="FOLDER", default="", help="the application's code; by default this folder")
    launch.add_argument("--installed", action="store_true", help="the application is an installed package")
    demo = command("demo", "show all of it on this machine, in a minute")
    demo.add_argument("--serve", action="store_true", help="leave the application running, for your own IDE")
    return whole
