"""The recursion limit, which a debugger on top of the application's stack reaches first."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


def without_debugger(error: RecursionError) -> None:
    """Take the lines of pydevd's out of the traceback: they are on top, where the limit was reached. And out of what it
    was just handling there, which is nothing of the application's.
    """
    context = error.__context__
    while context is not None and (context.__traceback__ is None or _is_debuggers(context.__traceback__)):
        context = context.__context__
    error.__context__ = context
    last: TracebackType | None = None
    entry = error.__traceback__
    while entry is not None:
        if _is_debuggers(entry):
            if last is not None:
                last.tb_next = None
            return
        last, entry = entry, entry.tb_next


def _is_debuggers(entry: TracebackType) -> bool:
    scope, file = entry.tb_frame.f_globals, entry.tb_frame.f_code.co_filename
    return "_pydevd" in file or "/pydevd" in file or str(scope.get("__name__")).startswith(("_pydevd", "pydevd"))


def within_the_limit(trace: Callable[..., Any]) -> Callable[..., Any]:
    """``trace`` for :func:`sys.settrace` (below Python 3.12), but where it reaches the recursion limit, which is its own
    affair, the application goes on and reaches it by itself. Nothing of the debugger's is in that traceback then.

    Where there is no room for this function either, Python takes the trace function away from the thread.
    """

    def guarded(frame: FrameType, event: str, argument: Any) -> Any:
        try:
            traced = trace(frame, event, argument)
        except RecursionError:
            return None if event == "call" else guarded
        return within_the_limit(traced) if traced is not None else None

    return guarded
