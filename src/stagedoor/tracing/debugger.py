"""pydevd's own debugger class, with every way to a pause closed to threads that serve no matching request."""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections import deque
from functools import cache
from typing import Any

from .overflow import within_the_limit
from .state import Owner

#: pydevd's attributes that hold the breakpoints for exceptions, and the filters that they stand for.
EXCEPTION_FILTERS = {
    "break_on_caught_exceptions": "raised",
    "break_on_uncaught_exceptions": "uncaught",
    "break_on_user_uncaught_exceptions": "userUnhandled",
}
#: The methods of pydevd's debugger that are overridden, with their parameters. One that is renamed would never be called.
OVERRIDDEN = {
    "__init__": "self set_as_global",
    "initialize_network": "self sock terminate_on_socket_close",
    "is_attached": "self",
    "enable_tracing": "self thread_trace_func apply_to_all_threads",
    "patch_threads": "self",
    "set_trace_for_frame_and_parents": "self thread_ident frame kwargs",
    "set_suspend": "self thread stop_reason suspend_other_threads is_pause original_step_cmd suspend_requested",
    "do_wait_suspend": "self thread frame event arg exception_type",
    "handle_breakpoint_condition": "self info pybreakpoint new_frame",
    "handle_breakpoint_expression": "self pybreakpoint info new_frame",
    "consolidate_breakpoints": "self canonical_normalized_filename id_to_breakpoint file_to_line_to_breakpoints",
    "get_plugin_lazy_init": "self",
    "notify_thread_created": "self thread_id thread use_lock",
    "enable_output_redirection": "self redirect_stdout redirect_stderr",
    "setup_auto_reload_watcher": "self enable_auto_reload watch_dirs poll_target_time exclude_patterns include_patterns",
    "dispose_and_kill_all_pydevd_threads": "self wait timeout",
    "on_configuration_done": "self",
    "on_disconnect": "self",
}
#: Attributes of its that properties stand in the place of.
OWN_PROPERTIES = (
    "multi_threads_single_notification",
    "stepping_resumes_all_threads",
    "is_output_redirected",
    "reader",
    *EXCEPTION_FILTERS,
)
#: What the class adds. A release that has such a name itself would call ours.
OWN_NAMES = (
    "has_client",
    "_serves",
    "_stagedoor",
    "_stagedoor_filters",
    "_stagedoor_reader",
    "_owners_exception_breakpoint",
)

_generation = 0


