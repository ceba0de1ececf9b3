"""The policy on messages: what a client may say to a worker's debugger, and the debugger to a client.

Both directions are whitelists. What isn't named here is refused (requests) or dropped (keys of ``attach``, events),
so a debugpy with new messages opens nothing by itself. What each message does was read in debugpy 1.8.22:
``adapter/clients.py`` and pydevd's ``pydevd_process_net_command_json.py``.

The rules protect the worker and the requests that nobody debugs. They don't restrict what the developer does inside
a paused request: whoever may evaluate an expression may do everything that the application may.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stagedoor.errors import shortened

from .arguments import ATTACH_KEYS, DEBUG_OPTIONS, FORCED_ATTACH, attach_misfit
from .commands import COMMANDS, EVENTS, FAREWELLS, FORCED_DISCONNECT
from .judging import NO_URIS, NOTHING_PAUSED, Refuse
from .wire import Message

__all__ = [
    "ATTACH_KEYS",
    "DEBUG_OPTIONS",
    "EVENTS",
    "FAREWELLS",
    "FORCED_ATTACH",
    "FORCED_DISCONNECT",
    "RULES",
    "Pass",
    "Refuse",
    "Verdict",
    "from_client",
    "goes_on",
]


@dataclass(frozen=True, slots=True)
class Pass:
    """The message goes on to the debugger.

    Its ``command`` may be another one than the client's. So the answer belongs to the request with its
    ``request_seq``, and has to reach the client with the client's own command.

    :param message: what to send. The client's message itself is never changed.
    :param token: the ``stagedoorToken`` of an ``attach``, which isn't in ``message`` any more.
    :param sub_process_id: the ``subProcessId`` of an ``attach``: the process id of the worker that a child session
        is for.
    """

    message: Message
    token: str | None = field(default=None, repr=False)
    sub_process_id: int | None = None


Verdict = Pass | Refuse
_Rule = Callable[[Message], Verdict]


def from_client(message: Message) -> Verdict:
    """Whether a client's message goes on to the debugger of a worker, and as what.

    :param message: as :class:`stagedoor.dap.Decoder` gives it. Anything but a request is refused: pydevd's reader
        dies of it.
    """
    if message["type"] != "request":
        return Refuse(f"A client's {message['type']} is not for the debugger.", show_user=False)
    rule = RULES.get(message["command"])
    if rule is None:
        return Refuse(f"{shortened(message['command'])} is not supported by debugpy.", show_user=False)
    return rule(message)


def goes_on(event: Message) -> bool:
    """Whether the client gets an event of a debugger's.

    Of its other messages it gets none as they are: answers belong to the session that has asked, and with a request
    (``runInTerminal``, ``startDebugging``) a worker could run programs on the developer's machine.
    """
    return event["event"] in EVENTS


def _request(message: Message, command: str, arguments: Mapping[str, Any]) -> Message:
    return {"seq": message["seq"], "type": "request", "command": command, "arguments": arguments}


def _unchanged(message: Message) -> Verdict:
    return Pass(message)


def _replaced_by(command: str, arguments: Mapping[str, Any]) -> _Rule:
    return lambda message: Pass(_request(message, command, arguments))


def _refused(sentence: str, show_user: bool = True) -> _Rule:
    return lambda message: Refuse(sentence, show_user)


def _always_refused(command: str) -> _Rule:
    return _refused(COMMANDS[command].sentence, COMMANDS[command].show_user)


def _one_thread(message: Message) -> Verdict:
    arguments = message.get("arguments") or {}
    if type(arguments.get("threadId")) is not int:  # "*" means all of them
        return Refuse(f'"{message["command"]}" was refused: it needs "threadId", the number of one thread.')
    # Without singleThread pydevd continues every paused request. Its steps ignore the key and go by
    # steppingResumesAllThreads; DAP means it for them as well, so a later release may read it there.
    return Pass(_request(message, message["command"], arguments | {"singleThread": True}))


def _evaluate(message: Message) -> Verdict:
    if type((message.get("arguments") or {}).get("frameId")) is int:
        return Pass(message)
    return Refuse(NOTHING_PAUSED, show_user=False)  # the debug console prints it


def _initialize(message: Message) -> Verdict:
    if (message.get("arguments") or {}).get("pathFormat", "path") == "path":
        return Pass(message)
    return Refuse(NO_URIS)


def _attach(message: Message) -> Verdict:
    given = message.get("arguments") or {}
    if problem := attach_misfit(given):
        return Refuse(problem)
    arguments = {key: value for key, value in given.items() if key in ATTACH_KEYS} | FORCED_ATTACH
    if "debugOptions" in given:
        arguments["debugOptions"] = [option for option in given["debugOptions"] if option in DEBUG_OPTIONS]
    return Pass(_request(message, "attach", arguments), given.get("stagedoorToken"), given.get("subProcessId"))


#: What becomes of each request, but for :data:`FAREWELLS`.
RULES: Mapping[str, _Rule] = {
    "initialize": _initialize,
    "attach": _attach,
    "launch": _always_refused("launch"),
    "configurationDone": _unchanged,
    "setBreakpoints": _unchanged,
    "setFunctionBreakpoints": _unchanged,
    "setExceptionBreakpoints": _unchanged,
    "threads": _unchanged,
    "stackTrace": _unchanged,
    "scopes": _unchanged,
    "variables": _unchanged,
    "setVariable": _unchanged,
    "evaluate": _evaluate,
    "setExpression": _unchanged,
    "completions": _unchanged,
    "exceptionInfo": _unchanged,
    "modules": _unchanged,
    "source": _unchanged,
    "continue": _one_thread,
    "next": _one_thread,
    "stepIn": _one_thread,
    "stepInTargets": _unchanged,
    "stepOut": _one_thread,
    "gotoTargets": _unchanged,
    "goto": _one_thread,
    "pause": _refused("Pausing was refused: other people's requests would stop too. Set a breakpoint instead."),
    # Visual Studio sends it. What pydevd reads of it would undo what attach forces, or what is never traced:
    # answered, without effect.
    "setDebuggerProperty": _replaced_by("setDebuggerProperty", {}),
    "pydevdSystemInfo": _unchanged,  # versions and process ids
    "debugpySystemInfo": _replaced_by("pydevdSystemInfo", {}),  # debugpy's adapter does it, and adds its version
    "pydevdAuthorize": _always_refused("pydevdAuthorize"),
    "setPydevdSourceMap": _always_refused("setPydevdSourceMap"),
}
