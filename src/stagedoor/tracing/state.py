"""What is known of a matching request while it is served, and who is told of its pauses."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

#: The owner of the session that is everybody's, as far as they have none of their own.
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Pause:
    """A matching request that is paused.

    :param request: the request's label, such as ``"GET /checkout"``.
    :param thread: the paused thread's identifier (:func:`threading.get_ident`).
    :param since: when it was paused, on the monotonic clock, in seconds.
    :param file: the file of the line at which it is paused.
    :param line: the line's number, from 1.
    :param session: the key of the session that it is paused for; ``None`` without a gatekeeper.
    :param number: the request's number in this process.
    :param developer: whose session it is, kept for when that has gone: the request then runs on.
    """

    request: str
    thread: int
    since: float
    file: str
    line: int
    session: str | None = None
    number: int = 0
    developer: str = EVERYBODY


#: What a name on a pass looks like. No address does.
_NAME = re.compile("[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions that the gatekeeper has, and whose they are.

    :param owners: by owner, the name on a pass, an address, or :data:`EVERYBODY`, the session's key.
    """

    owners: Mapping[str, str]

    def of(self, owner: str) -> str | None:
        """The session of a matching request; ``None`` if none is attached. What carries a pass is its developer's only.

        :param owner: the name on the pass, or the client's address, which is never a name.
        """
        own = self.owners.get(owner)
        return own if own is not None or _NAME.fullmatch(owner) else self.everybodys

    def developer(self, session: str | None) -> str:
        """Whose session that is: a name, or :data:`EVERYBODY`, sooner than an address, which a name may have claimed."""
        owners = [owner for owner, key in self.owners.items() if key == session]
        named = (owner for owner in owners if owner == EVERYBODY or _NAME.fullmatch(owner))
        return next(named, owners[0] if owners else EVERYBODY)

    @property
    def everybodys(self) -> str | None:
        """The session for whatever is nobody's own."""
        return self.owners.get(EVERYBODY)

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(self.owners.values())


_numbers = itertools.count(1)


