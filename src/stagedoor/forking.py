"""Fork safety: what a forked child inherits of ours, and in which order it is put right.

A child has one thread, the one that forked, and a copy of everything else: locks that a thread held which the child does
not have, sockets and pipes that are the parent's, a debugger whose threads are gone, and what the parent last saw of the
window. Servers fork their workers from a process that has served or loaded the application, and applications fork too.

Whatever holds a lock, a condition, an event, a queue, a descriptor or a thread registers its ``forget_in_child`` here when
it is made, or belongs to an owner whose ``forget_in_child`` calls its own. That makes new locks (the old ones may be held
for good), and forgets what the child does not have. It must not wait, take an inherited lock, or touch what is the
parent's: a socket is closed, never shut down.

The order, see :class:`Turn`: first the tracing. The thread that forked may be serving a matching request, and then all
that it runs in the child is traced, this module included: it would run into locks of pydevd's that nobody releases, or
stop, with nobody to resume it. Only then the rest, among which nothing depends on an order.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol


class Turn(IntEnum):
    """When in a forked child it is somebody's turn."""

    #: What traces threads: it may trace the one that has forked.
    TRACING = 0
    #: Connections, threads and locks.
    REST = 1


class Inheritance(Protocol):
    """What a forked child inherits."""

    def forget_in_child(self) -> None:
        """Make new locks, and let go of what is the parent's. What it raises keeps nobody else from his turn."""


# Dictionaries by id, whose operations are one step each: a lock here could itself be held during a fork.
_registered: dict[Turn, dict[int, Callable[[], Inheritance | None]]] = {turn: {} for turn in Turn}


def register(owner: Inheritance, turn: Turn = Turn.REST) -> None:
    """Call ``owner.forget_in_child()`` in every forked child from now on, for as long as it is alive. In a turn, whoever
    came first is called first.
    """
    others, key = _registered[turn], id(owner)
    others[key] = weakref.ref(owner, lambda gone: others.pop(key, None))


def _after_fork_in_child() -> None:
    trouble: Exception | None = None
    for turn in Turn:
        for reference in list(_registered[turn].values()):
            owner = reference()
            if owner is not None:
                try:
                    owner.forget_in_child()
                except Exception as error:
                    trouble = error
    if trouble is not None:
        raise trouble  # Python names it on stderr, and the child goes on.


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
