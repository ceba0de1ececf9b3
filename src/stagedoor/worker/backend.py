"""The contract of a debugger back end, and what all of them share."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from abc import ABC, abstractmethod
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

from stagedoor import forking
from stagedoor.audit import Audit
from stagedoor.tracing import Tracing
from stagedoor.window.window import Window

from .preflight import Preflight
from .run import Run
from .watch import WindowWatch


class Debugger(ABC):
    """Debugs the matching requests of this process while a window is open.

    While armed it owns one thread, ``stagedoor-window``, which starts the debugger, watches the window without needing
    a request, and stops everything at its end. Request threads only wait for it, bounded, and enter and leave.

    :param watch: what this process knows of the window.
    :param audit: where it is recorded.
    :param max_pause: a request that is paused longer is continued.
    :param threads: how many threads the server has, as the operator says; of one that can be asked its own word counts.
    """

    #: As ``debugger=`` and ``STAGEDOOR_DEBUGGER`` name it.
    name: str
    #: Whether it can debug one process of the server only, and has no console before it has started.
    is_alone = False

    def __init__(self, watch: WindowWatch, audit: Audit, max_pause: timedelta, threads: int | None = None) -> None:
        self.watch = watch
        self.audit = audit
        self.max_pause = max_pause
        self.preflight = Preflight(threads, is_alone=self.is_alone)
        self._lock = threading.Lock()
        self._run: Run | None = None
        _all.add(self)
        forking.register(self)

    def refusal(self, *, multiprocess: bool, multithread: bool) -> str | None:
        """Why this process can't be debugged, sentences, or ``None``. Nothing of a debugger is imported before this.

        :param multiprocess: ``environ["wsgi.multiprocess"]``.
        :param multithread: ``environ["wsgi.multithread"]``.
        """
        return self.preflight.refusal(multiprocess=multiprocess, multithread=multithread)

    @abstractmethod
    def begin(self, run: Run) -> None:
        """Start the debugger for ``run.window``. Runs on the window's thread.

        :raises StagedoorError: why it can't be started. Everything begun so far has been undone.
        """

    @abstractmethod
    def end(self, run: Run, tracing: Tracing | None) -> None:
        """Stop everything that :meth:`begin` has started. Runs on the window's thread; must not raise."""

    def leave(self, run: Run) -> None:  # noqa: B027
        """Look after what is left when a run is over, also one that never began. Runs on the window's thread, as the last
        of it; must not raise.
        """

    def tick(self, run: Run) -> bool:
        """Look after things, about every :data:`~stagedoor.worker.run.TICK` seconds; returns whether to go on. Runs on
        the window's thread.
        """
        return True

    @abstractmethod
    def armed(self, run: Run, request: str) -> Armed:
        """The debugger for one matching request of a run that has begun. Runs on the request's thread."""

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
                    _stop_at_exit()
                    self.preflight.look_afresh()
                    before, run = run, self.new_run(window)
                    run.server = self.preflight.server()
                    if run.server.warning is not None:
                        self.audit.record("trouble", run.server.warning, level=logging.WARNING)
                    run.start(after=before)
                    self._run = run
        limit, reason = self.preflight.pauses(multithread=multithread)
        run.serve(limit)
        if reason is not None:
            self.audit.failed("server", f"{reason} The request goes on undebugged.")
            run.explain(reason)
            return Armed(None, reason)
        if not run.ready.is_set() and not self.is_worth_waiting():
            return Armed(None, None)
        if not run.ready.wait(run.patience):
            return Armed(None, "the debugger has not started yet")
        if run.failure is not None:
            return Armed(None, run.failure)
        if run.hindrance is not None:
            return Armed(None, run.hindrance)
        if not run.begun:
            return Armed(None, "the window has just ended")
        if run.must_end:
            return Armed(None, "this worker has to end")
        return self.armed(run, request)

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
        self.preflight.forget_in_child()


class Armed(NamedTuple):
    """What a matching request gets.

    :param tracing: the debugger, if there is one; without a client attached it does nothing.
    :param busy: why this request is not debugged though a client is attached, for the response header.
    """

    tracing: Tracing | None
    busy: str | None


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
