"""pydevd in this process, for one window: whether it runs, has a client, and what is said to that."""

from __future__ import annotations

from typing import Any

from .breakpoints import Breakpoints
from .events import Events
from .state import Matching, Sessions
from .threads import MonitoredThreads, SettraceThreads


class Debuggee:
    """pydevd in this process, of which :class:`.tracing.Tracing` is the start and the stop."""

    def __init__(self) -> None:
        self._internals: Any = None
        self._threads: MonitoredThreads | SettraceThreads
        self._debugger: Any = None
        self._stopped = False
        self._events: Events
        self.breakpoints: Breakpoints
        #: The sessions that the gatekeeper has; ``None`` without one: there is one client, and all is its.
        self.sessions: Sessions | None = None
        self._filters: dict[str, frozenset[str]] = {}

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

    def say(self, text: str, matching: Matching | None = None) -> None:
        """Show a line in the IDE's debug console.

        :param matching: whose developer reads it; ``None``: everybody's.
        """
        debugger = self._debugger
        if debugger is not None and not self._stopped:
            self._events.said(debugger, text, matching)

    def set_filters(self, filters: dict[str, frozenset[str]]) -> None:
        """On which exceptions each session stops."""
        self._filters = filters

    def _report_over(self, matching: Matching) -> None:
        if self.attached:
            if matching.was_paused:
                # The client knows this thread by its request, and would show it as running for good.
                self._events.thread_exited(self._debugger, matching)
            if matching.session is not None:
                self._events.over(self._debugger, matching)

    def forget_in_child(self) -> None:
        """In a forked child: it does not run there."""
        self._stopped = True
