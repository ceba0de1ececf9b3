"""The debugger of this process for one window: its start, its end, and what becomes of it in a forked child."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from stagedoor import forking
from stagedoor.errors import DebuggerError

from .asyncviews import AsyncViews
from .breakpoints import Breakpoints
from .commands import Commands
from .ending import steps_of_end
from .events import Events
from .internals import Internals
from .pauses import Pauses
from .printed import Printed
from .setting import Setting
from .starting import GuardedStart, other_debugger_runs
from .state import TracingListener
from .steps import Steps
from .threads import MonitoredThreads, SettraceThreads

_Result = TypeVar("_Result")


class Tracing(Pauses):
    """The debugger of this process for one window. A process has at most one at a time, as pydevd has.

    :param listener: who is told of clients and pauses.
    """

    def __init__(self, listener: TracingListener) -> None:
        super().__init__(listener)
        self._commands: Commands
        self._printed: Printed
        self._breakpointhook: Any = None
        self._async_views = AsyncViews(self)
        #: What a stop has still to take back.
        self._back = Steps()

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
            self._commands, self._printed = Commands(internals), Printed(internals)
            self._events, self.breakpoints = Events(internals), Breakpoints(internals.breakpoint_of)
            self._threads = MonitoredThreads(internals) if internals.uses_monitoring else SettraceThreads(internals)
            self._breakpointhook = breakpointhook
            forking.register(self, forking.Turn.TRACING)
            self._back = Steps(self._steps_back())
            _current = self
            try:
                self._commands.restrict(self)
                self._printed.restrict()
                self._events.restrict(self)
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

    def _install_breakpointhook(self) -> None:
        # debugpy puts its own hook in place on import, for every thread.
        debugpy, otherwise = self._internals.debugpy, self._breakpointhook

        def breakpointhook(*args: Any, **kwargs: Any) -> Any:
            if self.serves(threading.get_ident()) and self.attached:
                return debugpy.breakpoint()
            return otherwise(*args, **kwargs)

        sys.breakpointhook = breakpointhook

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
        internals = self._internals
        return steps_of_end(
            internals,
            self._threads,
            lambda: list(self._matching.values()),
            lambda: self._debugger or internals.debugger,
            self._steps_of_restoring(),
        )

    def _steps_of_restoring(self) -> list[Callable[[], object]]:
        return [
            self._async_views.restore,
            *self._threads.steps_back(),
            self._commands.restore,
            self._printed.restore,
            self._events.restore,
            lambda: setattr(sys, "breakpointhook", self._breakpointhook),
        ]

    def forget_in_child(self) -> None:
        """In a forked child: nothing is traced, and no socket of the debugger's stays open here."""
        super().forget_in_child()
        if self is not _current:
            return  # It has ended, and what it would take back may be somebody else's by now.
        self._back = Steps(
            [self._threads.forget_in_child, self._internals.forget_in_child, *self._steps_of_restoring()]
        )
        self._take_back()

    # Called by the guarded debugger

    def monitor(self) -> None:
        self._threads.started()

    def serve_client(self, reader: Any, writer: Any) -> None:
        self._events.attribute(writer, self)
        Setting(reader.process_net_command_json.__self__, self.breakpoints)
        self._commands.answer_every_request(reader, self)

    def client_configured(self) -> None:
        self._threads.configured()
        self._listener.attached()

    def client_gone(self) -> None:
        self._listener.detached()


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