class _SleeplessTime:
    """The module ``time``, but nobody sleeps."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        """Not done."""


@cache
def guarded_debugger_class(debugger_class: type[Any]) -> type[Any]:
    """pydevd's debugger, its two ways to a pause (``set_suspend``, ``do_wait_suspend``) closed to everybody else."""

    class GuardedDebugger(debugger_class):  # type: ignore[misc]
        def __init__(self, tracing: Owner) -> None:
            global _generation
            self._stagedoor = weakref.ref(tracing)
            self._stagedoor_filters: dict[str, deque[Any]] = {
                # The last ones too: a thread may just be asking for one that has been replaced.
                each: deque(maxlen=8)
                for each in EXCEPTION_FILTERS.values()
            }
            super().__init__()
            self.get_exception_breakpoint: Any = self._owners_exception_breakpoint(self.get_exception_breakpoint)
            # Else a pause on a main thread would patch matplotlib, where the application has imported it.
            self._installed_gui_support = True
            # pydevd keeps what it knows of code objects by this number; it must never repeat in a process.
            _generation += 1
            self.mtime = _generation * 10_000

        def initialize_network(self, *args: Any, **kwargs: Any) -> None:
            if (tracing := self._stagedoor()) is not None:
                # Before the client's first breakpoint can come: else this could take back the events that it asks for.
                tracing.monitor()
            # pydevd sleeps for 0.1 s, for its threads to have started. Thread.start() has waited for that.
            module: Any = sys.modules[debugger_class.__module__]
            module.time = _SleeplessTime()
            try:
                super().initialize_network(*args, **kwargs)
            finally:
                module.time = time

        @property
        def reader(self) -> Any:
            """pydevd's thread that reads the client's requests."""
            return self._stagedoor_reader

        @reader.setter
        def reader(self, reader: Any) -> None:
            # pydevd makes it, puts it here, and starts it. Later, a gatekeeper's first requests would have been read as if
            # nothing were ours: it sends them as soon as it is connected.
            tracing = self._stagedoor()
            if reader is not None and tracing is not None:
                tracing.serve_client(reader, self.writer)
            self._stagedoor_reader = reader

        def _serves(self, ident: int | None) -> bool:
            tracing = self._stagedoor()
            return tracing is not None and tracing.serves(ident)

        # True would make one stop, and one step, everybody's; a client can ask for both.
        multi_threads_single_notification = property(lambda self: False, lambda self, value: None)
        stepping_resumes_all_threads = property(lambda self: False, lambda self, value: None)
        # A client asks for all output, and does not get it. Believing it has, pydevd would not catch an evaluation's either.
        is_output_redirected = property(lambda self: False, lambda self, value: None)

        def has_client(self) -> bool:
            return bool(super().is_attached())

        def is_attached(self) -> bool:
            """What debugpy.breakpoint() and its like ask first: for everybody else there is no debugger."""
            return self._serves(threading.get_ident()) and self.has_client()

        def enable_tracing(self, thread_trace_func: Any = None, apply_to_all_threads: bool = False) -> None:
            if self._serves(threading.get_ident()):
                super().enable_tracing(thread_trace_func)
                # From there on a tool's events are asked for, and the trace function is the application's own.
                if sys.version_info < (3, 12) and (trace := sys.gettrace()) is not None:
                    sys.settrace(within_the_limit(trace))

        def patch_threads(self) -> None:
            """Not done: it would trace every thread that is started."""

        def set_trace_for_frame_and_parents(self, thread_ident: int | None, frame: Any, **keywords: Any) -> None:
            if self._serves(thread_ident):
                super().set_trace_for_frame_and_parents(thread_ident, frame, **keywords)

        def set_suspend(
            self, thread: Any, stop_reason: int, suspend_other_threads: bool = False, *args: Any, **kwargs: Any
        ) -> None:
            tracing = self._stagedoor()
            if tracing is None:
                return
            if kwargs.get("is_pause"):
                tracing.pause_all()  # A client's "pause" concerns all threads, and comes with any one of them.
            elif self._serves(thread.ident):
                super().set_suspend(thread, stop_reason, False, *args, **kwargs)

        def do_wait_suspend(self, thread: Any, frame: Any, event: Any, arg: Any, exception_type: Any = None) -> None:
            tracing = self._stagedoor()
            if tracing is not None:
                wait = super().do_wait_suspend
                error = arg[1] if event == "exception" and arg else None
                tracing.wait_suspended(thread, frame, lambda: wait(thread, frame, event, arg, exception_type), error)

        def handle_breakpoint_condition(self, info: Any, pybreakpoint: Any, new_frame: Any) -> Any:
            # What a client supplies runs for its own requests only, on whichever thread pydevd has come to ask.
            tracing = self._stagedoor()
            if tracing is None or not tracing.serves(threading.get_ident()):
                return False
            judge, evaluate = super().handle_breakpoint_condition, super().handle_breakpoint_expression

            def text_of(breakpoint_: Any) -> str | None:
                before, info.pydev_message = info.pydev_message, None
                try:
                    evaluate(breakpoint_, info, new_frame)
                    return info.pydev_message  # type: ignore[no-any-return]
                finally:
                    info.pydev_message = before

            return tracing.is_hit(pybreakpoint, new_frame, lambda each: judge(info, each, new_frame), text_of)

        def handle_breakpoint_expression(self, pybreakpoint: Any, info: Any, new_frame: Any) -> None:
            if self._serves(threading.get_ident()):
                super().handle_breakpoint_expression(pybreakpoint, info, new_frame)

        def consolidate_breakpoints(self, file: str, breakpoints: dict[int, Any], lines: Any) -> None:
            # First: a thread that comes to one must find whose it is.
            if (tracing := self._stagedoor()) is not None:
                tracing.breakpoints_of(file, breakpoints)
            super().consolidate_breakpoints(file, breakpoints, lines)

        def _owners_exception_breakpoint(self, find: Any) -> Any:
            """pydevd asks for the breakpoint on an exception on the thread that raises it: whose filters decide."""

            def get_exception_breakpoint(kind: Any, breakpoints: Any) -> Any:
                found, tracing = find(kind, breakpoints), self._stagedoor()
                if found is None or tracing is None:
                    return None
                filters = self._stagedoor_filters
                filter_ = next(
                    (name for name in filters if any(each is breakpoints for each in list(filters[name]))), ""
                )
                return found if tracing.stops_on(filter_) else None

            return get_exception_breakpoint

        def get_plugin_lazy_init(self) -> Any:
            plugin = super().get_plugin_lazy_init()
            if plugin is not None and "exception_break" not in vars(plugin):
                stop = plugin.exception_break

                def exception_break(*args: Any, **kwargs: Any) -> Any:
                    # It marks the thread as paused, which could not be taken back: a step would be lost.
                    tracing = self._stagedoor()
                    return stop(*args, **kwargs) if tracing is not None and tracing.stops_on("raised") else None

                plugin.exception_break = exception_break
            return plugin

        def notify_thread_created(self, *args: Any, **kwargs: Any) -> None:
            """Not done: threads that serve no matching request are nobody's business, the others show when they stop."""

        def enable_output_redirection(self, *args: Any) -> None:
            """Not done: it would send every request's output to the client, and replaces sys.stdout for all of them."""

        def setup_auto_reload_watcher(self, *args: Any) -> None:
            """Not done: it would load changed code for everybody."""

        def dispose_and_kill_all_pydevd_threads(self, wait: bool = True, timeout: float = 0.5) -> None:
            # When the connection ends, its reader and its writer come here and would wait for themselves to end.
            thread: Any = threading.current_thread()
            if thread is self.writer:
                # What it has not sent is not waited for: nobody can send it any more.
                thread.empty = lambda: True
            on_own_thread = getattr(thread, "is_pydev_daemon_thread", False)
            super().dispose_and_kill_all_pydevd_threads(wait and not on_own_thread, timeout)

        def on_configuration_done(self) -> None:
            super().on_configuration_done()
            if (tracing := self._stagedoor()) is not None:
                tracing.client_configured()

        def on_disconnect(self) -> None:
            super().on_disconnect()
            if (tracing := self._stagedoor()) is not None:
                tracing.client_gone()

    for name, filter_ in EXCEPTION_FILTERS.items():
        setattr(GuardedDebugger, name, _filter_property(f"_{name}", filter_))
    return GuardedDebugger


def _filter_property(name: str, filter_: str) -> property:
    """An attribute of which it is remembered what was set: pydevd asks with the object, and not for which filter."""

    def get(debugger: Any) -> Any:
        return vars(debugger)[name]

    def set_(debugger: Any, breakpoints: Any) -> None:
        debugger._stagedoor_filters[filter_].append(breakpoints)
        vars(debugger)[name] = breakpoints

    return property(get, set_)
