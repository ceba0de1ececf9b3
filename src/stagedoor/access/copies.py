"""What a request's environ holds of its headers a second time: the token is in these copies too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .carried_token import TOKEN_COOKIE, TOKEN_HEADER, without_token

#: Cookies as a framework around this application has read them, which it reads again when they are not there: WebOb's,
#: Paste's and Bottle's.
_READ_BEFORE = ("webob._parsed_cookies", "paste.cookies", "paste.cookies.dict", "bottle.request.cookies")


def take_from_copies(environ: dict[str, Any]) -> None:
    """Take the token out of the copies that servers and frameworks keep in ``environ``; never raises.

    What is the server's own is replaced and not changed: it may be in use elsewhere. For requests that carried a token.
    """
    for name in _READ_BEFORE:
        environ.pop(name, None)
    for name, cleaned in _COPIES.items():
        if name in environ:
            try:
                environ[name] = cleaned(environ[name])
            except Exception:  # Of a shape that is not known: rather none than one with the token in it.
                del environ[name]


def _clean_scope(scope: Any) -> Any:
    """ASGI's, as a2wsgi has it."""
    return {**scope, "headers": list(_clean(scope["headers"]))}


def _clean_pairs(headers: Any) -> Any:
    """Eventlet's."""
    return tuple(_clean(headers))


def _clean_request(request: Any) -> Any:
    """Werkzeug's, whose headers are those of the environ, but for what it has read of them before."""
    vars(request).pop("cookies", None)
    return request


def _clean(headers: Iterable[tuple[Any, Any]]) -> Iterable[tuple[Any, Any]]:
    """Headers without the token's, in text or bytes."""
    for name, value in headers:
        key = _text(name).upper().replace("-", "_")
        if f"HTTP_{key}" == TOKEN_HEADER:
            continue
        if key == "COOKIE" and TOKEN_COOKIE in _text(value):
            rest = without_token(_text(value))[0]
            if not rest:
                continue
            value = rest.encode("latin-1") if isinstance(value, bytes) else rest
        yield name, value


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


_COPIES: dict[str, Callable[[Any], Any]] = {
    "asgi.scope": _clean_scope,
    "headers_raw": _clean_pairs,
    "werkzeug.request": _clean_request,
}
