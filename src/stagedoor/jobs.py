"""Work outside of requests that is debugged as well, because the application's own code asks for it."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import CodeType, FrameType, TracebackType
from typing import ParamSpec, Self, TypeVar, overload

from .errors import ConfigurationError
from .middleware import StageDoor
from .tracing import Tracing, current_tracing, stop_on_exception
from .window import is_name

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_NOT_PLAIN = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


@overload
def traced(name: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]: ...
@overload
def traced(name: str | None = None) -> Job: ...
def traced(name: Callable[_Parameters, _Result] | str | None = None) -> Callable[_Parameters, _Result] | Job:
    """Debug a job of the application's, such as a helper thread, as a matching request is debugged.

    It is a decorator and a context manager. While the job runs, its thread stops at breakpoints, and where it fails.
    That takes an open window, an attached client, and a matching request that has brought the debugger to this process;
    without them it costs next to nothing, and it never starts a debugger by itself.

    .. code-block:: python

        # A part of the matching request that starts it, and of no other request:
        threading.Thread(target=stagedoor.traced(resize), args=(image,)).start()

        # A job of its own, whoever starts it:
        @stagedoor.traced("nightly report")
        def report(): ...

        with stagedoor.traced("nightly report"):
            ...

    :param name: what the IDE calls the thread. Without a name it belongs to the matching request on whose thread it is
        made, and does nothing if there is none: other people's jobs run on. Or a function to decorate without a name.
    :raises ConfigurationError: if the name is none for a log line, or the function is no plain one: a coroutine or a
        generator does not run where it is called.
    """
    if callable(name):
        return Job(None)(name)
    return Job(name)


class Job:
    """What :func:`traced` makes. It can be used again and again, inside itself, and on several threads at once."""

    def __init__(self, name: str | None) -> None:
        if name is not None and not (isinstance(name, str) and is_name(name)):
            remedy = "Give 1 to 200 printable characters."
            raise ConfigurationError("name", name, "can't be shown in a log line", remedy)
        self._name = name
        tracing = current_tracing()
        #: The request that has made it.
        self._request = tracing.label() if tracing is not None else None
        self._made_with = weakref.ref(tracing) if tracing is not None else None
        self._entered: dict[int, list[Tracing | None]] = {}

    def __call__(self, function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        if any(is_other(function) for is_other in _NOT_PLAIN):
            remedy = "Use it as a context manager around plain calls."
            raise ConfigurationError("function", function, "is a coroutine or a generator", remedy)
        what = getattr(function, "__qualname__", type(function).__qualname__)

        @functools.wraps(function)
        def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            self._enter(what, None)
            try:
                return function(*args, **kwargs)
            except Exception as error:
                self._fail(error)
                raise
            finally:
                self._leave()

        return run

    def __enter__(self) -> Self:
        self._enter(threading.current_thread().name, sys._getframe(1))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._fail(error)
        self._leave()

    def _enter(self, what: str, running: FrameType | None) -> None:
        entered = None
        tracing = current_tracing()
        if tracing is not None and tracing.attached:
            with suppress(Exception):
                label = self._label(tracing, what)
                if label is not None and tracing.enter(label, is_job=True, running=running):
                    entered = tracing
        self._entered.setdefault(threading.get_ident(), []).append(entered)

    def _label(self, tracing: Tracing, what: str) -> str | None:
        """What the IDE calls this thread now, or ``None`` if the job is none to debug."""
        if self._name is not None:
            # Named or not: what somebody else's request does itself is never debugged.
            return None if _serves_a_request() else self._name
        if self._request is not None and self._made_with is not None and self._made_with() is tracing:
            return f"{what}, for {self._request}"
        if tracing not in _told and tracing.label() is None and not _serves_a_request():
            _told.add(tracing)
            tracing.say(
                f"Stagedoor: {what} is not debugged: traced() without a name has to be made by the matching request"
                " that it belongs to, as in Thread(target=traced(resize)). Or give it a name."
            )
        return None

    def _fail(self, error: Exception) -> None:
        if self._entered[threading.get_ident()][-1] is not None:
            stop_on_exception(error)

    def _leave(self) -> None:
        ident = threading.get_ident()
        entered = self._entered[ident]
        tracing = entered.pop()
        if not entered:
            del self._entered[ident]
        if tracing is not None:
            with suppress(Exception):
                tracing.leave()


#: Whose developers know already why nothing happens.
_told: weakref.WeakSet[Tracing] = weakref.WeakSet()


def _serves_a_request() -> bool:
    """Whether the calling thread is inside a request of an application that is behind StageDoor."""
    door: CodeType = StageDoor.__call__.__code__
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code is door:
            return True
        frame = frame.f_back
    return False
