"""The recursion limit, which a debugger on top of the application's stack reaches first."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from threading import get_ident
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


# -- Below Python 3.12 -------------------------------------------------------------------------------------------------


class _AsPythonMakesIt(type):
    # CPython calls it without a value first, and then with what it has got for as long as that is none of this class.
    def __call__(cls, made: RecursionError | None = None) -> RecursionError:
        return made or RecursionError("maximum recursion depth exceeded")


class _Overflow(RecursionError, metaclass=_AsPythonMakesIt):
    """Becomes Python's own error when it is raised: only a class can be raised in a thread from outside."""


def within_the_limit(trace: Callable[..., Any], overflow: Any = None) -> Callable[..., Any]:
    """``trace`` for :func:`sys.settrace`, but where it reaches the recursion limit, the application's call is over it.

    Python would take the trace function away from the thread for good, and raise its error in the application.

    :param trace: the trace function of the calling thread.
    """
    overflow = _raising_on(get_ident()) if overflow is None else overflow

    def guarded(frame: FrameType, event: str, argument: Any) -> Any:
        try:
            if event == "call":
                _room()
            traced = trace(frame, event, argument)
        except RecursionError:
            if event != "call":
                return guarded
            # Before a call goes so deep that there is no room for this function. From here to its end it makes no call,
            # after which Python would look whether there is something to raise, and raise it here.
            overflow.follows  # noqa: B018
            return None
        return within_the_limit(traced, overflow) if traced is not None else None

    return guarded


def _nested(levels: int) -> Callable[[], None]:
    if levels == 0:
        return lambda: None
    inner = _nested(levels - 1)
    return lambda: inner()


#: Fails while there is still room for what follows then, which takes two levels, also where the application's next call
#: takes several at once (through ``map`` or ``sorted``).
_room = _nested(8)


def _raising_on(ident: int) -> Any:
    """An object whose attribute ``follows``, when it is read, has a thread raise an error where it next makes a call."""
    raise_in_thread = partial(
        ctypes.pythonapi.PyThreadState_SetAsyncExc, ctypes.c_ulong(ident), ctypes.py_object(_Overflow)
    )
    # What a property calls gets the object as well, which counts as the number 0 there and is not looked at.
    return type("Overflow", (), {"_as_parameter_": 0, "follows": property(raise_in_thread)})()
