"""A stand-in for ``sys.monitoring`` inside pydevd: its events take effect only while a matching request runs.

Events of PEP 669 are global to the process and local to code objects, never to a thread, so a request that is not
debugged pays for every event that pydevd has switched on. This object is put where pydevd looks for
``sys.monitoring``. It remembers what pydevd asks for and hands it on only while at least one matching request is
running, that is: neither between matching requests nor while all of them are paused.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from types import CodeType
from typing import Any

from stagedoor import forking

from .overflow import without_debugger


class SwitchedMonitoring:
    """What pydevd's ``monitor`` refers to while a window is armed.

    :param tool_id: pydevd's tool id, ``sys.monitoring.DEBUGGER_ID``.
    """

    def __init__(self, tool_id: int) -> None:
        interpreter: Any = sys  # sys.monitoring begins with Python 3.12, below which this is never constructed.
        self._real = interpreter.monitoring
        self._tool_id = tool_id
        # Reentrant: a garbage collection inside a locked region can run traced Python code.
        self._lock = threading.RLock()
        self._global_events = 0
        # By identity: code objects are equal if their functions are, also those of two files.
        self._local_events: dict[int, tuple[CodeType, int]] = {}
        self._running = 0
        self._ended = False
        # pydevd reads these in its callbacks; as attributes they cost what they cost on the real module.
        self.DISABLE = self._real.DISABLE
        self.DEBUGGER_ID = tool_id
        self.events = self._real.events
        # Before the tracing that owns it, which then takes back the rest.
        forking.register(self, forking.Turn.TRACING)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    # What pydevd calls

    def set_events(self, tool_id: int, events: int) -> None:
        with self._lock:
            if self._ended:
                return
            self._global_events = events | self._real.events.EXCEPTION_HANDLED
            if self._running:
                self._real.set_events(tool_id, self._global_events)

    def get_events(self, tool_id: int) -> int:
        return self._global_events & ~int(self._real.events.EXCEPTION_HANDLED)

    def set_local_events(self, tool_id: int, code: CodeType, events: int) -> None:
        with self._lock:
            if self._ended:
                return
            self._local_events[id(code)] = code, events
            if self._running:
                self._real.set_local_events(tool_id, code, events)

    def get_local_events(self, tool_id: int, code: CodeType) -> int:
        return self._local_events.get(id(code), (code, 0))[1]

    # What the tracing calls

    def started(self) -> None:
        """pydevd has taken its place."""
        self._real.register_callback(self._tool_id, self._real.events.EXCEPTION_HANDLED, _exception_handled)

    def resume(self) -> None:
        """A matching request begins to run, or runs on."""
        with self._lock:
            self._running += 1
            if self._running == 1 and not self._ended:
                self._apply(on=True)

    def pause(self) -> None:
        """A matching request pauses, or is over."""
        with self._lock:
            self._running -= 1
            if self._running == 0 and not self._ended:
                self._apply(on=False)

    def forget_events(self) -> None:
        """Between matching requests: forget the events of code objects, which pydevd never takes back where they were
        stepped through. Every function that is called again asks for its own (PY_START), so nothing needs remembering.
        """
        with self._lock:
            if not self._running:
                self._local_events.clear()

    def end(self) -> None:
        """Take every event back, for good: the window is over."""
        with self._lock:
            if self._running and not self._ended:
                self._apply(on=False)
            self._ended = True
            self._local_events.clear()
            self._real.register_callback(self._tool_id, self._real.events.EXCEPTION_HANDLED, None)

    def forget_in_child(self) -> None:
        """In a forked child: every event is taken back, and the lock may be held by a thread that the child does not have."""
        self._lock = threading.RLock()
        self.end()

    def _apply(self, *, on: bool) -> None:
        if self._real.get_tool(self._tool_id) is None:
            return
        self._real.set_events(self._tool_id, self._global_events if on else 0)
        # Global events alone are not enough: a local LINE event goes on costing every thread that runs the code.
        for code, events in list(self._local_events.values()):
            self._real.set_local_events(self._tool_id, code, events if on else 0)


def _exception_handled(code: CodeType, offset: int, error: BaseException) -> None:
    """Before a handler of the application's sees it. pydevd's callbacks come up to the recursion limit before the
    application does, and their error takes the place of its own, with their lines in the traceback.
    """
    if isinstance(error, RecursionError):
        with suppress(RecursionError):  # Here is no room either; the next handler sees it too.
            without_debugger(error)
