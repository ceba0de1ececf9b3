"""One window's debugging in one process: the thread that begins it, watches the window and ends it."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import closing
from datetime import timedelta
from typing import Protocol

from stagedoor import forking
from stagedoor.audit import Audit
from stagedoor.control.burnt import TokenBurnt
from stagedoor.errors import StagedoorError
from stagedoor.tracing import Pause, Tracing, installed_release
from stagedoor.window.window import Window

from .servers import Server
from .watch import WindowWatch

#: Seconds between two looks of the window's thread: at the window's end, at clients, at pauses.
TICK = 0.2

#: Seconds between two looks at the self-test of a release that is not known.
PROOF_TURN = 0.05

#: Seconds after which a debugger that could not be started is tried again. By then an application that was restarted
#: has another gatekeeper, or a port is free.
RETRY_AFTER = 30.0

#: The longest that a matching request waits for the debugger to start, in seconds; it then goes on undebugged.
START_PATIENCE = 3.0


class Runner(Protocol):
    """The back end, as its runs see it."""

    name: str
    watch: WindowWatch
    audit: Audit
    max_pause: timedelta

    def begin(self, run: Run) -> None:
        """Start the debugger for ``run.window``."""

    def tick(self, run: Run) -> bool:
        """Look after things; returns whether to go on."""

    def end(self, run: Run, tracing: Tracing | None) -> None:
        """Stop everything that :meth:`begin` has started."""

    def leave(self, run: Run) -> None:
        """Look after what is left when a run is over."""


class Run:
    """One window's debugging in this process, and the listener of its :class:`~stagedoor.tracing.Tracing`."""

    def __init__(self, debugger: Runner, window: Window) -> None:
        self.window = window
        self.tracing: Tracing | None = None
        self.failure: str | None = None
        #: Why requests go on undebugged until :meth:`Debugger.begin` is through, a sentence; ``None``: they wait for it.
        self.hindrance: str | None = None
        #: The server around this process's requests.
        self.server = Server()
        #: How many of them may be paused at the same time.
        self.pause_limit = 0
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
        self._is_hopeful = True
        self._cancelled = threading.Event()
        self._ending = False
        forking.register(self)
        self._parent = os.getppid()
        #: When the last matching request of each thread came, on the monotonic clock, where the server looks at that.
        self._came: dict[int, float] = {}

    def serves(self, window: Window) -> bool:
        """Whether this is ``window``'s run. One that has just failed to start is: it is not tried again for every request."""
        is_tried_again = (
            self.failure is not None and self._is_hopeful and time.monotonic() > self._failed_at + RETRY_AFTER
        )
        return self.window.token == window.token and not self._ending and not is_tried_again

    def start(self, *, after: Run | None = None) -> None:
        """Begin, as soon as the run ``after`` of the window before has ended."""
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

    def serve(self, pause_limit: int) -> None:
        """The calling thread serves a matching request.

        :param pause_limit: how many of this process may be paused at the same time, as far as is known now.
        """
        self.pause_limit = pause_limit
        tracing = self.tracing
        if tracing is not None:
            tracing.pause_limit = pause_limit
        if self.server.longest_request is not None:
            self._came[threading.get_ident()] = time.monotonic()

    def take(self, tracing: Tracing) -> None:
        """The debugger has started."""
        tracing.pause_limit = self.pause_limit
        self.tracing = tracing

    def explain(self, reason: str) -> None:
        """Tell a developer who is attached why a request is not debugged."""

    def say(self, sentence: str) -> None:
        """Write a line to the developer's debug console."""
        if self.tracing is not None:
            self.tracing.say(f"Stagedoor: {sentence}")

    @property
    def is_orphan(self) -> bool:
        """Whether the process that this one belonged to is gone: the server's master, or its reloader.

        Some servers end then, and wait for their requests (gunicorn), some do not wait (uWSGI), and some serve on and keep
        the port (what Werkzeug's reloader has started, mod_wsgi's daemon): a paused request must not keep what nobody rules
        any more. Where the parent was only what the server was started from, as waitress's is, a pause ends once, and
        the next matching request begins anew.
        """
        return os.getppid() != self._parent

    @property
    def must_end(self) -> bool:
        """Whether this process has to end, or is left alone."""
        return self.server.must_end or self.is_orphan

    @property
    def holds_up_the_end(self) -> bool:
        """Whether a request is paused while the worker has to end, which waits for its requests."""
        return self.tracing is not None and bool(self.tracing.pauses) and self.must_end

    def end_of(self, pause: Pause) -> float:
        """Until when a request may be paused, on the monotonic clock."""
        until, limit = pause.since + self._debugger.max_pause.total_seconds(), self.server.longest_request
        came = self._came.get(pause.thread)
        return until if limit is None or came is None else min(until, came + limit)

    def forget_in_child(self) -> None:
        """In a forked child, where the request that forked may still end: its run is over, and nobody waits for it."""
        self.ready, self._cancelled = threading.Event(), threading.Event()
        self.ready.set()
        self._cancelled.set()
        self._ending = True

    def _work(self) -> None:
        debugger = self._debugger
        self._wait_for_the_one_before()
        try:
            if self._is_due() and self._is_proved():
                debugger.begin(self)
                self.begun = True
                self.hindrance = None
        except Exception as error:
            self.failed(error)
        self.ready.set()
        try:
            while not self.wait(min(TICK, max(0.0, debugger.watch.remaining()))):
                if not self._is_due() or (self.begun and not debugger.tick(self)) or self.is_orphan:
                    break
                if self.tracing is not None:
                    self.tracing.tidy()
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
            debugger.leave(self)

    def _is_proved(self) -> bool:
        """Whether to go on with the debugpy that is installed: one that is not known is tested first.

        :raises DebuggerError: if it is refused.
        """
        release = installed_release()
        if release.is_to_be_proved:
            from .proof import Proof  # Here, because it is needed hardly ever.

            with closing(Proof(release)) as proof:
                self.hindrance = proof.sentence
                self.ready.set()
                while not proof.go_on():
                    if self.wait(PROOF_TURN) or not self._is_due():
                        return False
            self._audit.record("proved", f"{proof.passed}.", level=logging.WARNING, debugpy=release.version)
        return True

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
        self._is_hopeful = not isinstance(error, TokenBurnt)
        self.failure = str(error) if isinstance(error, StagedoorError) else f"{type(error).__name__}: {error}."
        self._audit.record(
            "failed",
            f"{self.failure} Requests go on undebugged"
            f"{f'; one after {RETRY_AFTER:g} s tries again' if self._is_hopeful else ''}.",
            level=logging.ERROR,
            debugger=self._debugger.name,
        )

    def _continue_long_pauses(self, tracing: Tracing) -> None:
        for pause in tracing.pauses:
            if time.monotonic() > self.end_of(pause):
                if time.monotonic() - pause.since <= self._debugger.max_pause.total_seconds():
                    tracing.resume(pause, for_good=True)
                    self.say(f"{pause.request} was continued before {self.server.name} kills its worker.")
                else:
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
        sentence = (
            f"{request} was not paused: {_requests(limit)} of worker {os.getpid()} {'is' if limit == 1 else 'are'} paused"
            " already, and one thread has to be left for the others. Further requests run on as well, until one is"
            " continued"
        )
        self._audit.record("refused", sentence, reason="busy", request=request, limit=limit, pid=os.getpid())
        self.say(f"{sentence}.")

    def ran_past(self, number: int) -> None:
        sentence = f"{_requests(number)} ran on meanwhile in worker {os.getpid()}. The next is paused again"
        self._audit.record("refused", sentence, reason="busy", number=number, pid=os.getpid())
        self.say(f"{sentence}.")

    def resumed(self, pause: Pause, seconds: float) -> None:
        self._audit.record(
            "resumed",
            f"{pause.request} after {seconds:.1f} s",
            request=pause.request,
            seconds=round(seconds, 3),
            pid=os.getpid(),
        )


def _requests(number: int) -> str:
    return "1 matching request" if number == 1 else f"{number} matching requests"
