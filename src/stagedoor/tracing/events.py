"""What is sent to the client besides answers: whose each event is, and events of our own.

pydevd's connection carries the requests of all developers. Whoever is at its other end, a gatekeeper, has to know whose an
event is, and hears of each request, in order with pydevd's own events: over pydevd's writer. Without a gatekeeper there are
no sessions, and all is sent as pydevd makes it.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any

from .internals import Internals
from .state import Matching, Owner

#: The reasons of a stop that has breakpoints.
_AT_BREAKPOINTS = ("breakpoint", "function breakpoint")


class Events:
    """The events of one debugger.

    :param internals: pydevd.
    """

    def __init__(self, internals: Internals) -> None:
        self._internals = internals
        self._warn_of_evaluation = internals.json_events.make_evaluation_timeout_msg

    def attribute(self, writer: Any, tracing: Owner) -> None:
        """Let all that pydevd gives to ``writer`` say whose it is.

        What a request's thread gives is that request's: pydevd tells of a stop, of its end, and of what an evaluation
        prints, on the thread that is concerned.
        """
        add = writer.add_command

        def add_command(command: Any) -> None:
            message = command.as_dict
            if message is not None and message.get("type") == "event":
                matching = tracing.served_by(threading.get_ident())
                if matching is not None and matching.session is not None:
                    _mark(command, matching)
            add(command)

        writer.add_command = add_command

    def restrict(self, tracing: Owner) -> None:
        """pydevd says on a thread of its own that an evaluation takes long: whose that is."""
        warn = self._warn_of_evaluation

        def make_evaluation_timeout_msg(factory: Any, debugger: Any, expression: str, thread: Any) -> Any:
            command = warn(factory, debugger, expression, thread)
            matching = tracing.served_by(thread.ident)
            if matching is not None and matching.session is not None and command.as_dict is not None:
                _mark(command, matching)
            return command

        self._internals.json_events.make_evaluation_timeout_msg = make_evaluation_timeout_msg

    def restore(self) -> None:
        """Take back :meth:`restrict`."""
        self._internals.json_events.make_evaluation_timeout_msg = self._warn_of_evaluation

    def begun(self, debugger: Any, matching: Matching) -> None:
        """Tell of a request that begins."""
        thread = self._internals.schema.Thread(id=self._internals.get_thread_id(matching.thread), name="")
        self._tell(
            debugger,
            "stagedoorRequest",
            {
                "request": matching.number,
                "session": matching.session,
                "label": matching.shown_label or matching.request,
                "thread": thread.to_dict(update_ids_to_dap=True)["id"],
            },
        )

    def over(self, debugger: Any, matching: Matching) -> None:
        """Tell of a request that has ended."""
        self._tell(debugger, "stagedoorRequestOver", {"request": matching.number})

    def thread_exited(self, debugger: Any, matching: Matching) -> None:
        """Tell the client that a thread is gone, which pydevd does only when it is."""
        thread_id = self._internals.get_thread_id(matching.thread)
        command = debugger.cmd_factory.make_thread_killed_message(thread_id)
        if matching.session is not None and command.as_dict is not None:
            _mark(command, matching)
        debugger.writer.add_command(command)

    def logged(self, debugger: Any, matching: Matching, text: str, frame: Any) -> None:
        """A log message of a breakpoint's, as pydevd sends it, and where."""
        command = debugger.cmd_factory.make_io_message(f"{text}{os.linesep}", "1")
        command.as_dict["body"].update(
            source={"path": os.path.abspath(frame.f_code.co_filename)}, line=int(frame.f_lineno or 0)
        )
        _mark(command, matching)
        debugger.writer.add_command(command)

    def said(self, debugger: Any, text: str, matching: Matching | None) -> None:
        """A line in the console, of whoever has sent ``matching``."""
        command = debugger.cmd_factory.make_console_message(f"{text}\n")
        if matching is not None and matching.session is not None:
            _mark(command, matching)
        debugger.writer.add_command(command)

    def _tell(self, debugger: Any, event: str, body: dict[str, Any]) -> None:
        message = {"type": "event", "event": event, "body": body}
        debugger.writer.add_command(self._internals.net_command(self._internals.cmd_return, 0, message, is_json=True))


def _mark(command: Any, matching: Matching) -> None:
    message = command.as_dict
    body = message.get("body") or {}
    if "stagedoor" in body or str(message["event"]).startswith("stagedoor"):
        return
    whose: dict[str, Any] = {"request": matching.number, "session": matching.session}
    if message["event"] == "stopped" and (pause := matching.pause) is not None:
        whose["place"] = f"{pause.file}:{pause.line}"
    if message["event"] == "stopped" and body.get("reason") in _AT_BREAKPOINTS:
        # pydevd names the one that it has kept of the line's.
        hits, matching.hits = matching.hits, []
        if hits:
            body["hitBreakpointIds"] = hits
    message["body"] = body
    _set(command, whose)


def _set(command: Any, whose: dict[str, Any]) -> None:
    command.as_dict["body"]["stagedoor"] = whose
    encode_again(command)


def encode_again(command: Any) -> None:
    """What is sent is ``command.as_dict`` as it is now: it was made into bytes when it was constructed."""
    command._as_bytes = json.dumps(command.as_dict, default=str).encode()
