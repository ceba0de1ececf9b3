"""``async def`` code of a matching request, which asgiref runs on another thread than the one that serves the request.

Flask and Django call an ``async def`` view with asgiref's ``async_to_sync``: a loop of its own on a thread of its own,
while the thread that serves the request waits, and runs what the view passes back with ``sync_to_async``. All of that
is one request. A loop that runs anything else as well, as the server's own does below ``WsgiToAsgi``, is never paused.

asgiref is changed only where something else has loaded it, and only while a debugger runs in this process. Verified
with asgiref 3.7.2, 3.8.1, 3.9.2, 3.10.0, 3.11.1, 3.12.1 and 3.13.0.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from .arrival import Arrival
from .state import Matching, Parts

ON_OTHERS_LOOP = (
    "Its async code runs on an event loop that serves others too, and a pause there would stop them.",
    "Serve the application with a WSGI server that has threads (gunicorn: --threads 8) while you debug it.",
)


class AsyncViews:
    """What is changed in asgiref while a debugger runs.

    :param tracing: the debugger.
    """

    def __init__(self, tracing: Parts) -> None:
        self._tracing = tracing
        self._replaced: list[tuple[type[Any], str, Any]] = []
        self._told = False
        self._over = False
        self._asgiref = Arrival("asgiref.sync", self._change)

    def install(self) -> None:
        """Change asgiref now, or as soon as the application has loaded it. Never raises."""
        self._asgiref.wait()

    def restore(self) -> None:
        """Take everything back; calls in progress end as they began."""
        self._over = True
        self._asgiref.give_up()
        while self._replaced:
            owner, name, original = self._replaced.pop()
            setattr(owner, name, original)

    def _change(self, module: Any) -> None:
        to_sync: Any = getattr(module, "AsyncToSync", None)
        to_async: Any = getattr(module, "SyncToAsync", None)
        if _calls(to_sync, "main_wrap") and _calls(to_async, "thread_handler"):
            self._replace(to_sync, "main_wrap", self._main_wrap(to_sync.main_wrap))
            self._replace(to_async, "thread_handler", _ThreadHandler(self, to_async.thread_handler))
        elif inspect.isfunction(call := _call(to_sync)):
            version = getattr(sys.modules.get("asgiref"), "__version__", "unknown")
            unknown = f"asgiref {version} is not built as Stagedoor knows it, so async code is not debugged."
            self._replace(to_sync, "__call__", self._noting(call, (unknown, "Install asgiref 3.13.")))
        if self._over:  # The window's end has not seen this.
            self.restore()

    def _replace(self, owner: type[Any], name: str, replacement: Any) -> None:
        self._replaced.append((owner, name, vars(owner)[name]))
        setattr(owner, name, replacement)

    def _noting(self, call: Callable[..., Any], reason: tuple[str, str]) -> Callable[..., Any]:
        def __call__(converter: Any, *arguments: Any, **keywords: Any) -> Any:
            caller = self.served()
            if caller is not None:
                self.note(caller, reason)
            return call(converter, *arguments, **keywords)

        return __call__

    def _main_wrap(self, original: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Any]:
        """asgiref's coroutine around an awaitable. It is called on the thread that waits for it afterwards, and awaited
        on the loop's.
        """

        def main_wrap(converter: Any, *arguments: Any, **keywords: Any) -> Coroutine[Any, Any, None]:
            coroutine = original(converter, *arguments, **keywords)
            caller = self.served()
            return coroutine if caller is None else self._await(coroutine, caller)

        return main_wrap

    async def _await(self, coroutine: Coroutine[Any, Any, None], caller: Matching) -> None:
        with _Part(self, caller, caller_waits=True):
            await coroutine

    def served(self) -> Matching | None:
        """The matching request of which the calling thread runs a part, and that goes on. Never raises."""
        matching = self._tracing.served()
        return None if matching is None or matching.over else matching

    def note(self, caller: Matching, reason: tuple[str, str]) -> None:
        """Something of ``caller``'s request is not debugged; ``reason`` says why, and what to do."""
        caller.request_itself.undebugged = reason
        if not self._told:
            self._told = True
            self._tracing.say(f"Stagedoor: {caller.request}: {' '.join(reason)}", caller)

    def begin(self, caller: Matching, *, on_loop: bool) -> Matching | None:
        """Let the calling thread run a part of ``caller``'s request, if it serves nobody else."""
        if on_loop and _serves_others():
            self.note(caller, ON_OTHERS_LOOP)
            return None
        part = self._tracing.begin_part(caller)
        if part is not None and not self._tracing.enter(part):
            self._tracing.end(part)
            return None
        return part

    def end(self, part: Matching) -> None:
        self._tracing.leave(part)
        self._tracing.end(part)


