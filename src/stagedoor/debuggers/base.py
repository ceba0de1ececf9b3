"""The contract of a debugger back end, and what all of them share: the thread that begins and ends the debugging."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from abc import ABC, abstractmethod
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

from stagedoor.audit import Audit
from stagedoor.errors import DebuggerError, StagedoorError
from stagedoor.servers import Server, surrounding_server
from stagedoor.tracing import Pause, Tracing
from stagedoor.watch import WindowWatch
from stagedoor.window import Window

#: Seconds between two looks of the window's thread: at the window's end, at clients, at pauses.
TICK = 0.2

#: Seconds after which a debugger that could not be started is tried again. By then an application that was restarted
#: has another gatekeeper, or a port is free.
RETRY_AFTER = 30.0

#: The longest that a matching request waits for the debugger to start, in seconds; it then goes on undebugged.
START_PATIENCE = 3.0


class Debugger(ABC):
    """Debugs the matching requests of this process while a window is open.

    While armed it owns one thread, ``stagedoor-window``, which starts the debugger, watches the window without needing
    a request, and stops everything at its end. Request threads only wait for it, bounded, and enter and leave.

    :param watch: what this process knows of the window.
    :param audit: where it is recorded.
    :param max_pause: a request that is paused longer is continued.
    """

    #: As ``debugger=`` and ``STAGEDOOR_DEBUGGER`` name it.
    name: str

    def __init__(self, watch: WindowWatch, audit: Audit, max_pause: timedelta) -> None:
        self.watch = watch
        self.audit = audit
        self.max_pause = max_pause
        self._lock = threading.Lock()
        self._run: Run | None = None
        _all.add(self)

    @abstractmethod
    def refusal(self, *, multiprocess: bool, multithread: bool) -> str | None:
        """Why this back end can't debug this process, a sentence, or ``None``.

        :param multiprocess: ``environ["wsgi.multiprocess"]``.
        :param multithread: ``environ["wsgi.multithread"]``.
        """

    @abstractmethod
    def begin(self, run: Run) -> None:
        """Start the debugger for ``run.window``. Runs on the window's thread.

        :raises StagedoorError: why it can't be started. Everything begun so far has been undone.
        """

    @abstractmethod
    def end(self, run: Run, tracing: Tracing | None) -> None:
        """Stop everything that :meth:`begin` has started. Runs on the window's thread; must not raise."""

    def tick(self, run: Run) -> bool:
        """Look after things, about every :data:`TICK`; returns whether to go on. Runs on the window's thread."""
        return True

    @abstractmethod
    def armed(self, run: Run, request: str, server: Server) -> Armed:
        """The debugger for one matching request of a run that has begun. Runs on the request's thread.

        :param server: the server around it, which does not have to end.
        """

    def is_worth_waiting(self) -> bool:
        """Whether a client may be attached already, so that a request waits for the debugger to start."""
        return True

    def new_run(self, window: Window) -> Run:
        return Run(self, window)

    def arm(self, window: Window, request: str, *, multithread: bool) -> Armed:
        """The debugger for a matching request, started if need be.

        :param request: the request's label.
        :param multithread: ``environ["wsgi.multithread"]``.
        """
        run = self._run
        if run is None or not run.serves(window):
            with self._lock:
                run = self._run
                if run is None or not run.serves(window):
                    before, run = run, self.new_run(window)
                    run.start(after=before)
                    self._run = run
        if not run.ready.is_set() and not self.is_worth_waiting():
            return Armed(None, None)
        if not run.ready.wait(run.patience):
            return Armed(None, "the debugger has not started yet")
        if run.failure is not None:
            return Armed(None, run.failure)
        if not run.begun:
            return Armed(None, "the window has just ended")
        if run.server is None:
            run.server = surrounding_server(multithread=multithread)
        if run.server.must_end:
            return Armed(None, "this worker has to end")
        return self.armed(run, request, run.server)

    def stop(self, timeout: float = 5.0) -> None:
        """End the debugging now, as at the window's end, and wait for it.

        :param timeout: how long to wait, in seconds.
        """
        run = self._run
        if run is not None:
            run.cancel(timeout)

    def forget_in_child(self) -> None:
        """In a forked child: there is no window's thread here, and nothing was started."""
        self._lock = threading.Lock()
        self._run = None
        self.watch.forget_locks()


class Armed(NamedTuple):
    """What a matching request gets.

    :param tracing: the debugger, if there is one; without a client attached it does nothing.
    :param busy: why this request is not debugged though a client is attached, for the response header.
    """

    tracing: Tracing | None
    busy: str | None


