"""How pydevd is started: as a debugger of ours, which traces no thread. And whether it runs already."""

from __future__ import annotations

import os
import sys
from typing import Any

from .internals import Internals
from .state import Owner

#: The folder of the whole package, which the developer never steps into.
_OWN_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


def other_debugger_runs() -> bool:
    """Whether debugpy runs in this process. Loads nothing: where pydevd is not loaded it can't."""
    # While another thread imports it, it has no such function yet.
    global_debugger = getattr(sys.modules.get("pydevd"), "get_global_debugger", None)
    return global_debugger is not None and global_debugger() is not None


class GuardedStart:
    """For the length of debugpy's start: pydevd creates our debugger, and traces no thread but the current one."""

    def __init__(self, internals: Internals, tracing: Owner) -> None:
        self._internals = internals
        self._tracing = tracing

    def __enter__(self) -> None:
        internals = self._internals
        self._original = internals.pydevd.PyDB, internals.pydevd.settrace
        settrace = internals.pydevd.settrace

        def debugger() -> Any:
            internals.debugger = internals.debugger_class(self._tracing)
            return internals.debugger

        def settrace_current_thread(*args: Any, **kwargs: Any) -> Any:
            kwargs["trace_only_current_thread"] = True
            kwargs["dont_trace_start_patterns"] = (*kwargs.get("dont_trace_start_patterns", ()), _OWN_FOLDER)
            return settrace(*args, **kwargs)

        internals.pydevd.PyDB, internals.pydevd.settrace = debugger, settrace_current_thread

    def __exit__(self, *exc: object) -> None:
        self._internals.pydevd.PyDB, self._internals.pydevd.settrace = self._original
        # pydevd replaces sys.settrace by a function that warns on stderr whoever uses it.
        self._internals.restore_settrace()
