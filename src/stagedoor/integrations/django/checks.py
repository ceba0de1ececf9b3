"""System checks. Those that import ``WSGI_APPLICATION`` run with ``manage.py check --deploy``.

- ``stagedoor.E001``: a setting is wrong.
- ``stagedoor.E002``: ``ProxyFix`` is inside StageDoor.
- ``stagedoor.W001``: the allowlist lets nobody in.
- ``stagedoor.W002``: ``WSGI_APPLICATION`` is not behind StageDoor.
- ``stagedoor.W003``: Django is told of a proxy, and no ``ProxyFix`` is there.
- ``stagedoor.W004``: ``WSGI_APPLICATION`` could not be imported.
- ``stagedoor.W005``: what is allowed is hardly meant, such as loopback, or everybody in two networks.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error

from stagedoor.errors import ConfigurationError
from stagedoor.integrations.configuration import read_settings
from stagedoor.settings import Settings
from stagedoor.surroundings import named, proxy_fix_inside

from .configuration import configuration, door_in, wsgi_application

_PROXY_FIX = "werkzeug.middleware.proxy_fix.ProxyFix"
_WRAP = "In wsgi.py, import get_wsgi_application from stagedoor.integrations.django."


def check_settings(app_configs: Any, **others: Any) -> list[CheckMessage]:
    """Look at the settings alone."""
    try:
        read = read_settings(configuration())
    except ConfigurationError as error:
        return [_wrong(error)]
    # Which of several keyword arguments of wsgi.py's is another matter: see check_application.
    if not read.allow and "STAGEDOOR_ALLOW" in configuration():
        return [_nobody("STAGEDOOR_ALLOW")]
    return _doubtful(read)


def check_application(app_configs: Any, **others: Any) -> list[CheckMessage]:
    """Look at the application as the server would get it."""
    try:
        application = wsgi_application()
    except ConfigurationError as error:
        # Of a keyword; what is wrong in the settings has been said.
        return [] if check_settings(None) else [_wrong(error)]
    except Exception as error:  # whatever the project's own module raises
        problem = f"WSGI_APPLICATION could not be imported: {type(error).__name__}: {error}."
        return [checks.Warning(problem, id="stagedoor.W004")]
    if application is None:
        hint = f"Set WSGI_APPLICATION to the application that the server runs. {_WRAP}"
        return [checks.Warning("WSGI_APPLICATION is not set.", hint=hint, id="stagedoor.W002")]
    door = door_in(application)
    if door is None:
        return [checks.Warning("WSGI_APPLICATION is not behind Stagedoor.", hint=_WRAP, id="stagedoor.W002")]
    found: list[CheckMessage] = []
    if not door.settings.allow and "STAGEDOOR_ALLOW" not in configuration():
        found.append(_nobody("allow"))
    said = check_settings(None)
    found += [each for each in _doubtful(door.settings) if each not in said]
    if (inside := proxy_fix_inside(door)) is not None:
        found.append(Error(inside, hint="application = ProxyFix(get_wsgi_application(), x_for=1)", id="stagedoor.E002"))
    elif named(application, _PROXY_FIX) is None and (told := _told_of_a_proxy()):
        found.append(
            checks.Warning(
                f"{told} says that there is a proxy, and no ProxyFix tells Stagedoor whose request it is.",
                hint="application = ProxyFix(get_wsgi_application(), x_for=1), with the number of proxies.",
                id="stagedoor.W003",
            )
        )
    return found


def _wrong(error: ConfigurationError) -> CheckMessage:
    return Error(f"{error.name}: {error.problem}.", hint=error.remedy or str(error), id="stagedoor.E001")


def _doubtful(read: Settings) -> list[CheckMessage]:
    return [checks.Warning(doubt, id="stagedoor.W005") for doubt in read.doubts()]


def _nobody(name: str) -> CheckMessage:
    hint = 'Name the addresses that may debug, such as STAGEDOOR_ALLOW = ["203.0.113.7"].'
    return checks.Warning(f"{name} lets nobody in, so no request is ever debugged.", hint=hint, id="stagedoor.W001")


def _told_of_a_proxy() -> str:
    names = ("USE_X_FORWARDED_HOST", "USE_X_FORWARDED_PORT", "SECURE_PROXY_SSL_HEADER")
    return ", ".join(name for name in names if getattr(settings, name, None))
