"""The debugger of this process for one window: which requests are debugged, and its end."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

from stagedoor import forking
from stagedoor.errors import DebuggerError

from .asyncviews import AsyncViews
from .commands import Commands
from .ending import steps_of_stop
from .internals import Internals
from .starting import GuardedStart, other_debugger_runs
from .state import Matching, Pause, TracingListener
from .steps import Steps
from .threads import MonitoredThreads, SettraceThreads

_Result = TypeVar("_Result")

_LOST = (
    "no later breakpoint was looked at where it came to the recursion limit, or called sys.settrace(). Python takes the"
    " debugger away there; from 3.12 on the limit does not."
)


class Tracing:
    """The debugger of this process for one window. A process has at most one at a time, as pydevd has.

    :param listener: who is told of clients and pauses.
    """

    def __init__(self, listener: TracingListener) -> None:
        self._listener = listener
        # Held while a thread enters, so that no thread is traced that the stop has not seen. Both can be taken again by
        # their own thread: a garbage collection may run any code of the application's, which closes other bodies say.
        self._lock = threading.RLock()
        self._is_entering = False
        # Held while a thread takes one of the pauses that may be at the same time.
        self._pausing = threading.RLock()
        #: How many requests have run on since as many are paused as may be.
        self._ran_past = 0
        #: What the threads run now.
        self._matching: dict[int, Matching] = {}
        #: What each thread was the last to run, if that is not over: a step of it may be left on the thread.
        self._latest: dict[int, Matching] = {}
        self._begun: set[Matching] = set()
        self._forgotten: deque[Matching] = deque()
        self._debugger: Any = None
        self._stopped = False
        self._internals: Any = None
        self._commands: Commands
        self._breakpointhook: Any = None
        self._async_views = AsyncViews(self)
        #: What a stop has still to take back.
        self._back = Steps()
        #: How many requests may be paused at the same time; ``None``: as many as come.
        self.pause_limit: int | None = None
        self._threads: MonitoredThreads | SettraceThreads

    @staticmethod
    def load() -> None:
        """Import the debugger, so that :meth:`start` is quick. Takes 0.1 s, and seconds from a cold disk.

        :raises DebuggerError: why it can't be loaded or is not trusted.
        """
        Internals()

    @staticmethod
    def prepare() -> None:
        """The same; never raises."""
        with suppress(Exception):
            Tracing.load()

    def start_over(self, connection: socket.socket) -> None:
        """Start pydevd as the peer of a connected socket, over which it speaks DAP; no port is opened.

        :raises DebuggerError: as :meth:`start` does.
        """
        self.start(lambda: self._internals.speak_over(connection))

    def start(self, connect: Callable[[], _Result]) -> _Result:
        """Start pydevd by calling ``connect`` (such as :func:`debugpy.listen`), with no thread traced.

        :param connect: must end in ``pydevd.settrace``; runs on the calling thread.
        :returns: what ``connect`` returned.
        :raises DebuggerError: if something else debugs this process already, or this release of debugpy is not
            known to be safe. Errors of ``connect`` come through as they are.
        """
        global _current
        with _start.lock:
            if _current is not None and _current._stopped:
                # Its stop was interrupted.
                with suppress(Exception):
                    _current._take_back()
            if _current is not None:
                raise DebuggerError(
                    "This process already has a debugger of Stagedoor's.", "Wrap the outermost application only."
                )
            breakpointhook = sys.breakpointhook
            internals = self._internals = Internals()
            refuse_other_debugger()
            self._commands = Commands(internals)
            self._threads = MonitoredThreads(internals) if internals.uses_monitoring else SettraceThreads(internals)
            self._breakpointhook = breakpointhook
            forking.register(self, forking.Turn.TRACING)
            self._back = Steps(self._steps_back())
            _current = self
            try:
                self._commands.restrict(self)
                with GuardedStart(internals, self):
                    result = connect()
                self._debugger = internals.pydevd.get_global_debugger()
            except BaseException:
                self._stopped = True
                with suppress(Exception):
                    self._take_back()
                raise
            self._install_breakpointhook()
            self._async_views.install()
            return result

    @property
    def attached(self) -> bool:
        """Whether a client is attached and has configured its session."""
        debugger = self._debugger
        return debugger is not None and not self._stopped and bool(debugger.has_client())

    @property
    def alive(self) -> bool:
        """Whether the debugger still runs. It gives up when its connection ends, because the adapter was killed say."""
        debugger = self._debugger
        return debugger is not None and not self._stopped and not debugger.pydb_disposed

    @property
    def access_token(self) -> str | None:
        """The token that debugpy gave its adapter, on whose command line it stands."""
        setup = self._internals.pydevd.SetupHolder.setup if self._internals else None
        return setup.get("access-token") if setup else None

    def begin(
        self, request: str, *, stop_at_entry: bool = False, is_job: bool = False, of: Matching | None = None
    ) -> Matching | None:
        """A matching request begins, if a client is attached: :meth:`end` must follow, or :meth:`forget`. No thread is
        traced yet.

        :param request: the request's label, such as ``"GET /checkout"``.
        :param stop_at_entry: stop at the first line that the client counts as the user's code.
        :param is_job: it is a job of the application's, and its thread none of the server's: however many of those are
            paused, the server has its threads.
        :param of: the request to which a job belongs, and with which it ends.
        """
        self.tidy()
        if not self.attached or not self.alive or (of is not None and of.over):
            return None
        matching = Matching(request, threading.current_thread(), is_job, stop_at_entry)
        self._begun.add(matching)
        if of is not None:
            of.jobs.append(matching)
        return matching

    def begin_part(self, of: Matching) -> Matching | None:
        """A part of ``of``'s request begins on another thread, while its own waits or goes on: as :meth:`begin`. Both are
        one request: one of the pauses that may be, and each error stops it once.
        """
        whole = of.request_itself
        part = self.begin(whole.request, is_job=whole.is_job, of=whole)
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
            del self._matching[ident]
            here.is_running = False
            request = here.request_itself
            if self._threads.has_lost(here) and not (here.over or request.over or request.runs_on or request.was_lost):
                request.was_lost = True
                self.say(f"Stagedoor: {here.request}: {_LOST}")
            self._threads.untrace(here)
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
            self._report_exit(matching)

    def _report_exit(self, matching: Matching) -> None:
        if matching.was_paused and self.attached:
            # The client knows this thread by its request, and would show it as running for good.
            self._internals.report_thread_exited(self._debugger, matching.thread)

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

    @property
    def is_full(self) -> bool:
        """Whether as many requests are paused as may be."""
        if self.pause_limit is None:
            return False
        matching = list(self._matching.values())
        paused = {each.request_itself for each in matching if each.pause is not None and not each.is_job}
        return len(paused) >= self.pause_limit

    def run_past(self, request: str) -> None:
        """A matching request runs on, because as many are paused as may be. The listener hears of the first, and when one
        of the paused requests has run on, of how many there were.
        """
        with self._pausing:
            self._ran_past += 1
            is_first = self._ran_past == 1
        if is_first:
            self._listener.not_paused(request, self.pause_limit or 0)

    def _pause_is_over(self, matching: Matching) -> None:
        with self._pausing:
            matching.pause = None
            number, self._ran_past = self._ran_past, 0
        if number:
            self._listener.ran_past(number)

    @property
    def requests(self) -> list[tuple[threading.Thread, str]]:
        """The threads that serve matching requests now, and those requests' labels."""
        return [(each.thread, each.request) for each in list(self._matching.values()) if not each.over or each.pause]

    @property
    def running(self) -> list[threading.Thread]:
        """The threads that serve a matching request which is not paused."""
        return [each.thread for each in list(self._matching.values()) if each.pause is None and not each.over]

    @property
    def pauses(self) -> list[Pause]:
        """The requests that are paused now."""
        return [matching.pause for matching in list(self._matching.values()) if matching.pause is not None]

    def resume(self, pause: Pause, *, for_good: bool = False) -> None:
        """Let a paused request run on.

        :param for_good: it is not paused again.
        """
        matching = self._matching.get(pause.thread)
        if matching is not None and matching.pause is pause:
            matching.request_itself.runs_on = for_good
            self._internals.run_thread(matching.thread)
            self._internals.wake(self._debugger, matching.thread)

    def stop_on_exception(self, error: BaseException) -> None:
        """See :func:`stop_on_exception`."""
        matching = self.served()
        if (
            matching is not None
            and not matching.over
            and self.attached
            and not any(error is shown for shown in matching.shown)
        ):
            self._internals.debugpy.trigger_exception_handler(error)

    def say(self, text: str) -> None:
        """Show the developer a line in the IDE's debug console."""
        debugger = self._debugger
        if debugger is not None and not self._stopped:
            debugger.writer.add_command(debugger.cmd_factory.make_console_message(f"{text}\n"))

    def stop(self) -> None:
        """Cut off the client, resume what is paused, and take everything back. Blocks for up to 0.6 s, and until a start
        of another thread's has ended. A second call takes back what an interrupted one has left, and does nothing else.

        Never call it on a thread that serves a request: pydevd waits for its own threads.

        :raises BaseException: what the first step raised that raised anything. All others have been taken nevertheless.
        """
        with self._lock:
            self._stopped = True
        with _start.lock:
            self._take_back()

    def _take_back(self) -> None:
        global _current
        try:
            self._back.take()
        finally:
            if self._back.are_done:
                self._debugger = None
                if _current is self:
                    _current = None

    def _steps_back(self) -> list[Callable[[], object]]:
        """The order of a stop. First nothing new is paused and nobody pays any more: what still runs on would stop again
        where it was just resumed. Then pydevd is stopped (:func:`.ending.steps_of_stop`), what it keeps on threads is
        forgotten, which would keep the debugger in memory for as long as the threads, and what was put in the place of
        pydevd's own parts is taken away, which it still goes through while it stops. Last of all the application's
        ``breakpoint()``, behind which there is no debugger any more.
        """
        internals = self._internals

        def paused() -> list[threading.Thread]:
            return [each.thread for each in list(self._matching.values()) if each.pause is not None]

        def debugger() -> Any:
            return self._debugger or internals.debugger

        return [
            lambda: self._threads.ended(list(self._matching.values())),
            *steps_of_stop(internals, debugger, paused),
            self._forget_threads,
            *self._steps_of_restoring(),
        ]

    def _steps_of_restoring(self) -> list[Callable[[], object]]:
        return [
            self._async_views.restore,
            *self._threads.steps_back(),
            self._commands.restore,
            lambda: setattr(sys, "breakpointhook", self._breakpointhook),
        ]

    def _forget_threads(self) -> None:
        in_progress = {each.thread for each in list(self._matching.values())}
        for thread in threading.enumerate():
            if thread not in in_progress:
                self._internals.forget_thread(thread)

    # Called by the guarded debugger

    def wait_suspended(
        self, thread: threading.Thread, frame: Any, wait: Callable[[], None], error: BaseException | None = None
    ) -> None:
        """Pause the calling thread through ``wait``, if it serves a matching request; else let it run on.

        :param error: the exception on which it stops.
        """
        ident = threading.get_ident()
        matching = self._matching.get(ident)
        if matching is None or matching.over or matching.request_itself.runs_on or self._stopped:
            # Nobody else ever waits. It comes here by a breakpoint() in the application's code, for example.
            self._internals.run_thread(thread)
            self._threads.deny()
            return None
        if matching.pause is not None:
            # Still the same pause: pydevd waits again after "jump to cursor".
            return wait()
        pause = Pause(matching.request, ident, time.monotonic(), frame.f_code.co_filename, _line(frame, error))
        with self._pausing:
            if not self.is_full or matching.is_job or any(each.pause for each in self._others(matching)):
                matching.pause = pause
        if matching.pause is None:
            self._internals.run_thread(thread)
            self.run_past(matching.request)
            return None
        if error is not None:
            matching.shown.append(error)
        matching.was_paused = True
        for other in self._others(matching):
            # A step that came from one thread to the other ends with the first stop of either.
            if other.pause is None and self._internals.steps_in(other.thread):
                self._internals.run_thread(other.thread)
        self._threads.rest(matching)
        self._listener.paused(pause)
        try:
            wait()
        except Exception:
            # pydevd's own trouble, which would come up in the application: the request runs on instead.
            self._internals.run_thread(thread)
        finally:
            self._pause_is_over(matching)
            if self._stopped or matching.over:
                self._internals.run_thread(thread)
                self._threads.deny()
                self._report_exit(matching)
            else:
                self._threads.run(matching)
            self._listener.resumed(pause, time.monotonic() - pause.since)

    def _others(self, matching: Matching) -> list[Matching]:
        """The other parts of the same request that threads run now."""
        request = matching.request_itself
        return [
            each for each in list(self._matching.values()) if each is not matching and each.request_itself is request
        ]

    def monitor(self) -> None:
        self._threads.started()

    def answer_every_request(self, reader: Any) -> None:
        self._commands.answer_every_request(reader)

    def client_configured(self) -> None:
        self._listener.attached()

    def client_gone(self) -> None:
        self._listener.detached()

    def _install_breakpointhook(self) -> None:
        # debugpy puts its own hook in place on import, for every thread.
        debugpy, otherwise = self._internals.debugpy, self._breakpointhook

        def breakpointhook(*args: Any, **kwargs: Any) -> Any:
            if self.serves(threading.get_ident()) and self.attached:
                return debugpy.breakpoint()
            return otherwise(*args, **kwargs)

        sys.breakpointhook = breakpointhook

    def forget_in_child(self) -> None:
        """In a forked child: nothing is traced, and no socket of the debugger's stays open here."""
        self._lock = threading.RLock()
        self._is_entering = False
        self._pausing = threading.RLock()
        self._stopped = True
        for held in (self._matching, self._latest, self._begun, self._forgotten):
            held.clear()
        if self is not _current:
            return  # It has ended, and what it would take back may be somebody else's by now.
        self._back = Steps(
            [self._threads.forget_in_child, self._internals.forget_in_child, *self._steps_of_restoring()]
        )
        self._take_back()


