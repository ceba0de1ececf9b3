"""WSGI applications for Django's setting ``WSGI_APPLICATION``, in right and wrong orders."""

from __future__ import annotations

from typing import Any

from django.core.wsgi import get_wsgi_application as get_bare_application
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from stagedoor import StageDoor
from stagedoor.integrations.django import get_wsgi_application

bare = get_bare_application()
wrapped = get_wsgi_application(allow="192.0.2.1", switch="memory")
loopback = get_wsgi_application(allow="127.0.0.1", switch="memory")
nobody = get_wsgi_application(switch="memory")
by_token = get_wsgi_application(switch="memory", select="token")
behind_proxy = ProxyFix(wrapped)


class Shown:
    """Middleware of a class that nobody knows, which keeps what it wraps under a common name."""

    def __init__(self, app: Any) -> None:
        self.__app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.__app(environ, start_response)


class Slotted:
    __slots__ = ("inner_app",)

    def __init__(self, app: Any) -> None:
        self.inner_app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.inner_app(environ, start_response)


_HIDDEN: list[Any] = []


class Hiding:
    """One that does not show what it wraps at all, and gives a copy of the environ to it."""

    def __init__(self, app: Any) -> None:
        self._number = len(_HIDDEN)
        _HIDDEN.append(app)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return _HIDDEN[self._number](dict(environ), start_response)


class Answering(Hiding):
    """One that answers every request by itself, as where one has to log in first."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        start_response("302 Found", [("Location", "/login")])
        return []


class Refusing(Hiding):
    def __call__(self, environ: Any, start_response: Any) -> Any:
        raise PermissionError("who are you?")


def decorated(app: Any) -> Any:
    def middleware(environ: Any, start_response: Any) -> Any:
        return app(environ, start_response)

    return middleware


def viewing(environ: Any, start_response: Any) -> Any:
    raise AssertionError("no view runs for a check")


outside = {kind.__name__: kind(wrapped) for kind in (Shown, Slotted, Hiding, decorated)}
shown, slotted, hiding, closed_over = outside.values()
hiding_bare, answering, refusing = Hiding(bare), Answering(wrapped), Refusing(wrapped)
hiding_proxy_fix = Hiding(ProxyFix(wrapped))
hidden_inside = StageDoor(Hiding(ProxyFix(bare)), allow="192.0.2.1", switch="memory")
shown_inside = StageDoor(Shown(ProxyFix(bare)), allow="192.0.2.1", switch="memory")
mounted = DispatcherMiddleware(viewing, {"/shop": wrapped})
proxy_inside = StageDoor(ProxyFix(bare), allow="192.0.2.1", switch="memory")
