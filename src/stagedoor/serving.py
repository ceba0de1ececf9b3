"""Whom a context serves: a debugged request, a visitor, or nobody as far as this process knows.

A thread of the server's keeps its mark when its request is over: what it does between two requests is the server's. A
context variable and no thread-local one, because a framework may run a part of a request on another thread, with a
copy of its context (asgiref does so with ``async def`` views).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

#: Stands for a request that is not debugged.
VISITOR: Final = object()

_served: ContextVar[object | None] = ContextVar("stagedoor_served", default=None)

#: Whom the calling context serves: a debugged request, :data:`VISITOR`, or ``None``.
served = _served.get
#: Let the calling context serve somebody from now on.
serve = _served.set
