"""Where foreign tests call WSGI applications: there each application is put behind a door."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from foreign.door import Application, Environ

Wrap = Callable[[Application], Application]


def in_werkzeug(wrap: Wrap) -> None:
    """Werkzeug's test client, which is Flask's too. Before a test module takes the function's name."""
    import werkzeug.test

    bare = werkzeug.test.run_wsgi_app

    @functools.wraps(bare)
    def run_wsgi_app(app: Any, *arguments: Any, **keywords: Any) -> Any:
        return bare(wrap(app), *arguments, **keywords)

    werkzeug.test.run_wsgi_app = run_wsgi_app


def in_webob(wrap: Wrap) -> None:
    """WebOb's requests, with which WebTest and Pyramid call applications."""
    from webob.request import BaseRequest

    bare = BaseRequest.call_application

    @functools.wraps(bare)
    def call_application(self: Any, application: Any, *arguments: Any, **keywords: Any) -> Any:
        return bare(self, wrap(application), *arguments, **keywords)

    BaseRequest.call_application = call_application


def in_wsgiref(wrap: Wrap) -> None:
    """The standard library's server and validator (Bottle's tests). The validator stands outside: it checks ours too."""
    import wsgiref.handlers
    import wsgiref.validate

    bare_run, bare_validator = wsgiref.handlers.BaseHandler.run, wsgiref.validate.validator

    @functools.wraps(bare_run)
    def run(self: Any, application: Any) -> None:
        bare_run(self, wrap(application))

    @functools.wraps(bare_validator)
    def validator(application: Any) -> Any:
        return bare_validator(wrap(application))

    wsgiref.handlers.BaseHandler.run = run  # type: ignore[method-assign]
    wsgiref.validate.validator = validator


def in_django(wrap: Wrap) -> None:
    """Django's WSGI handler, and the one of its test client, which is an application but for what it returns."""
    from django.core.handlers.wsgi import WSGIHandler
    from django.test.client import ClientHandler

    bare_wsgi, bare_client = WSGIHandler.__call__, ClientHandler.__call__

    @functools.wraps(bare_wsgi)
    def call(self: Any, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        return wrap(functools.partial(bare_wsgi, self))(environ, start_response)

    @functools.wraps(bare_client)
    def call_from_client(self: Any, environ: Environ) -> Any:
        made: list[Any] = []

        def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            response = bare_client(self, environ)
            made.append(response)
            start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
            return response._iterator if _streams(response) else []

        body = wrap(application)(environ, lambda *_: lambda block: None)
        (response,) = made
        if _streams(response):
            response._iterator = iter(body)
        return response

    WSGIHandler.__call__ = call
    ClientHandler.__call__ = call_from_client


def _streams(response: Any) -> bool:
    return bool(response.streaming) and not response.is_async


#: By the name that a suite gives it.
PLACES: dict[str, Callable[[Wrap], None]] = {
    "werkzeug": in_werkzeug,
    "webob": in_webob,
    "wsgiref": in_wsgiref,
    "django": in_django,
}