class Run:
    """One window's debugging in this process, and the listener of its :class:`~stagedoor.tracing.Tracing`."""

    def __init__(self, debugger: Debugger, window: Window) -> None:
        self.window = window
        self.tracing: Tracing | None = None
        self.failure: str | None = None
        #: The server around this process's requests, once one of them has come.
        self.server: Server | None = None
        #: Whether :meth:`Debugger.begin` went well.
        self.begun = False
        #: Set when :meth:`Debugger.begin` is through, well or not.
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._work, name="stagedoor-window", daemon=True)
        self._debugger = debugger
        self._audit = debugger.audit
        self._before: Run | None = None
        self._patient_until = 0.0
        self._failed_at = 0.0
        self._cancelled = threading.Event()
        self._ending = False

    def serves(self, window: Window) -> bool:
        """Whether this is ``window``'s run. One that has just failed to start is: it is not tried again for every request."""
        is_tried_again = self.failure is not None and time.monotonic() > self._failed_at + RETRY_AFTER
        return self.window.token == window.token and not self._ending and not is_tried_again

    def start(self, *, after: Run | None = None) -> None:
        """Begin, as soon as the run ``after`` of the window before has ended."""
        _stop_at_exit()
        self._before = after
        self._patient_until = time.monotonic() + START_PATIENCE
        self.thread.start()

    @property
    def patience(self) -> float:
        """Seconds that a request may still wait for the debugger to start: only the first ones of a window wait."""
        return max(0.0, self._patient_until - time.monotonic())

    def cancel(self, timeout: float) -> bool:
        """End it, and wait up to ``timeout`` seconds; returns whether everything has been stopped."""
        self.cancel_soon()
        self.thread.join(timeout)
        return not self.thread.is_alive()

    def cancel_soon(self) -> None:
        """End it, without waiting."""
        self._cancelled.set()
        self.wake()

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for up to ``seconds``; returns whether the run is over."""
        return self._cancelled.wait(seconds)

    def wake(self) -> None:
        """Cut a :meth:`wait` short that does not wait for the cancellation itself."""

    def _work(self) -> None:
        debugger = self._debugger
        self._wait_for_the_one_before()
        try:
            if self._is_due():
                debugger.begin(self)
                self.begun = True
        except Exception as error:
            self.failed(error)
        self.ready.set()
        try:
            while not self.wait(min(TICK, max(0.0, debugger.watch.remaining()))):
                if not self._is_due() or (self.begun and not debugger.tick(self)):
                    break
                if self.tracing is not None:
                    self._continue_long_pauses(self.tracing)
        except Exception as error:
            self.failed(error)
        finally:
            self._ending = True
            started, self.tracing = self.tracing, None
            if self.begun:
                debugger.end(self, started)
            # Else the window's end would be recorded with the next request, whenever that comes.
            debugger.watch.current(look=True)

    def _wait_for_the_one_before(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            before.cancel_soon()
            before.thread.join()

    def _is_due(self) -> bool:
        window = self._debugger.watch.current(look=True)
        return window is not None and window.token == self.window.token and not self._cancelled.is_set()

    def failed(self, error: Exception) -> None:
        """Remember and record why the debugger could not be started."""
        self._failed_at = time.monotonic()
        self.failure = str(error) if isinstance(error, StagedoorError) else f"{type(error).__name__}: {error}"
        self._audit.record(
            "failed",
            f"{self.failure} Requests go on undebugged; one after {RETRY_AFTER:g} s tries again.",
            level=logging.ERROR,
            debugger=self._debugger.name,
        )

    def _continue_long_pauses(self, tracing: Tracing) -> None:
        limit = self._debugger.max_pause
        for pause in tracing.pauses:
            if time.monotonic() - pause.since > limit.total_seconds():
                tracing.resume(pause)

    # TracingListener

    def attached(self) -> None:
        self._audit.record("attached", "a client has attached", pid=os.getpid())

    def detached(self) -> None:
        self._audit.record("detached", "the client has detached", pid=os.getpid())

    def paused(self, pause: Pause) -> None:
        place = f"{pause.file}:{pause.line}"
        self._audit.record("paused", f"{pause.request} at {place}", request=pause.request, place=place, pid=os.getpid())

    def not_paused(self, request: str, limit: int) -> None:
        self._audit.record("refused", f"{request} was not paused: {limit} requests are paused already", request=request)

    def resumed(self, pause: Pause, seconds: float) -> None:
        self._audit.record(
            "resumed",
            f"{pause.request} after {seconds:.1f} s",
            request=pause.request,
            seconds=round(seconds, 3),
            pid=os.getpid(),
        )


def refuse_patched_threads() -> None:
    """Refuse processes whose threads are greenlets: a pause there stops the whole hub (debugpy issues 749 and 1206).

    :raises DebuggerError: if gevent or eventlet has patched this process.
    """
    patched = None
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and (gevent.is_module_patched("threading") or gevent.is_module_patched("socket")):
        patched = "gevent"
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and (eventlet.is_monkey_patched("thread") or eventlet.is_monkey_patched("socket")):
        patched = "eventlet"
    if patched:
        raise DebuggerError(
            f"{patched} has patched this process: all its requests share one thread, and a pause would stop them all.",
            "Serve the application with threads, for example gunicorn's gthread worker, while you debug it.",
        )


_all: weakref.WeakSet[Debugger] = weakref.WeakSet()
_stops_at_exit = False


def _stop_at_exit() -> None:
    """See to it that what is paused runs on when the server ends: it may wait for its requests."""
    global _stops_at_exit
    if not _stops_at_exit:
        _stops_at_exit = True
        # atexit comes only after all threads were joined; this comes before, as the thread pools' own hook does.
        register = getattr(threading, "_register_atexit", atexit.register)
        with suppress(RuntimeError):  # The server is ending already.
            register(_stop_all)


def _stop_all() -> None:
    for debugger in list(_all):
        debugger.stop(timeout=2.0)


def _after_fork_in_child() -> None:
    for debugger in list(_all):
        debugger.forget_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
