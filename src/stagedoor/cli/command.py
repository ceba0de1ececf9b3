"""The command ``stagedoor``: finds what was asked for, runs it, and says how it went.

The exit code is 0 for done, 1 for refused or closed, 2 for bad usage, with one line on stderr.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence

from stagedoor.console import complain
from stagedoor.errors import ConfigurationError, StagedoorError, SwitchError

from .grammar import OPTIONS, parser


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run one command.

    :param argv: its arguments; those of the process by default.
    :param environ: where the variables ``STAGEDOOR_...`` are read; :data:`os.environ` by default.
    :returns: the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a path may hold what the terminal's encoding can't write
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(argv, os.environ if environ is None else environ)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            complain(f"{error}.")
        # Else the interpreter tries once more to write the rest when it exits, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return code


def _run(argv: Sequence[str] | None, environ: Mapping[str, str]) -> int:
    try:
        arguments = parser().parse_args(argv)
        return _function(arguments.command)(arguments, environ)
    except ConfigurationError as error:
        name = f"--{error.name}" if error.name in OPTIONS else error.name
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


def _function(command: str) -> Callable[[Namespace, Mapping[str, str]], int]:
    """What does a command. Each is imported for itself: none waits for what only others need."""
    match command:
        case "open":
            from .windows import open_window as function
        case "close":
            from .windows import close_window as function
        case "until":
            from .windows import print_until as function
        case "status":
            from .status import show_status as function
        case "pass":
            from .passes import print_passes as function
        case "check":
            from .check import check_address as function
        case "launch-json":
            from .launch_json import print_launch_json as function
        case "gatekeeper":
            from .running import run_gatekeeper as function
        case "demo":
            from .running import run_demo as function
        case _:
            raise AssertionError(f"{command} is no command")
    return function
