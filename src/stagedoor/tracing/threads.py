"""Tracing one thread and no other, in the two worlds: ``sys.settrace`` and ``sys.monitoring``."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import cache
from types import FrameType
from typing import Any

from stagedoor.errors import DebuggerError

from .internals import Internals
from .monitoring import SwitchedMonitoring
from .state import Matching

#: The name under which pydevd takes the debugger's place, and the events for which it registers callbacks (1.8.22).
_PYDEVDS_NAME = "pydevd"
_PYDEVDS_EVENTS = ("PY_START", "PY_RESUME", "PY_RETURN", "PY_UNWIND", "LINE", "JUMP", "RAISE")


class SettraceThreads:
    """Threads under ``sys.settrace`` (below Python 3.12): a trace function belongs to its thread by itself."""

    def __init__(self, internals: Internals) -> None:
        self._set_trace = internals.set_trace
        self._set_trace_to_threads = internals.set_trace_to_threads
        self._is_set: dict[Matching, bool] = {}

    def started(self) -> None:
        pass

    def configured(self) -> None:
        pass

    def trace(self, debugger: Any, matching: Matching) -> None:
        matching.previous_trace = sys.gettrace()
        debugger.enable_tracing()
        self._is_set[matching] = sys.gettrace() is not None

    def has_lost(self, matching: Matching) -> bool:
        """Whether the calling thread has lost its trace function in the course of this part of ``matching``."""
        return self._is_set.pop(matching, False) and sys.gettrace() is None

    def untrace(self, matching: Matching) -> None:
        self._set_trace(None)
        if matching.previous_trace is not None:
            sys.settrace(matching.previous_trace)
            return
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            # A step out of the application leaves a trace function in the server's frames, which would keep the
            # debugger alive for as long as the pooled thread.
            frame.f_trace = None
            frame = frame.f_back

    def _untrace_from_outside(self, matching: Matching) -> None:
        previous = matching.previous_trace

        def untrace_this_thread(frame: FrameType, event: str, argument: Any) -> None:
            sys.settrace(previous)

        # Only the thread itself can take its trace function back; it does so when it next calls a function.
        self._set_trace_to_threads(untrace_this_thread, [matching.thread.ident], create_dummy_thread=False)

    def deny(self) -> None:
        self._set_trace(None)

    def run(self, matching: Matching) -> None:
        pass

    def rest(self, matching: Matching) -> None:
        pass

    def nobody_left(self) -> None:
        pass

    def ended(self, matching: list[Matching]) -> None:
        # A paused thread does it itself when it runs on.
        for each in matching:
            if each.pause is None:
                self._untrace_from_outside(each)

    def forget_in_child(self) -> None:
        self._set_trace(None)

    def steps_back(self) -> list[Callable[[], object]]:
        return []


class MonitoredThreads:
    """Threads under ``sys.monitoring`` (from Python 3.12): events concern every thread, a flag tells them apart.

    pydevd keeps that flag in a ``threading.local`` and creates it as *traced* on a thread's first event. The one put
    in its place creates it as not traced.
    """

    def __init__(self, internals: Internals) -> None:
        self._module = module = internals.monitoring_module
        interpreter: Any = sys
        # Not what stands in the module, which could be what an interrupted stop has left there.
        self._real_monitoring = interpreter.monitoring
        self._tool_id = tool_id = self._real_monitoring.DEBUGGER_ID
        holder = self._real_monitoring.get_tool(tool_id)
        if holder is not None:
            raise DebuggerError(
                f"{holder!r} holds the debugger's place in sys.monitoring (DEBUGGER_ID) in this process.",
                "Start the application without it.",
            )
        self._monitoring = SwitchedMonitoring(tool_id)
        #: For whom events take effect.
        self._running: set[Matching] = set()
        self._set_additional_thread_info = internals.set_additional_thread_info
        module.monitor = self._monitoring
        module._thread_local_info = self._local = _denied_by_default(module.ThreadInfo)()

    def started(self) -> None:
        # With trace_only_current_thread=True pydevd does not register its tool by itself.
        self._module.start_monitoring(all_threads=True)
        self._monitoring.started()

    def configured(self) -> None:
        """pydevd has been told everything. What came before its start was through changed nothing of the events that it asks
        for (``on_breakpoints_changed`` while it is not ``ready_to_run``, 1.8.22), and a gatekeeper tells it everything at once.
        """
        self._module.update_monitor_events()

    def trace(self, debugger: Any, matching: Matching) -> None:
        thread = matching.thread
        self._local.thread_info = self._module.ThreadInfo(
            thread, threading.get_ident(), True, self._set_additional_thread_info(thread)
        )
        self.run(matching)

    def has_lost(self, matching: Matching) -> bool:
        return False

    def untrace(self, matching: Matching) -> None:
        self.rest(matching)
        self._local.deny()

    def deny(self) -> None:
        self._local.deny()

    def run(self, matching: Matching) -> None:
        """Let events take effect, for ``matching``; a second call does nothing."""
        if matching not in self._running:
            self._running.add(matching)
            self._monitoring.resume()

    def rest(self, matching: Matching) -> None:
        """Not for ``matching`` any more; a second call does nothing."""
        try:
            self._running.remove(matching)
        except KeyError:
            return
        self._monitoring.pause()

    def nobody_left(self) -> None:
        self._monitoring.forget_events()

    def ended(self, matching: list[Matching]) -> None:
        self._monitoring.end()

    def forget_in_child(self) -> None:
        self._module.stop_monitoring(all_threads=True)

    def steps_back(self) -> list[Callable[[], object]]:
        """What is taken back after pydevd has been stopped. Without the first, events of which an interrupted stop has
        not thought cost every request; without the second, nobody gets the place any more, this process's next window
        least of all; without the third, pydevd goes on asking an ended stand-in for events, and never gets one; without
        the fourth, its flag keeps whoever debugs this process next from tracing; without the last, what pydevd knows of
        code objects would be believed by the next window's debugger, and keeps them alive.
        """
        return [
            self._monitoring.end,
            self._give_place_back,
            lambda: setattr(self._module, "monitor", self._real_monitoring),
            lambda: setattr(self._module, "_thread_local_info", threading.local()),
            self._module._code_to_func_code_info_cache.clear,
        ]

    def _give_place_back(self) -> None:
        """pydevd does this itself, but for one callback (``PY_UNWIND``, 1.8.22), if nothing interrupts it."""
        real, tool_id = self._real_monitoring, self._tool_id
        holder = real.get_tool(tool_id)
        if holder not in (None, _PYDEVDS_NAME):
            return  # Somebody else was faster, with callbacks of his own.
        if holder is not None:
            real.set_events(tool_id, 0)
        for event in _PYDEVDS_EVENTS:
            real.register_callback(tool_id, getattr(real.events, event), None)
        if holder is not None:
            real.free_tool_id(tool_id)


class _NoThread:
    """Stands for a thread that is over, which pydevd's callbacks leave alone whatever the flag says."""

    _is_stopped = True


@cache
def _denied_by_default(thread_info: Callable[..., Any]) -> type[Any]:
    class DeniedByDefault(threading.local):
        def __init__(self) -> None:
            self.deny()

        def deny(self) -> None:
            self.thread_info = thread_info(_NoThread(), threading.get_ident(), False, None)

    return DeniedByDefault
