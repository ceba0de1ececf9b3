"""Seeds of trouble: what around Stagedoor keeps a debugger from being of use. Functions of what is seen, and no more.

Nothing is imported for this: a framework that is in use is loaded already, and is known by its classes' names.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from stagedoor.access.client_address import PROXY_FIX_REMEDY, proxy_fix_remedy
from stagedoor.access.proxy_headers import forwarding_header
from stagedoor.application.layers import layers

from .servers import Server, surrounding_server

PROXY_FIX_INSIDE = (
    "ProxyFix is inside StageDoor, so Stagedoor sees the proxy's address and not the visitor's. Swap the two lines:"
    " apply ProxyFix after StageDoor, so that it runs before it."
)


def seeds_of_trouble(app: object, environ: Mapping[str, Any], variables: Mapping[str, str]) -> list[str]:
    """What is wrong around a request, each a sentence with its remedy. Never raises.

    :param app: the application that StageDoor wraps.
    :param environ: the request.
    :param variables: the environment of the process.
    """
    looks: tuple[Callable[[], str | None], ...] = (
        lambda: debugger_inside(app),
        lambda: errors_swallowed(app),
        lambda: old_bottle(app, sys.modules.get("bottle")),
        lambda: debug_mode(app),
        lambda: reloader(variables),
        # A request that is refused for it says so itself.
        lambda: None if forwarding_header(environ) is not None else proxy_fix_inside(app),
        lambda: trace_function_taken(sys.gettrace(), threading.gettrace(), debugger_tool()),
        lambda: one_request_at_a_time(surrounding_server()),
    )
    found = []
    for look in looks:
        try:
            sentence = look()
        except Exception:  # An application may do anything when it is looked at.
            continue
        if sentence is not None:
            found.append(sentence)
    return found


def named(app: object, name: str) -> object | None:
    """The first layer of ``app`` that is of the class ``name``, such as ``"flask.app.Flask"``, or of one below it."""
    for layer in layers(app):
        if any(f"{kind.__module__}.{kind.__qualname__}" == name for kind in type(layer).__mro__):
            return layer
    return None


def debugger_inside(app: object) -> str | None:
    if named(app, "werkzeug.debug.DebuggedApplication") is None:
        return None
    return (
        "Werkzeug's interactive debugger (DebuggedApplication) is inside StageDoor: it catches errors before Stagedoor"
        " sees them, and shows visitors a Python console. Remove it from the application."
    )


def errors_swallowed(app: object) -> str | None:
    """Flask and Django make a response of an error; only their signal tells of it."""
    flask: Any = named(app, "flask.app.Flask")
    if flask is not None and "stagedoor" not in flask.extensions:
        propagates = flask.config["PROPAGATE_EXCEPTIONS"]
        if not (flask.testing or flask.debug if propagates is None else propagates):
            return (
                "Flask makes a 500 page of every error before Stagedoor sees it, so no request stops on one."
                " Use stagedoor.integrations.flask.StageDoor(app) instead of stagedoor.StageDoor(app.wsgi_app)."
            )
    django = named(app, "django.core.handlers.wsgi.WSGIHandler")
    if django is not None and "stagedoor.integrations.django.signals" not in sys.modules:
        return (
            "Django makes a 500 page of every error before Stagedoor sees it, so no request stops on one."
            ' Add "stagedoor.integrations.django" to INSTALLED_APPS.'
        )
    return None


def old_bottle(app: object, module: Any) -> str | None:
    """Bottle tells nobody of an error before 0.13: it hands the exception to the application's handler only.

    :param module: ``bottle``, or ``None`` where it is not loaded.
    """
    bottle: Any = named(app, "bottle.Bottle")
    if bottle is None or not bottle.catchall:
        return None
    version = str(module.__version__)
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= (0, 13):
        return None
    handler = getattr(bottle.error_handler.get(500), "__code__", None)
    if handler is not None and "stop_on_exception" in handler.co_names:
        return None
    return (
        f"Bottle {version} makes a 500 page of every error and tells nobody, so no request stops on one. Install bottle"
        " 0.13, or call stagedoor.stop_on_exception(error.exception) in the application's @app.error(500) handler."
    )


def debug_mode(app: object) -> str | None:
    flask: Any = named(app, "flask.app.Flask")
    if flask is None or not flask.debug:
        return None
    return (
        "Flask's debug mode is on. Unless it was started with passthrough_errors or --no-debugger, every visitor who"
        " meets an error gets Werkzeug's interactive debugger. Switch it off: Stagedoor stops on errors without it."
    )


def reloader(variables: Mapping[str, str]) -> str | None:
    for variable, remedy in (("WERKZEUG_RUN_MAIN", "--no-reload"), ("RUN_MAIN", "--noreload")):
        if variables.get(variable) == "true":
            return (
                "The server's reloader is on: whenever a file changes it ends this process, and paused requests with"
                f" it. Start the server with {remedy}."
            )
    return None


def proxy_fix_inside(app: object) -> str | None:
    if named(app, "werkzeug.middleware.proxy_fix.ProxyFix") is None:
        return None
    return PROXY_FIX_INSIDE


def proxy_fix_remedy_for(app: object, door: object) -> str:
    """How to apply ProxyFix to an application so that it stands where it belongs, whole sentences. Never raises.

    :param app: what StageDoor wraps.
    :param door: the StageDoor itself, which the application's code calls by some name.
    """
    try:
        inside = proxy_fix_inside(app)
        if inside is not None:
            return inside
        flask = named(app, "flask.app.Flask")
        if flask is not None:
            return proxy_fix_remedy(f"{_name_of(flask) or 'app'}.wsgi_app")
        return proxy_fix_remedy(_name_of(door) or "application")
    except Exception:  # An application may do anything when it is looked at.
        return PROXY_FIX_REMEDY


def _name_of(thing: object) -> str | None:
    """The global variable that holds ``thing``."""
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is thing:
                return str(name)
    return None


def trace_function_taken(trace: object, threading_trace: object, tool: str | None) -> str | None:
    """Whether another tool is where the debugger belongs.

    :param trace: :func:`sys.gettrace`'s answer on a request's thread.
    :param threading_trace: :func:`threading.gettrace`'s answer.
    :param tool: who holds ``sys.monitoring.DEBUGGER_ID``, or ``None``.
    """
    if sys.version_info >= (3, 12):
        if tool is None or tool == "pydevd":
            return None
        return f"{tool!r} holds the debugger's place in sys.monitoring. Start the application without it."
    holder = trace or threading_trace
    if holder is None:
        return None
    module = getattr(type(holder), "__module__", "") if not hasattr(holder, "__code__") else holder.__module__
    return (
        f"Another tool ({module or 'unknown'}) uses Python's trace function. It sees nothing of the requests that are"
        " debugged, and slows all of them down. Start the application without coverage, profiler or tracer."
    )


def debugger_tool() -> str | None:
    """Who holds the debugger's place in ``sys.monitoring``, where there is one."""
    monitoring: Any = getattr(sys, "monitoring", None)
    return monitoring.get_tool(monitoring.DEBUGGER_ID) if monitoring is not None else None


def one_request_at_a_time(server: Server) -> str | None:
    if server.threads != 1 or not server.has_other_processes:
        return None
    return (
        f"Each of {server.name}'s processes handles one request at a time, so while one is paused its process serves"
        f" nobody else. {server.more_threads}".rstrip()
    )
