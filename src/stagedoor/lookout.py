"""Says once in a window what around it keeps the debugger from being of use: in the log, and in the IDE's console."""

from __future__ import annotations

import logging
import os
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from .audit import Audit
from .surroundings import seeds_of_trouble
from .tracing import Tracing
from .window import Window

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

#: How many windows are remembered as looked around in.
_REMEMBERED = 64


class Lookout:
    """What is looked for is in :mod:`stagedoor.surroundings`.

    :param audit: where it is recorded, as ``trouble``.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        # Threads race for these without a lock, which a fork could leave held.
        self._turns: dict[str, object] = {}
        self._untold: deque[str] = deque()

    def look(self, app: WSGIApplication, window: Window, environ: WSGIEnvironment) -> None:
        """Look around, if nobody has in this window. Never raises."""
        if window.token in self._turns:
            return
        if len(self._turns) >= _REMEMBERED:
            self._turns.clear()
        turn = object()
        if self._turns.setdefault(window.token, turn) is turn:
            for sentence in seeds_of_trouble(app, environ, os.environ):
                self._audit.record("trouble", sentence, level=logging.WARNING)
                self._untold.append(sentence)

    def tell(self, tracing: Tracing) -> None:
        """Say the same in the debug console, now that there is one."""
        with suppress(IndexError):
            while self._untold:
                tracing.say(f"Stagedoor: {self._untold.popleft()}")
