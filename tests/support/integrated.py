"""An application in this process, of each framework with an integration: what their tests have in common."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NamedTuple

import django
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings
from flask import Flask

from stagedoor import StageDoor
from stagedoor.integrations import flask as extension
from stagedoor.integrations.django import get_wsgi_application

if not settings.configured:
    settings.configure(INSTALLED_APPS=["stagedoor.integrations.django"], ROOT_URLCONF="")
    django.setup()


class Ran(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


class OnFlask:
    """A site of Flask's.

    :param configured: what stands in ``app.config``.
    """

    def __init__(self, **configured: Any) -> None:
        self._configured = configured

    def door(self, **keywords: Any) -> StageDoor:
        """The middleware, made with these keywords.

        :raises ConfigurationError: for what is wrong.
        """
        app = self._app(**keywords)
        found: StageDoor = app.extensions["stagedoor"]
        return found

    def run(self, *arguments: str) -> Ran:
        """``flask stagedoor``."""
        result = self._app().test_cli_runner().invoke(args=["stagedoor", *arguments])
        return Ran(result.exit_code, result.stdout, result.stderr)

    def _app(self, **keywords: Any) -> Flask:
        app = Flask("shop")
        app.config.update(self._configured)
        extension.StageDoor(app, **keywords)
        return app


class OnDjango:
    """The same of Django's.

    :param configured: what stands in the settings.
    """

    def __init__(self, **configured: Any) -> None:
        self._configured = configured

    def door(self, **keywords: Any) -> StageDoor:
        with override_settings(**self._configured):
            made = get_wsgi_application(**keywords)
        assert isinstance(made, StageDoor)
        return made

    def run(self, *arguments: str) -> Ran:
        """``manage.py stagedoor``."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        with override_settings(**self._configured), redirect_stdout(out), redirect_stderr(err):
            try:
                call_command("stagedoor", *arguments)
            except SystemExit as end:
                code = int(end.code or 0)
        return Ran(code, out.getvalue(), err.getvalue())


Site = OnFlask | OnDjango
