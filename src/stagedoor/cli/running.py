"""``stagedoor gatekeeper`` and ``stagedoor demo``: what runs until it is told to end, or has shown all."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from stagedoor.errors import DebuggerError, SwitchError
from stagedoor.platforms import gatekeeper_misfit

from .settings import settings_of


def run_gatekeeper(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Run a gatekeeper for each window, in this process."""
    _require_gatekeeper("stagedoor gatekeeper")
    from stagedoor.gatekeeper.foreground import run_in_foreground

    settings = settings_of(arguments, environ)
    try:
        settings.switch.read()
    except SwitchError as error:
        if error.as_owner:  # Whatever it made there would be in the way of the application.
            raise
    return run_in_foreground(settings)


def run_demo(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Show all of it on this machine, or leave the application running."""
    _require_gatekeeper("stagedoor demo")
    from stagedoor.demo import play, serve  # what it needs, no other command needs

    return serve() if arguments.serve else play()


def _require_gatekeeper(command: str) -> None:
    misfit = gatekeeper_misfit(command)
    if misfit is not None:
        raise DebuggerError(misfit)