class TracingListener(Protocol):
    """Who is told what happens. Called on pydevd's and on request threads: must not block and must not raise."""

    def say(self, sentence: str) -> None:
        """Show all developers a line."""

    def attached(self) -> None:
        """A client has configured its session."""

    def detached(self) -> None:
        """The client is gone."""

    def paused(self, pause: Pause) -> None:
        """A matching request is paused, on its own thread."""

    def resumed(self, pause: Pause, seconds: float) -> None:
        """A paused request runs on, after ``seconds``."""

    def not_paused(self, request: str, limit: int, session: str | None) -> None:
        """A request of ``session`` runs on, and so do those that follow it: no more of it may be paused, of ``limit``."""

    def ran_past(self, number: int, session: str | None) -> None:
        """One of the paused requests runs on again; until then ``number`` others of ``session`` had to."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Matching:
    """A matching request, or a job of the application's, from its beginning to its end.

    A thread is traced only while it runs a part of one: see :meth:`Tracing.enter`. Most requests have one thread, but a
    server may ask for each block of a body on another one; and what runs on another thread at the same time, as an
    ``async def`` view does, is a :attr:`part <whole>` with a state of its own.
    """

    request: str
    #: The thread that runs it, or was the last to do so.
    thread: threading.Thread
    #: Whether it is a job, on a thread that is none of the server's.
    is_job: bool = False
    #: Whether it is still to stop at the first line of the user's code.
    stop_at_entry: bool = False
    #: Whether a thread runs a part of it now.
    is_running: bool = False
    #: Whether it has ended: nothing of it is debugged any more.
    over: bool = False
    previous_trace: Any = None
    #: Whether Python has taken the trace function away from a thread of it, which it does below 3.12.
    was_lost: bool = False
    pause: Pause | None = field(default=None)
    was_paused: bool = False
    #: Whether it is not paused any more, whatever comes.
    runs_on: bool = False
    #: The exceptions on which the request has stopped. The objects themselves: numbers of theirs could come again.
    shown: list[BaseException] = field(default_factory=list)
    #: The jobs and the parts on other threads that belong to it and have begun: they end with it.
    jobs: list[Matching] = field(default_factory=list)
    #: The request, if this is a part of it on another thread.
    whole: Matching | None = None
    #: Why something of the request was not debugged, and what to do, two sentences.
    undebugged: tuple[str, str] | None = None
    #: The key of the session in which it is debugged; ``None`` without a gatekeeper: in the only one there is.
    session: str | None = None
    #: What its developer reads, query included; nobody else does.
    shown_label: str = ""
    #: It, and no other in this process.
    number: int = field(default_factory=lambda: next(_numbers))
    #: Whether it is to stop as soon as a thread runs it again.
    pauses_next: bool = False
    #: The breakpoints that counted at the line where it is about to stop, by pydevd's ids.
    hits: list[int] = field(default_factory=list)

    @property
    def request_itself(self) -> Matching:
        """The request of which this is a part, or this one."""
        return self.whole or self


class Owner(Protocol):
    """The tracing, as pydevd's guarded debugger and what is done to pydevd see it. Called on pydevd's threads and on those
    that serve requests.
    """

    @property
    def requests(self) -> list[tuple[threading.Thread, str]]:
        """The threads that run a part of a matching request now, and those requests' labels."""

    def pause_all(self) -> None:
        """Stop all requests that run, each where it is."""

    def serves(self, ident: int | None) -> bool:
        """Whether the thread ``ident`` runs a part of a matching request now."""

    def wait_suspended(
        self, thread: threading.Thread, frame: Any, wait: Callable[[], None], error: BaseException | None = None
    ) -> None:
        """Pause the calling thread through ``wait``, if it runs a part of a matching request; else let it run on."""

    def monitor(self) -> None:
        """pydevd is about to speak with its client: from now on its events can come."""

    def serve_client(self, reader: Any, writer: Any) -> None:
        """``reader`` reads the client's requests from now on, and ``writer`` writes answers and events."""

    def client_configured(self) -> None:
        """A client has configured its session."""

    def client_gone(self) -> None:
        """The client is gone."""

    def served_by(self, ident: int | None) -> Matching | None:
        """What the thread ``ident`` runs."""

    def stops_on(self, filter_: str) -> bool:
        """Whether the session of the calling thread's request stops on this kind of exceptions."""

    def breakpoints_of(self, file: str, breakpoints: Mapping[int, Any]) -> None:
        """The breakpoints of a file are these from now on, by id."""

    def is_hit(
        self, breakpoint_: Any, frame: Any, judge: Callable[[Any], Any], expression: Callable[[Any], str | None]
    ) -> Any:
        """Whether the calling thread stops at a breakpoint that has a condition."""


class Parts(Protocol):
    """The tracing, as those see it who run parts of a matching request on other threads than its own."""

    def served(self) -> Matching | None:
        """The matching request of which the calling thread runs a part."""

    def begin_part(self, of: Matching) -> Matching | None:
        """A part of ``of``'s request begins on the calling thread; ``None`` if it is not to be debugged."""

    def enter(self, matching: Matching) -> bool:
        """The calling thread runs it from now on; returns whether it is traced."""

    def leave(self, matching: Matching) -> None:
        """The calling thread runs it no more."""

    def end(self, matching: Matching) -> None:
        """It is over."""

    def waits(self, matching: Matching) -> None:
        """Its thread only waits from now on, for another part of the request."""

    def goes_on(self, matching: Matching) -> None:
        """It waits no longer."""

    def share_step(self, giver: Matching, taker: Matching, frames: Callable[[], list[FrameType]] | None = None) -> None:
        """Let ``taker`` stop at the next line, if ``giver``, from which the control has come, is to."""

    def say(self, text: str, matching: Matching | None = None) -> None:
        """Show the developer a line in the IDE's debug console, or each developer if it is about no request."""
