"""The thread of one window in one process, which begins the debugging, watches the window, and ends it."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from contextlib import closing
from datetime import timedelta
from typing import NamedTuple, Self

from stagedoor import forking
from stagedoor.audit import Audit
from stagedoor.tracing import Tracing, installed_release
from stagedoor.window.window import Window

from .limits import Limits
from .patience import USUAL, Patience
from .recording import Recording
from .servers import Server
from .watch import WindowWatch

#: Seconds between two looks of the window's thread: at the window's end, at clients, at pauses.
TICK = 0.2

#: Seconds between two looks at the self-test of a release that is not known.
PROOF_TURN = 0.05


class Terms(NamedTuple):
    """What all windows of an application have in common.

    :param watch: what this process knows of the window.
    :param audit: where it is recorded.
    :param max_pause: a request that is paused longer is continued.
    :param patience: how long is waited for what.
    """

    watch: WindowWatch
    audit: Audit
    max_pause: timedelta
    patience: Patience = USUAL


class Life(Recording, ABC):
    """One window's debugging in this process, from its beginning to its end, and the listener of its
    :class:`~stagedoor.tracing.Tracing`.

    :param terms: what it has in common with the application's other windows.
    :param window: the window.
    :param server: the server around this process's requests.
    """

    def __init__(self, terms: Terms, window: Window, server: Server) -> None:
        super().__init__(terms.audit)
        self.window = window
        self.server = server
        self.limits = Limits(server, terms.max_pause)
        self._patience = terms.patience
        self.tracing: Tracing | None = None
        #: Why requests go on undebugged until :meth:`begin` is through, a sentence; ``None``: they wait for it.
        self.hindrance: str | None = None
        #: How many requests may be paused at the same time.
        self.pause_limit = 0
        #: Whether :meth:`begin` went well.
        self.begun = False
        #: Set when :meth:`begin` is through, well or not.
        self.ready = threading.Event()
        #: Whether it is over, or its end has begun.
        self.is_ending = False
        self.thread = threading.Thread(target=self._work, name="stagedoor-window", daemon=True)
        self._watch = terms.watch
        self._before: Self | None = None
        self._cancelled = threading.Event()
        forking.register(self)

    # What differs between the back ends, all of it on the window's thread

    @abstractmethod
    def begin(self) -> None:
        """Start the debugger.

        :raises StagedoorError: why it can't be started. Everything begun so far has been undone.
        """

    @abstractmethod
    def tick(self) -> bool:
        """Look after things, about every :data:`TICK` seconds; returns whether to go on."""

    @abstractmethod
    def end(self, tracing: Tracing | None) -> None:
        """Stop everything that :meth:`begin` has started; must not raise."""

    def leave(self) -> None:
        """Look after what is left when it is over, also if it never began; must not raise."""

    @abstractmethod
    def failed(self, error: Exception) -> None:
        """Remember and record why the debugger could not be started."""

    # On any thread

    def start(self, *, after: Self | None = None) -> None:
        """Begin, as soon as the run ``after`` of the window before has ended."""
        self._before = after
        self.thread.start()

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

    def wake(self) -> None:
        """Cut a :meth:`wait` short that does not wait for the cancellation itself."""

    def say(self, sentence: str, session: str | None = None, *, important: bool = False) -> None:
        if self.tracing is not None:
            self.tracing.say(f"Stagedoor: {sentence}")

    def forget_in_child(self) -> None:
        """In a forked child, where the request that forked may still end: its run is over, and nobody waits for it."""
        self.ready, self._cancelled = threading.Event(), threading.Event()
        self.ready.set()
        self._cancelled.set()
        self.is_ending = True

    # On the window's thread

    @property
    def holds_up_the_end(self) -> bool:
        """Whether a request is paused while the worker has to end, which waits for its requests."""
        return self.tracing is not None and bool(self.tracing.pauses) and self.limits.must_end

    def wait(self, seconds: float) -> bool:
        """Wait for up to ``seconds``; returns whether the run is over."""
        return self._cancelled.wait(seconds)

    def take(self, tracing: Tracing) -> None:
        """The debugger has started."""
        tracing.pause_limit = self.pause_limit
        self.tracing = tracing

    def _work(self) -> None:
        self._wait_for_the_one_before()
        try:
            if self._is_due() and self._is_proved():
                self.begin()
                self.begun = True
                self.hindrance = None
        except Exception as error:
            self.failed(error)
        self.ready.set()
        try:
            while not self.wait(min(TICK, max(0.0, self._watch.remaining()))):
                if not self._is_due() or (self.begun and not self.tick()) or self.limits.is_orphan:
                    break
                if self.tracing is not None:
                    self.tracing.tidy()
                    self._continue_long_pauses(self.tracing)
        except Exception as error:
            self.failed(error)
        finally:
            self.is_ending = True
            started, self.tracing = self.tracing, None
            if self.begun:
                self.end(started)
            # Else the window's end would be recorded with the next request, whenever that comes.
            self._watch.current(look=True)
            self.leave()

    def _wait_for_the_one_before(self) -> None:
        before, self._before = self._before, None
        if before is not None:
            before.cancel_soon()
            before.thread.join()

    def _is_due(self) -> bool:
        window = self._watch.current(look=True)
        return window is not None and window.token == self.window.token and not self._cancelled.is_set()

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

    def _continue_long_pauses(self, tracing: Tracing) -> None:
        for pause in tracing.pauses:
            if time.monotonic() > self.limits.end_of(pause):
                if self.limits.is_servers(pause):
                    tracing.resume(pause, for_good=True)
                    sentence = f"{pause.request} was continued before {self.server.name} kills its worker."
                    self.say(sentence, pause.session, important=True)
                else:
                    tracing.resume(pause)
