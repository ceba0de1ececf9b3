"""What a gatekeeper asks of one request reaches that request, or nobody.

It names pydevd's thread, and a request can come to its end while the message is under way: then that thread serves somebody
else by now, who would be stepped, or looked at. So the message carries the request's number as well
(``"stagedoor": {"request": 12}``, in its arguments). It is compared here when the message is read, and again when pydevd
comes to do what was asked: that waits in the thread's queue, and would be done whenever that thread pauses next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

from .internals import Internals
from .state import Matching

_GONE = "This request runs on, or has ended."
#: pydevd answers these before they are done.
_ANSWERED_AT_ONCE = frozenset({"continue", "next", "stepIn", "stepOut"})


class Pausing(Protocol):
    """The tracing, as it knows what is paused."""

    def paused_as(self, number: int | None) -> AbstractContextManager[Matching | None]:
        """The request with this number, if it is paused. No pause begins or ends until that is left."""

    def served(self) -> Matching | None:
        """What the calling thread runs."""

    @property
    def requests(self) -> list[tuple[threading.Thread, str]]:
        """The threads that run a part of a matching request now, and those requests' labels."""


#: Answers a request, with the sentence of a refusal or ``None``.
Respond = Callable[[dict[str, Any], str | None], None]


class Addressed:
    """The messages of one gatekeeper that concern one request.

    :param internals: pydevd.
    :param tracing: what is paused.
    """

    def __init__(self, internals: Internals, tracing: Pausing) -> None:
        self._internals = internals
        self._tracing = tracing

    def process(
        self, debugger: Any, request: dict[str, Any], process: Callable[[dict[str, Any]], None], respond: Respond
    ) -> None:
        """Let pydevd process a message, if what it names is the request's that it is for.

        :param request: its number is taken out.
        """
        number = request["arguments"].pop("stagedoor")["request"]
        with self._tracing.paused_as(number) as matching:
            if number is None:  # For a thread that serves nobody.
                if self._names_a_served_thread(request["arguments"]):
                    respond(request, _GONE)
                else:
                    process(request)
            elif matching is None:
                # Whoever wants it to run on has that.
                respond(request, None if request["command"] == "continue" else _GONE)
            elif self._thread_of(debugger, request["arguments"]) not in (
                None,
                self._internals.get_thread_id(matching.thread),
            ):
                respond(request, _GONE)
            else:
                self._process_for(debugger, request, matching, process, respond)

    def _process_for(
        self,
        debugger: Any,
        request: dict[str, Any],
        matching: Matching,
        process: Callable[[dict[str, Any]], None],
        respond: Respond,
    ) -> None:
        """Let pydevd process it: what it puts into a thread's queue is done for that request only."""
        post, reader, pause = debugger.post_internal_command, threading.get_ident(), matching.pause

        def post_for(command: Any, thread_id: str) -> None:
            if threading.get_ident() == reader:
                do_it = command.do_it

                def do_if_it_is_there(debugger: Any) -> None:
                    here = self._tracing.served() is matching and matching.pause is not None
                    # Any thread may look at its stack: that is the request's as long as it has been in the same pause.
                    if here or (thread_id == "*" and matching.pause is pause):
                        do_it(debugger)
                    elif request["command"] not in _ANSWERED_AT_ONCE:
                        respond(request, _GONE)

                command.do_it = do_if_it_is_there
            post(command, thread_id)

        debugger.post_internal_command = post_for
        try:
            process(request)
        finally:
            del debugger.post_internal_command

    def _thread_of(self, debugger: Any, arguments: dict[str, Any]) -> str | None:
        """pydevd's thread that a message is about; ``None`` if it names none, or what is not there any more: pydevd says so
        itself.
        """
        named = self._internals.id_from_dap
        with suppress(KeyError):
            if "threadId" in arguments:
                return str(named(arguments["threadId"]))
            reference = arguments.get("frameId") or arguments.get("variablesReference")
            if reference:
                found = named(reference)
                found = getattr(found, "variable_reference", found)  # of a scope, which is one of a frame's
                return debugger.suspended_frames_manager.get_thread_id_for_variable_reference(found)  # type: ignore[no-any-return]
        return None

    def _names_a_served_thread(self, arguments: dict[str, Any]) -> bool:
        with suppress(KeyError):
            named = self._internals.id_from_dap(arguments.get("threadId"))
            return any(self._internals.get_thread_id(thread) == named for thread, _ in self._tracing.requests)
        return False
