"""What a request passes on its way to Django: asked of a request, where the layers themselves don't show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from wsgiref.util import setup_testing_defaults

from django.core.handlers.wsgi import WSGIHandler

from stagedoor.application.layers import layers
from stagedoor.middleware import StageDoor
from stagedoor.worker.diagnostics import named

_PROXY_FIX = "werkzeug.middleware.proxy_fix.ProxyFix"
#: What ProxyFix leaves in the environ, whatever it found.
_FIXED = "werkzeug.proxy_fix.orig"
_PASSAGE = "stagedoor.passage"


@dataclass
class Passage:
    """What is known of an application's layers.

    :param door: the StageDoor, or ``None``.
    :param reached: whether Django was reached, so that all layers in front of it are known. Where it was not and no
        door either, nobody can tell.
    :param fixed_before: whether a ProxyFix is outside of the door.
    :param fixed_after: whether one is inside.
    """

    door: StageDoor | None = None
    reached: bool = False
    fixed_before: bool = False
    fixed_after: bool = False


def passage_of(application: Any) -> Passage:
    """What the application's layers show; or where they don't show all, what a request passes. Never raises.

    That request goes no further than to Django's handler, so no view and no middleware of Django's runs.
    """
    found = next((layer for layer in layers(application) if isinstance(layer, StageDoor)), None)
    is_django = any(isinstance(layer, WSGIHandler) for layer in layers(found or application))
    fixed_after = found is not None and named(found, _PROXY_FIX) is not None
    fixed_before = not fixed_after and named(application, _PROXY_FIX) is not None
    shown = Passage(found, is_django, fixed_before, fixed_after)
    if found is not None and is_django:
        return shown
    asked = _ask(application)
    if asked.door is None and not asked.reached:
        return shown  # Somebody has answered the request before it came to either.
    return Passage(asked.door, asked.reached, asked.fixed_before or fixed_before, asked.fixed_after or fixed_after)


def _ask(application: Any) -> Passage:
    passage = Passage()
    environ: dict[str, Any] = {"wsgi.url_scheme": "https", "REMOTE_ADDR": "192.0.2.1", _PASSAGE: passage}
    setup_testing_defaults(environ)
    # A middleware may do anything with a request that it has never seen the like of.
    with suppress(Exception), _watched():
        body = application(environ, lambda *arguments: lambda data: None)
        getattr(body, "close", lambda: None)()
    return passage


@contextmanager
def _watched() -> Iterator[None]:
    """Let the door and Django note that a request of ours has come to them. All other requests pass as ever."""
    door_call, django_call = StageDoor.__call__, WSGIHandler.__call__

    def at_door(self: StageDoor, environ: Any, start_response: Any) -> Any:
        passage: Passage | None = environ.get(_PASSAGE)
        if passage is None:
            return door_call(self, environ, start_response)
        passage.door, passage.fixed_before = self, _FIXED in environ
        environ.pop(_FIXED, None)
        return self._app(environ, start_response)

    def at_django(self: Any, environ: Any, start_response: Any) -> Any:
        passage: Passage | None = environ.get(_PASSAGE)
        if passage is None:
            return django_call(self, environ, start_response)
        passage.reached = True
        if passage.door is not None:
            passage.fixed_after = _FIXED in environ
        start_response("204 No Content", [])
        return []

    StageDoor.__call__, WSGIHandler.__call__ = at_door, at_django  # type: ignore[method-assign]
    try:
        yield
    finally:
        StageDoor.__call__, WSGIHandler.__call__ = door_call, django_call  # type: ignore[method-assign]
