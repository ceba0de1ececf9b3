"""Error trackers that have copied a request's headers before Stagedoor could take the token out of them.

Sentry's middleware does so when a request comes in, and its integration for Flask puts that around the Flask object, so
outside of everything that wraps ``app.wsgi_app``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from .carried_token import TOKEN_COOKIE, without_token

_HEADER = "x-stagedoor-token"
#: The scope that knows already: of each thread, or of each context, the last one. Without Sentry's middleware a thread
#: keeps one for all requests, which must not get another function with each of them.
_told: ContextVar[object] = ContextVar("stagedoor_told_scope", default=None)


def hide_token_from_trackers() -> None:
    """Take the token out of what Sentry (its SDK from version 2 on) will report of this request, if Sentry is loaded."""
    current_scope = getattr(sys.modules.get("sentry_sdk"), "get_current_scope", None)
    if current_scope is not None and (scope := current_scope()) is not _told.get():
        # The current scope's come last, and so after the one with which Sentry's middleware puts the headers in.
        scope.add_event_processor(_without_token)
        _told.set(scope)


def _without_token(event: Any, hint: Any) -> Any:
    # Whatever a report looks like, an error here would lose it.
    with suppress(Exception):
        request = event.get("request") or {}
        for part in ("headers", "cookies"):
            if isinstance(held := request.get(part), dict):
                request[part] = dict(_kept(held))
    return event


def _kept(held: dict[Any, Any]) -> Iterator[tuple[Any, Any]]:
    """Headers or cookies without the token's."""
    for key, value in held.items():
        name = str(key).lower()
        if name == "cookie" and isinstance(value, str):
            value = without_token(value)[0]
        if name not in (_HEADER, TOKEN_COOKIE):
            yield key, value
