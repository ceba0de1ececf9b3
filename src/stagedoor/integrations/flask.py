"""Stagedoor as a Flask extension: it stops on the error of which Flask makes a 500 page, with debug mode off.

.. code-block:: python

    from stagedoor.integrations.flask import StageDoor

    door = StageDoor(app, allow=["203.0.113.7"])
"""

from __future__ import annotations

import sys
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from flask.signals import got_request_exception

import stagedoor
from stagedoor.errors import ConfigurationError
from stagedoor.tracing import stop_on_exception

from .configuration import make_door, run_command

NAME = "stagedoor"


class StageDoor:
    """Lets a developer attach a debugger to a Flask application.

    It wraps ``app.wsgi_app``, stops matching requests on unhandled errors, and adds the command ``flask stagedoor``.
    The middleware is then ``app.extensions["stagedoor"]``.

    Behind a reverse proxy, apply :class:`~werkzeug.middleware.proxy_fix.ProxyFix` to ``app.wsgi_app`` after this.

    :param app: the application; or call :meth:`init_app` later.
    :param keywords: as for :class:`stagedoor.StageDoor`. One that is not given is read from ``app.config``, as
        ``STAGEDOOR_ALLOW`` and so on, and then from the environment.
    :raises ConfigurationError: if a setting is wrong; the message names it as it was given.
    """

    def __init__(self, app: Flask | None = None, **keywords: Any) -> None:
        self._keywords = keywords
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Wrap one more application.

        :raises ConfigurationError: if a setting is wrong, or the application has a StageDoor already.
        """
        if NAME in app.extensions:
            raise ConfigurationError("app", app.name, "has a StageDoor already", "Create one for an application.")
        door = make_door(app.wsgi_app, self._keywords, app.config)
        app.wsgi_app = door  # type: ignore[method-assign]
        app.extensions[NAME] = door
        got_request_exception.connect(_stop, app)
        app.cli.add_command(_command)


def _stop(sender: Flask, exception: BaseException, **others: object) -> None:
    stop_on_exception(exception)


@click.command(
    NAME,
    help="Open, close and show this application's window: stagedoor --help.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_appcontext
def _command(arguments: tuple[str, ...]) -> None:
    door: stagedoor.StageDoor = current_app.extensions[NAME]
    sys.exit(run_command(door.settings, list(arguments)))