_current: Tracing | None = None


class _Start:
    """Held while a debugger starts, of which a process has one at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        forking.register(self)

    def forget_in_child(self) -> None:
        self.lock = threading.Lock()


_start = _Start()


def refuse_other_debugger() -> None:
    """Refuse a process that debugpy runs in already, unless it is Stagedoor's own.

    :raises DebuggerError: if so. Besides all else it patches the start of processes, and would run ours under itself.
    """
    if _current is None and other_debugger_runs():
        raise DebuggerError(
            "Something else has started debugpy in this process.",
            "Remove debugpy.listen() and debugpy.connect() from the application: Stagedoor starts it itself.",
        )


def current_tracing() -> Tracing | None:
    """The debugger that runs in this process, if one does."""
    return _current


def stop_on_exception(error: BaseException) -> None:
    """Stop where ``error`` was raised, if the calling thread serves a matching request and the client stops on uncaught
    exceptions: its own filters decide. For an exception that nobody will see otherwise, because a framework makes a
    response of it. The same exception stops a request once. Never raises, and does nothing everywhere else.
    """
    tracing = _current
    if tracing is not None:
        with suppress(Exception):
            tracing.stop_on_exception(error)


def _line(frame: Any, error: BaseException | None) -> int:
    """The line at which ``frame`` is, or has failed: one that is over stands where its last clean-up did."""
    entry = error.__traceback__ if error is not None else None
    while entry is not None:
        if entry.tb_frame is frame:
            return entry.tb_lineno
        entry = entry.tb_next
    return int(frame.f_lineno)
