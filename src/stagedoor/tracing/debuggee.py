"""pydevd in this process, for one window: whether it runs, has a client, and what is said to that."""

from __future__ import annotations

from typing import Any

from .state import Matching
from .threads import MonitoredThreads, SettraceThreads


class Debuggee:
    """pydevd in this process, of which :class:`.tracing.Tracing` is the start and the stop."""

    def __init__(self) -> None:
        self._internals: Any = None
        self._threads: MonitoredThreads | SettraceThreads
        self._debugger: Any = None
        self._stopped = False

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

    def say(self, text: str) -> None:
        """Show the developer a line in the IDE's debug console."""
        debugger = self._debugger
        if debugger is not None and not self._stopped:
            debugger.writer.add_command(debugger.cmd_factory.make_console_message(f"{text}\n"))

    def _report_exit(self, matching: Matching) -> None:
        if matching.was_paused and self.attached:
            # The client knows this thread by its request, and would show it as running for good.
            self._internals.report_thread_exited(self._debugger, matching.thread)

    def forget_in_child(self) -> None:
        """In a forked child: it does not run there."""
        self._stopped = True
