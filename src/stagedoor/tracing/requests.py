"""Matching requests from their beginning to their end: which threads run a part of one now, and are traced."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from .debuggee import Debuggee
from .state import Matching

_LOST = (
    "no later breakpoint was looked at where it came to the recursion limit, or called sys.settrace(). Python takes the"
    " debugger away there; from 3.12 on the limit does not."
)


class Requests(Debuggee):
    """The matching requests, and jobs, of one window in this process: what a thread enters and leaves."""

    def __init__(self) -> None:
        super().__init__()
        # Held while a thread enters, so that no thread is traced that the stop has not seen. It can be taken again by its
        # own thread: a garbage collection may run any code of the application's, which closes other bodies say.
        self._lock = threading.RLock()
        self._is_entering = False
        #: What the threads run now.
        self._matching: dict[int, Matching] = {}
        #: What each thread was the last to run, if that is not over: a step of it may be left on the thread.
        self._latest: dict[int, Matching] = {}
        self._begun: set[Matching] = set()
        self._forgotten: deque[Matching] = deque()
        #: The sessions that have gone.
        self._left: set[str] = set()

    def begin(
        self,
        request: str,
        *,
        stop_at_entry: bool = False,
        is_job: bool = False,
        of: Matching | None = None,
        session: str | None = None,
        shown: str = "",
    ) -> Matching | None:
        """A matching request begins, if a client is attached: :meth:`end` must follow, or :meth:`forget`. No thread is
        traced yet.

        :param request: the request's label, such as ``"GET /checkout"``.
        :param stop_at_entry: stop at the first line that the client counts as the user's code.
        :param is_job: it is a job of the application's, and its thread none of the server's: however many of those are
            paused, the server has its threads.
        :param of: the request to which a job belongs, and with which it ends.
        :param session: in which session it is debugged, where there is a gatekeeper; a job of a request's in the request's.
        :param shown: what the developer reads instead of the label.
        """
        self.tidy()
        if not self.attached or not self.alive or (of is not None and of.over):
            return None
        session = of.session if of is not None else session
        if session is None and self.sessions is not None:
            return None
        matching = Matching(
            request, threading.current_thread(), is_job, stop_at_entry, session=session, shown_label=shown or request
        )
        self._begun.add(matching)
        if session in self._left:  # Since a moment: its end has not seen this.
            self._begun.discard(matching)
            return None
        if of is not None:
            of.jobs.append(matching)
        if session is not None:
            self._events.begun(self._debugger, matching)
        return matching

    def begin_part(self, of: Matching) -> Matching | None:
        """A part of ``of``'s request begins on another thread, while its own waits or goes on: as :meth:`begin`. Both are
        one request: one of the pauses that may be, and each error stops it once.
        """
        whole = of.request_itself
        part = self.begin(whole.request, is_job=whole.is_job, of=whole, shown=whole.shown_label)
        if part is not None:
            part.whole, part.shown = whole, whole.shown
        return part

    def enter(self, matching: Matching, *, running: FrameType | None = None) -> bool:
        """The calling thread runs a part of ``matching`` from now on: trace it. A step goes on from part to part.

        :param running: a function of the user's that runs already, and has lines to stop at as well.
        :returns: whether the thread is traced; if so, :meth:`leave` must follow on it. It is not if it runs a part of
            a request already, or another thread runs one of this request: a server that closes a body does not always
            wait for its last block.
        """
        with self._lock:
            if self._is_entering:
                # A garbage collection below has come here. Nothing may pause while the lock is held.
                return False
            self._is_entering = True
            try:
                return self._enter(matching, running)
            finally:
                self._is_entering = False

    def _enter(self, matching: Matching, running: FrameType | None) -> bool:
        ident, thread = threading.get_ident(), threading.current_thread()
        here = self._matching.get(ident)
        if here is not None and here.over:
            self.leave(here)  # Its end came from another thread.
        elif here is not None:
            return False
        if matching.over or matching.is_running or not self.attached or not self.alive:
            return False
        # The number alone could be that of a thread that has ended.
        if self._latest.get(ident) is not matching or matching.thread is not thread:
            # What this pooled thread served before may have left a step on it, or a client's "pause".
            self._internals.run_thread(thread)
            self._drop_step(matching)
            self._latest[ident], matching.thread = matching, thread
        self._matching[ident] = matching
        matching.is_running = True
        try:
            if matching.stop_at_entry:
                matching.stop_at_entry = False
                self._internals.step_into_my_code(thread)
            self._threads.trace(self._debugger, matching)
            if running is not None:
                self._debugger.set_trace_for_frame_and_parents(ident, running)
            if matching.request_itself.pauses_next:
                matching.request_itself.pauses_next = False
                self._internals.pause(self._debugger, thread)
        except BaseException:
            del self._matching[ident]
            matching.is_running = False
            raise
        return True

    def leave(self, matching: Matching) -> None:
        """The calling thread runs no part of ``matching`` any more, and is not traced. Does nothing on one that runs none:
        a generator may end what it has begun on another thread, which then is left alone until it serves the next.
        """
        ident = threading.get_ident()
        here = self._matching.get(ident)
        if here is not None and (here is matching or here.over):
            with self._lock:  # Else somebody could mark the thread as to be paused who has just seen it here.
                del self._matching[ident]
            here.is_running = False
            request = here.request_itself
            if self._threads.has_lost(here) and not (here.over or request.over or request.runs_on or request.was_lost):
                request.was_lost = True
                self.say(f"Stagedoor: {here.request}: {_LOST}", here)
            self._threads.untrace(here)
            if here.was_paused and here.session is not None and self._debugger is not None:
                self._internals.do_what_waits(self._debugger, here.thread)
            if self._stopped:
                self._internals.forget_thread(here.thread)

    def end(self, matching: Matching) -> None:
        """The matching request is over, and with it the jobs that belong to it; a second call does nothing."""
        if matching.over:
            return
        matching.over = True
        for job in list(matching.jobs):
            self.end(job)
        if matching.whole is not None:
            with suppress(ValueError):
                matching.whole.jobs.remove(matching)
        self._begun.discard(matching)
        if self._stopped:
            return
        self._threads.rest(matching)
        with self._lock:  # Else a thread that enters meanwhile could lose the step with which it is to begin.
            # The step with which the request left the application would make pydevd look at every call of everybody's.
            self._drop_step(matching)
        if not self._begun:
            self._threads.nobody_left()
        if matching.pause is None:
            self._report_over(matching)

    def forget(self, matching: Matching) -> None:
        """The same for a request that nobody holds any more. Objects are collected anywhere, inside any lock: so it is only
        noted here, and ended by :meth:`tidy`.
        """
        self._forgotten.append(matching)

    def tidy(self) -> None:
        """End the requests that were forgotten."""
        while self._forgotten:
            self.end(self._forgotten.popleft())

    def _drop_step(self, matching: Matching) -> None:
        ident = matching.thread.ident
        if ident is not None and self._latest.get(ident) is matching:
            del self._latest[ident]
            if matching.pause is None:
                self._internals.run_thread(matching.thread)

    def waits(self, matching: Matching) -> None:
        """The thread of ``matching`` only waits from now on, for another part of the request: while that is paused, nobody
        else's code is slower for it.
        """
        self._threads.rest(matching)

    def goes_on(self, matching: Matching) -> None:
        """It waits no longer."""
        if not matching.over:
            self._threads.run(matching)
            if matching.over:  # Since a moment: its end has not seen this.
                self._threads.rest(matching)

    def share_step(self, giver: Matching, taker: Matching, frames: Callable[[], list[FrameType]] | None = None) -> None:
        """Let ``taker`` stop at the next line of the user's code, if ``giver``, from which the control has come, is to:
        whichever of the two threads gets to one first (:meth:`wait_suspended`).

        :param frames: what goes on on the taker's thread; by default all that is on its stack.
        """
        debugger, ident = self._debugger, taker.thread.ident
        if debugger is None or self._stopped or giver.over or taker.over or giver.pause or taker.pause:
            return
        if self._internals.steps_in(giver.thread):
            self._internals.step_into_my_code(taker.thread)
            # Its functions that run already have lines to stop at as well.
            found = (
                frames() if frames is not None else [each] if (each := sys._current_frames().get(ident or 0)) else []
            )
            for frame in found:
                debugger.set_trace_for_frame_and_parents(ident, frame)

    def serves(self, ident: int | None) -> bool:
        """Whether the thread ``ident`` runs a part of a matching request now."""
        matching = self._matching.get(ident) if ident is not None else None
        return matching is not None and not matching.over

    def served(self) -> Matching | None:
        """The matching request of which the calling thread runs a part."""
        return self._matching.get(threading.get_ident())

    def served_by(self, ident: int | None) -> Matching | None:
        """The matching request of which the thread ``ident`` runs a part."""
        return self._matching.get(ident) if ident is not None else None

    @property
    def requests(self) -> list[tuple[threading.Thread, str]]:
        """The threads that serve matching requests now, and those requests' labels."""
        return [(each.thread, each.request) for each in list(self._matching.values()) if not each.over or each.pause]

    @property
    def running(self) -> list[threading.Thread]:
        """The threads that serve a matching request which is not paused."""
        return [each.thread for each in list(self._matching.values()) if each.pause is None and not each.over]

    def forget_in_child(self) -> None:
        super().forget_in_child()
        self._lock = threading.RLock()
        self._is_entering = False
        for held in (self._matching, self._latest, self._begun, self._forgotten):
            held.clear()
