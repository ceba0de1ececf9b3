"""What a client asks of pydevd that concerns the whole process, or that pydevd can't serve: answered otherwise."""

from __future__ import annotations

import json
import threading
from typing import Any, Protocol

from .addressed import Addressed, Pausing
from .asked import Sessioned, answer, is_ours
from .internals import Internals
from .state import Owner

#: The commands of :class:`PyDevdAPI` that :meth:`Commands.restrict` replaces.
_RESTRICTED = ("request_terminate_process", "list_threads", "request_resume_thread")


class Asked(Sessioned, Pausing, Protocol):
    """The tracing, as it is asked."""


class Commands:
    """A client's commands, as pydevd serves them in this process.

    :param internals: pydevd, with its own commands.
    """

    def __init__(self, internals: Internals) -> None:
        self._internals = internals
        self._original = {name: getattr(internals.commands, name) for name in _RESTRICTED}
        self._enumerate = internals.pydevd.threadingEnumerate

    def restrict(self, tracing: Owner) -> None:
        """Some of a client's commands concern the whole process. ``terminate`` would end in ``os._exit(0)``: make it
        what ``disconnect`` is. ``threads`` would list everybody's: answer with those of matching requests, by their
        labels. To continue all would do something to every thread of the process: there are only those to continue.
        """
        internals = self._internals
        resume_one = self._original["request_resume_thread"]

        def list_threads(commands: Any, debugger: Any, seq: int) -> Any:
            return self._threads_response(seq, tracing.requests)

        def resume(commands: Any, thread_id: str) -> None:
            if thread_id != "*":
                resume_one(commands, thread_id)
            for thread, _ in tracing.requests:
                if thread_id == "*":
                    internals.run_thread(thread)
                elif internals.get_thread_id(thread) == thread_id:
                    # Else it looks at its state at pydevd's next turn, up to 0.2 s later.
                    internals.wake(internals.debugger, thread)

        def enumerate_threads() -> list[threading.Thread]:
            return [threading.main_thread(), *(thread for thread, _ in tracing.requests)]

        internals.commands.request_terminate_process = _disconnect_instead
        internals.commands.list_threads = list_threads
        internals.commands.request_resume_thread = resume
        # pydevd looks at every thread five times a second, and keeps all that it has ever seen.
        internals.pydevd.threadingEnumerate = enumerate_threads

    def restore(self) -> None:
        """Take back :meth:`restrict`. Without it a later debugger of somebody else's could not list or resume the
        process's threads.
        """
        internals = self._internals
        for name, original in self._original.items():
            setattr(internals.commands, name, original)
        internals.pydevd.threadingEnumerate = self._enumerate
        for key, thread in list(internals.threads_kept.items()):
            if not thread.is_alive():
                internals.threads_kept.pop(key, None)

    def _threads_response(self, seq: int, requests: list[tuple[threading.Thread, str]]) -> Any:
        internals, schema = self._internals, self._internals.schema
        threads = [
            schema.Thread(id=internals.get_thread_id(thread), name=label).to_dict() for thread, label in requests
        ]
        body = schema.ThreadsResponseBody(threads)
        answer = schema.ThreadsResponse(request_seq=seq, success=True, command="threads", body=body)
        return internals.net_command(internals.cmd_return, 0, answer, is_json=True)

    def answer_every_request(self, reader: Any, tracing: Asked) -> None:
        """Let the thread that reads the client's requests outlive those that it can't serve.

        It dies of many arguments that make no sense to it, such as the number of no thread, and takes the session and
        every pause with it. The client gets an error instead.
        """
        internals, process = self._internals, reader.process_net_command_json
        addressed = Addressed(internals, tracing)

        def respond(debugger: Any, request: dict[str, Any], refusal: str | None) -> None:
            message: dict[str, Any] = {
                "type": "response",
                "request_seq": request["seq"],
                "success": refusal is None,
                "command": request["command"],
                "body": {},
            }
            if refusal is not None:
                message["message"] = refusal
            debugger.writer.add_command(internals.net_command(internals.cmd_return, 0, message, is_json=True))

        def process_or_refuse(debugger: Any, text: bytes | str, *arguments: Any) -> None:
            try:
                if (b"stagedoor" if isinstance(text, bytes) else "stagedoor") in text:  # type: ignore[operator]
                    request = json.loads(text)
                    if is_ours(request.get("command")):
                        respond(debugger, request, answer(tracing, request["command"], request.get("arguments")))
                        return
                    if isinstance(request.get("arguments"), dict) and "stagedoor" in request["arguments"]:
                        addressed.process(
                            debugger,
                            request,
                            lambda request: process(debugger, json.dumps(request), *arguments),
                            lambda request, refusal: respond(debugger, request, refusal),
                        )
                        return
                process(debugger, text, *arguments)
            except Exception as error:
                respond(debugger, json.loads(text), f"debugpy could not do it: {type(error).__name__}: {error}")

        reader.process_net_command_json = process_or_refuse


def _disconnect_instead(commands: Any, debugger: Any) -> None:
    commands.request_disconnect(debugger, resume_threads=True)