class _ThreadHandler:
    """asgiref's method that runs a function for ``sync_to_async``, on whichever thread: it is looked up on the loop's."""

    def __init__(self, views: AsyncViews, original: Callable[..., Any]) -> None:
        self._views = views
        self._original = original

    def __get__(self, converter: Any, kind: type[Any] | None = None) -> Callable[..., Any]:
        original = self._original.__get__(converter, kind)
        caller = self._views.served() if converter is not None else None
        if caller is None:
            return original  # type: ignore[no-any-return]

        task = _current_task()

        def thread_handler(*arguments: Any, **keywords: Any) -> Any:
            with _Part(self._views, caller, caller_waits=False, task=task):
                return original(*arguments, **keywords)

        return thread_handler


class _Part:
    """For as long as the calling thread runs something for ``caller``, a part of the same request on another thread. Its
    own failures are nobody's.

    :param caller_waits: whether the caller's thread does nothing else meanwhile, as one that has called
        ``async_to_sync``; a loop's goes on with its other tasks.
    :param task: the caller's task that waits, where its thread does not.
    """

    def __init__(self, views: AsyncViews, caller: Matching, *, caller_waits: bool, task: Any = None) -> None:
        self._views = views
        self._tracing = views._tracing
        self._caller = caller
        self._caller_waits = caller_waits
        self._task = task
        self._here: Matching | None = None
        self._begun: Matching | None = None
        self._has_waited = False

    def __enter__(self) -> Self:
        with suppress(Exception):
            tracing, caller = self._tracing, self._caller
            here = self._views.served()
            if here is None:
                here = self._begun = self._views.begin(caller, on_loop=self._caller_waits)
            elif here.request_itself is not caller.request_itself:
                self._views.note(caller, ON_OTHERS_LOOP)
                here = None
            if here is not None:
                self._here = here
                if self._caller_waits:
                    tracing.waits(caller)
                elif self._begun is None:
                    self._has_waited = True
                    tracing.goes_on(here)
                tracing.share_step(caller, here)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        here, tracing = self._here, self._tracing
        if here is None:
            return
        with suppress(Exception):
            task = self._task
            tracing.share_step(here, self._caller, (lambda: _frames(task)) if task is not None else None)
        with suppress(Exception):
            if self._has_waited:
                tracing.waits(here)
            if self._caller_waits:
                tracing.goes_on(self._caller)
        if self._begun is not None:
            with suppress(Exception):
                self._views.end(self._begun)


def _serves_others() -> bool:
    """Whether the loop of the calling thread does anything else: one that is made for a call has its task and no other."""
    import asyncio  # What has loaded asgiref has loaded it.

    return asyncio.all_tasks() != {asyncio.current_task()}


def _current_task() -> Any:
    import asyncio

    with suppress(RuntimeError):
        return asyncio.current_task()
    return None


def _frames(task: Any) -> list[FrameType]:
    """The frames of a task that waits, from the outermost in."""
    found, coroutine = [], task.get_coro()
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        found.append(frame)
        coroutine = coroutine.cr_await
    return found


def _calls(kind: Any, method: str) -> bool:
    """Whether a class of asgiref's is built as we know it: calling an object of it comes to ``method``."""
    call, called = _call(kind), getattr(kind, method, None)
    return inspect.isfunction(call) and inspect.isfunction(called) and method in call.__code__.co_names


def _call(kind: Any) -> Any:
    return getattr(kind, "__dict__", {}).get("__call__")
