"""Says once in a window what around it keeps the debugger from being of use: in the log, and in the IDE's console."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from stagedoor.audit import Audit
from stagedoor.tracing import Tracing
from stagedoor.window.window import Window

from .diagnostics import seeds_of_trouble
from .shared_caches import kept_by_shared_caches, sentence_for

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

#: How many windows are remembered as looked around in.
_REMEMBERED = 64


class Lookout:
    """What is looked for is in :mod:`stagedoor.worker.diagnostics`.

    :param audit: where it is recorded, as ``trouble``.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        # Threads race for these without a lock, which a fork could leave held.
        self._turns: dict[str, object] = {}
        self._untold: deque[str] = deque()
        #: Whether this window's developer knows that responses may be kept.
        self._has_warned = False

    def look(self, app: WSGIApplication, window: Window, environ: WSGIEnvironment) -> None:
        """Look around, if nobody has in this window. Never raises."""
        if window.token in self._turns:
            return
        if len(self._turns) >= _REMEMBERED:
            self._turns.clear()
        turn = object()
        if self._turns.setdefault(window.token, turn) is turn:
            self._has_warned = False
            for sentence in seeds_of_trouble(app, environ, os.environ):
                self._audit.record("trouble", sentence, level=logging.WARNING)
                self._untold.append(sentence)

    def look_at_response(self, headers: Iterable[object], request: str, tracing: Tracing | None) -> None:
        """Point out once in a window that a matching response says it may be kept by shared caches. Never raises."""
        try:
            if self._has_warned or (permission := kept_by_shared_caches(headers)) is None:
                return
            self._has_warned = True
            sentence = sentence_for(permission, request)
            self._audit.record("trouble", sentence, level=logging.WARNING)
            self._untold.append(sentence)
            if tracing is not None:
                self.tell(tracing)
        except Exception as error:
            self._audit.error("looking at a response", error)

    def tell(self, tracing: Tracing) -> None:
        """Say the same in the debug console, now that there is one."""
        with suppress(IndexError):
            while self._untold:
                tracing.say(f"Stagedoor: {self._untold.popleft()}")
