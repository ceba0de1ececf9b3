"""``manage.py stagedoor open --for 30m``: the command ``stagedoor`` on the project's settings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from django.core.checks import CRITICAL
from django.core.management.base import BaseCommand

from stagedoor.console import complain
from stagedoor.errors import ConfigurationError
from stagedoor.integrations.configuration import read_settings, run_command
from stagedoor.integrations.django.configuration import configuration, wsgi_application
from stagedoor.integrations.django.passage import passage_of
from stagedoor.settings.settings import Settings


class Command(BaseCommand):  # type: ignore[misc]
    """Closing must always work, whatever the checks have to say."""

    help = "Opens, closes and shows the window in which this project can be debugged: stagedoor open --for 30m."
    requires_system_checks: Sequence[str] = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("arguments", nargs=argparse.REMAINDER, help="those of the command stagedoor")

    def handle(self, *args: Any, **options: Any) -> None:
        arguments = options["arguments"]
        try:
            settings = _settings()
        except ConfigurationError as error:
            complain(str(error))
            sys.exit(2)
        if arguments[:1] == ["open"]:
            self.check(tags=["stagedoor"], include_deployment_checks=True, fail_level=CRITICAL + 1)
        if code := run_command(settings, arguments):
            sys.exit(code)


def _settings() -> Settings:
    """Those of the application's StageDoor, which may have keywords of its own; else what Django's settings say."""
    try:
        door = passage_of(wsgi_application()).door
    except Exception as error:  # Whatever the project's module raises.
        complain(
            f"WSGI_APPLICATION can't be imported ({type(error).__name__}: {error}), so what its StageDoor is given as"
            " keywords is not known. What follows is about the switch that the settings name."
        )
        door = None
    return door.settings if door is not None else read_settings(configuration())
