"""Debugs the matching requests of this process, window after window; how it is done is a matter of each window's run."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress

from stagedoor import forking
from stagedoor.audit import Audit
from stagedoor.window.window import Window

from .preflight import Preflight
from .run import Armed, Run
from .servers import Server

#: Makes the run of a window, in this server.
NewRun = Callable[[Window, Server], Run]


class Debugger:
    """Debugs the matching requests of this process while a window is open.

    While armed it owns one thread, ``stagedoor-window``, which starts the debugger, watches the window without needing
    a request, and stops everything at its end. Request threads only wait for it, bounded, and enter and leave.

    :param new_run: makes what debugs during a window.
    :param audit: where it is recorded.
    :param preflight: why this process can't be debugged, if it can't.
    """

    def __init__(self, new_run: NewRun, audit: Audit, preflight: Preflight) -> None:
        self.audit = audit
        self._new_run = new_run
        self._preflight = preflight
        # Held while a run begins, so that a window has one.
        self._lock = threading.Lock()
        self._run: Run | None = None
        _all.add(self)
        forking.register(self)

    def refusal(self, *, multiprocess: bool, multithread: bool) -> str | None:
        """Why this process can't be debugged, sentences, or ``None``. Nothing of a debugger is imported before this.

        :param multiprocess: ``environ["wsgi.multiprocess"]``.
        :param multithread: ``environ["wsgi.multithread"]``.
        """
        return self._preflight.refusal(multiprocess=multiprocess, multithread=multithread)

    def arm(self, window: Window, request: str, *, multithread: bool, owner: str = "") -> Armed:
        """The debugger for a matching request, started if need be.

        :param request: the request's label.
        :param multithread: ``environ["wsgi.multithread"]``.
        :param owner: whose request it is: the name on its pass, else the client's address.
        """
        run = self._run
        if run is None or not run.serves(window):
            with self._lock:
                run = self._run
                if run is None or not run.serves(window):
                    run = self._run = self._begin(window, after=run)
        limit, reason = self._preflight.pauses(multithread=multithread)
        run.serve(limit)
        if reason is not None:
            self.audit.failed("server", f"{reason} The request goes on undebugged.")
            run.explain(reason, owner)
            return Armed(None, reason)
        return run.arm(request, owner)

    def _begin(self, window: Window, *, after: Run | None) -> Run:
        _stop_at_exit()
        self._preflight.look_afresh()
        run = self._new_run(window, self._preflight.server())
        if run.server.warning is not None:
            self.audit.record("trouble", run.server.warning, level=logging.WARNING)
        run.start(after=after)
        return run

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
        self._preflight.forget_in_child()


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
