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
from typing import NamedTuple, ParamSpec, Self, TypeVar, overload

from . import serving
from .errors import ConfigurationError
from .request import DebuggedRequest
from .tracing import Matching, Tracing, current_tracing, stop_on_exception
from .window.window import is_name
from .worker.servers import serves_a_request

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

    :param name: what the IDE calls the thread. Without a name it belongs to the one matching request that makes it, and is
        debugged for as long as that lasts; it does nothing if no matching request makes it, or a module that is just
        being imported does. With a name it is a job of its own, whoever starts it, on any thread but those that serve
        requests: what another request does itself is never debugged. Or a function to decorate without a name.
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
        made_by = _maker() if name is None else None
        #: The request that has made it.
        self._made_by = weakref.ref(made_by) if made_by is not None else None
        self._entered: dict[int, list[_Entered | None]] = {}

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
                entered = self._entered_in(tracing, what, running)
        self._entered.setdefault(threading.get_ident(), []).append(entered)

    def _entered_in(self, tracing: Tracing, what: str, running: FrameType | None) -> _Entered | None:
        if tracing.served() is not None:
            return None  # The thread is traced already, as a part of a request or of another job.
        if serving.served() is serving.VISITOR:
            return None  # It serves requests, and none of those that are debugged now.
        if serves_a_request(sys._getframe()):
            return None  # One that came before the window was open, and whose body is still being streamed.
        request = self._made_by() if self._made_by is not None else None
        if self._name is None and request is None:
            _tell_once(tracing, what)
            return None
        everybodys = tracing.sessions.everybodys if tracing.sessions is not None else None
        job = tracing.begin(self._name or f"{what}, for {request.request}", is_job=True, of=request, session=everybodys)  # type: ignore[union-attr]
        if job is None:
            return None
        if not tracing.enter(job, running=running):
            tracing.end(job)
            return None
        return _Entered(tracing, job)

    def _fail(self, error: Exception) -> None:
        entered = self._entered.get(threading.get_ident())
        if entered and entered[-1] is not None:
            stop_on_exception(error)

    def _leave(self) -> None:
        last = self._last_entered()
        if last is not None:
            with suppress(Exception):
                last.tracing.leave(last.job)
            with suppress(Exception):
                last.tracing.end(last.job)

    def _last_entered(self) -> _Entered | None:
        """What the calling thread has entered last. A generator may leave on another thread than the one on which it has
        entered: then it is one of those, whichever.
        """
        here = threading.get_ident()
        if entered := self._entered.get(here):
            last = entered.pop()
            if not entered:
                del self._entered[here]
            return last
        for entered in list(self._entered.values()):
            with suppress(IndexError):
                return entered.pop()
        return None


class _Entered(NamedTuple):
    tracing: Tracing
    job: Matching


#: Whose developers know already why nothing happens.
_told: weakref.WeakSet[Tracing] = weakref.WeakSet()


def _tell_once(tracing: Tracing, what: str) -> None:
    if tracing not in _told:
        _told.add(tracing)
        tracing.say(
            f"Stagedoor: {what} is not debugged: traced() without a name has to be made by the matching request"
            " that it belongs to, as in Thread(target=traced(resize)). Or give it a name."
        )


def _maker() -> Matching | None:
    """The matching request that runs on the calling thread, unless it is just importing a module: what that makes stays
    for everybody.
    """
    tracing = current_tracing()
    matching = tracing.served() if tracing is not None else None
    frame: FrameType | None = sys._getframe(1) if matching is not None else None
    while frame is not None and frame.f_code is not _PART:
        if frame.f_code.co_name == "<module>":
            return None
        frame = frame.f_back
    # A part of a request on another thread may be over before the request is.
    return matching.request_itself if matching is not None else None


#: What runs the parts of a matching request.
_PART: CodeType = DebuggedRequest.run.__code__
