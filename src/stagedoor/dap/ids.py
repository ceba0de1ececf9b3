"""Which number of a session's means what in which worker.

A client knows one session; behind it are the debuggers of several workers, each with numbers of its own for its threads,
frames and so on. Each session has a table of its own, and knows a number only if that table has given it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

from stagedoor.errors import StagedoorError

Kind = Literal["thread", "frame", "variables", "source", "breakpoint", "goto", "step_in", "module"]

#: The worker of what is the session's own: the window's entry among the threads, its breakpoints, the sources that the
#: gatekeeper reads.
OWN = ""

#: What ends when a request runs on. Its thread stays, and so does the source of what has no file.
_OF_A_PAUSE: frozenset[Kind] = frozenset({"frame", "variables", "goto", "step_in"})

_HIGHEST = 2**31 - 1  # DAP's references are below that; some clients keep all numbers in 32 bits


class NoMoreNumbers(StagedoorError):
    """A session has used up its numbers: it has to end."""


@dataclass(frozen=True, slots=True)
class Inner:
    """What a number of a session's means.

    :param worker: the worker's key; :data:`OWN` for what is the session's own.
    :param kind: what it is.
    :param id: the worker's own number (or what else the gatekeeper calls it); ``None``: not known yet, which is so for a
        thread that pydevd has not seen.
    :param request: the request that it belongs to, numbered in its worker; ``None``: to none.
    """

    worker: str
    kind: Kind
    id: Hashable
    request: int | None = None


#: What makes two things the same one.
_Identity = tuple[str, Kind, Hashable, int | None]


class IdTable:
    """The numbers of one session: from 1, no number of one kind is ever one of another, and none is given twice.

    A thread of a request is that request: it has the same number whatever thread serves it, and a pooled thread has
    another one with each request.
    """

    def __init__(self) -> None:
        self._last = 0
        self._numbers: dict[_Identity, int] = {}
        self._meanings: dict[int, Inner] = {}
        #: What else a number stands for, at most one thing of each worker.
        self._also: dict[int, dict[str, _Identity]] = {}
        #: Each worker's numbers, each with the request that it belongs to.
        self._of_request: dict[str, dict[int | None, set[int]]] = {}

    def __len__(self) -> int:
        return len(self._meanings)

    def given(self, worker: str, kind: Kind, inner_id: Hashable, request: int | None = None) -> int:
        """The session's number for something of a worker's; the same as long as that is not forgotten.

        :raises NoMoreNumbers: after 2,147,483,647 of them.
        """
        identity = self._identity(worker, kind, inner_id, request)
        number = self._numbers.get(identity)
        if number is None:
            number = self._next()
            self._numbers[identity] = number
            self._of_request.setdefault(worker, {}).setdefault(request, set()).add(number)
        elif inner_id is None:
            return number
        self._meanings[number] = Inner(worker, kind, inner_id, request)
        return number

    def meant(self, kind: Kind, outer_id: object) -> Inner | None:
        """What a number that the client has sent means, if it is one of this session's and of this kind."""
        if type(outer_id) is not int:
            return None
        inner = self._meanings.get(outer_id)
        return inner if inner is not None and inner.kind == kind else None

    def was_given(self, outer_id: object) -> bool:
        """Whether the session has ever had this number, forgotten or not."""
        return type(outer_id) is int and 0 < outer_id <= self._last

    def also(self, outer_id: int, worker: str, inner_id: Hashable) -> None:
        """The session's own number stands for something of a worker's too, instead of what it stood for there: a
        breakpoint of the session's is one in each worker. See :meth:`known`; without effect if the number is forgotten.
        """
        own = self._meanings.get(outer_id)
        if own is None or own.worker != OWN:
            return
        identity = self._identity(worker, own.kind, inner_id, None)
        others = self._also.setdefault(outer_id, {})
        if worker in others:
            self._drop(others[worker], outer_id)
        others[worker] = identity
        self._numbers[identity] = outer_id

    def known(self, worker: str, kind: Kind, inner_id: Hashable, request: int | None = None) -> int | None:
        """The number that something has, if it has one."""
        return self._numbers.get(self._identity(worker, kind, inner_id, request))

    def forget(self, kind: Kind, outer_id: int) -> None:
        """Forget one number, such as that of a breakpoint that was removed; one that is not known is none."""
        if self.meant(kind, outer_id) is not None:
            self._forget({outer_id})

    def forget_request(self, worker: str, request: int) -> None:
        """A request runs on: forget what there was of its pause. It keeps its thread."""
        numbers = self._of_request.get(worker, {}).get(request, set())
        self._forget({number for number in numbers if self._meanings[number].kind in _OF_A_PAUSE})

    def forget_thread(self, worker: str, request: int) -> None:
        """A request is over: forget all of it."""
        self._forget(set(self._of_request.get(worker, {}).get(request, ())))

    def forget_worker(self, worker: str) -> None:
        """A worker has left: forget all of it."""
        for numbers in list(self._of_request.get(worker, {}).values()):
            self._forget(set(numbers))
        for number, others in self._also.items():
            if worker in others:
                self._drop(others.pop(worker), number)

    def _forget(self, numbers: set[int]) -> None:
        for number in numbers:
            inner = self._meanings.pop(number)
            del self._numbers[self._identity(inner.worker, inner.kind, inner.id, inner.request)]
            for identity in self._also.pop(number, {}).values():
                self._drop(identity, number)
            requests = self._of_request[inner.worker]
            requests[inner.request].discard(number)
            if not requests[inner.request]:
                del requests[inner.request]
            if not requests:
                del self._of_request[inner.worker]

    def _drop(self, identity: _Identity, number: int) -> None:
        # A worker may call something else so by now.
        if self._numbers.get(identity) == number:
            del self._numbers[identity]

    def _next(self) -> int:
        if self._last >= _HIGHEST:
            raise NoMoreNumbers("This session has used up its numbers. Attach again.")
        self._last += 1
        return self._last

    @staticmethod
    def _identity(worker: str, kind: Kind, inner_id: Hashable, request: int | None) -> _Identity:
        # Step-in targets are numbered from 0 in each thread, so the request is a part of every other identity too.
        return (worker, kind, None if kind == "thread" and request is not None else inner_id, request)
