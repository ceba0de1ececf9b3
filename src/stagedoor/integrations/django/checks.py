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

from django.conf import global_settings, settings
from django.core import checks
from django.core.checks import CheckMessage, Error

from stagedoor.access.proxy_headers import gives_a_proxy_away
from stagedoor.application.layers import ends
from stagedoor.errors import ConfigurationError
from stagedoor.integrations.configuration import read_settings
from stagedoor.settings.settings import Settings
from stagedoor.worker.diagnostics import PROXY_FIX_INSIDE

from .configuration import configuration, wsgi_application
from .passage import Passage, passage_of

_PROXY_FIX = (
    "In wsgi.py: from werkzeug.middleware.proxy_fix import ProxyFix;"
    " application = ProxyFix(get_wsgi_application(), x_for=1)."
)
_WRAP = "In wsgi.py, import get_wsgi_application from stagedoor.integrations.django."


def check_settings(app_configs: Any, **others: Any) -> list[CheckMessage]:
    """Look at the settings alone."""
    try:
        read = read_settings(configuration())
    except ConfigurationError as error:
        return [_wrong(error)]
    # Which of several keyword arguments of wsgi.py's is another matter: see check_application.
    if "STAGEDOOR_ALLOW" in configuration() and _lets_nobody_in(read):
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
    passage = passage_of(application)
    door = passage.door
    if door is None:
        return [_not_behind(application, passage)]
    found: list[CheckMessage] = []
    if "STAGEDOOR_ALLOW" not in configuration() and _lets_nobody_in(door.settings):
        found.append(_nobody("allow"))
    said = check_settings(None)
    found += [each for each in _doubtful(door.settings) if each not in said]
    if passage.fixed_after:
        found.append(Error(PROXY_FIX_INSIDE, hint=_PROXY_FIX, id="stagedoor.E002"))
    elif not passage.fixed_before and (told := _told_of_a_proxy()):
        found.append(
            checks.Warning(
                f"{told} says that there is a proxy, and no ProxyFix tells Stagedoor whose request it is.",
                hint=f"{_PROXY_FIX} With the number of proxies for x_for.",
                id="stagedoor.W003",
            )
        )
    return found


def _wrong(error: ConfigurationError) -> CheckMessage:
    return Error(f"{error.name}: {error.problem}.", hint=error.remedy or str(error), id="stagedoor.E001")


def _doubtful(read: Settings) -> list[CheckMessage]:
    return [checks.Warning(doubt, id="stagedoor.W005") for doubt in read.doubts()]


def _lets_nobody_in(read: Settings) -> bool:
    return not read.allow and read.select == "address"


def _nobody(name: str) -> CheckMessage:
    hint = 'Name the addresses that may debug, such as STAGEDOOR_ALLOW = ["203.0.113.7"].'
    return checks.Warning(f"{name} lets nobody in, so no request is ever debugged.", hint=hint, id="stagedoor.W001")


def _not_behind(application: object, passage: Passage) -> CheckMessage:
    if passage.reached:
        return checks.Warning("WSGI_APPLICATION is not behind Stagedoor.", hint=_WRAP, id="stagedoor.W002")
    hiding = ", ".join(sorted({_named(layer) for layer in ends(application)}))
    problem = f"It can't be told whether WSGI_APPLICATION is behind Stagedoor: {hiding} does not show what it wraps."
    hint = "Open a window and request a page as a developer does: its response then has the header Stagedoor."
    return checks.Warning(problem, hint=hint, id="stagedoor.W002")


def _named(layer: object) -> str:
    kind = layer if hasattr(layer, "__qualname__") else type(layer)
    return f"{getattr(kind, '__module__', '?')}.{getattr(kind, '__qualname__', '?')}"


def _told_of_a_proxy() -> str:
    """The settings that tell Django, or an app of it, of a proxy: by their names, or by the header that they hold."""
    names = ["USE_X_FORWARDED_HOST", "USE_X_FORWARDED_PORT", "SECURE_PROXY_SSL_HEADER"]
    told = [name for name in names if getattr(settings, name, None)]
    # Django's own are those of above, and some of the others warn when they are read.
    others = set(dir(settings)) - set(dir(global_settings))
    told += [name for name in sorted(others) if name.isupper() and _holds_header(name)]
    return ", ".join(told)


def _holds_header(name: str) -> bool:
    value = getattr(settings, name, None)
    held = value if isinstance(value, list | tuple | set) else [value]
    return any(isinstance(each, str) and gives_a_proxy_away(each) for each in held)
