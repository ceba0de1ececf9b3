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

from .arguments import attach_misfit
from .wire import Message


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


@dataclass(frozen=True, slots=True)
class Refuse:
    """The message stays here, and the client gets an error response (:func:`stagedoor.dap.error_response`).

    :param sentence: what was refused, why and what to do instead.
    :param show_user: whether the client should show it in a notification of its own.
    """

    sentence: str
    show_user: bool = True


Verdict = Pass | Refuse
_Rule = Callable[[Message], Verdict]

#: The keys of ``attach`` that go on: how the client's files are called here, what counts as the developer's own
#: code, how values are shown. Dropped, besides all that nobody reads: ``host``, ``port``, ``connect`` (how the
#: client got here), ``options`` (would override ``debugOptions``), ``onTerminate``, ``program``, ``stopOnEntry``
#: (for launch, or for what is forced off), ``isOutputRedirected`` (hides what an expression prints) and
#: ``guiEventLoop`` (pydevd imports what it names).
ATTACH_KEYS = frozenset({
    "breakOnSystemExit", "breakOnSystemExitZero", "clientOS", "debugOptions", "debugStdLib", "django", "flask",
    "jinja", "justMyCode", "maxExceptionStackFrames", "pathMappings", "resolveSymlinks", "rules", "showReturnValue",
    "variablePresentation",
})  # fmt: skip

#: What every ``attach`` says, whatever the client asked for.
FORCED_ATTACH: dict[str, object] = {
    "stopAllThreadsOnSuspend": False,  # a breakpoint would freeze everybody's requests
    "steppingResumesAllThreads": False,  # pydevd's default: a step would continue every paused request
    "terminateChildProcesses": False,  # pydevd's default: the application's processes are not ours to end
    "redirectOutput": False,  # everybody's output, with what is in it, would go to the client
    "autoReload": {"enable": False},  # changed code would be loaded into the worker for everybody
}

#: The members of ``debugOptions`` that go on, older spellings of keys above. VS Code also sends ``RedirectOutput``
#: (forced off) and ``Multiprocess`` (read by nobody); the rest is about launching.
DEBUG_OPTIONS = frozenset({
    "BreakOnSystemExitZero", "DebugStdLib", "Django", "Flask", "Jinja", "ShowReturnValue", "UnixClient",
    "WindowsClient",
})  # fmt: skip

#: The events of pydevd that go on. Not ``debugpyAttach`` (a worker could start sessions on the developer's machine),
#: ``debugpySockets`` (names inner ports) and ``pydevdInputRequested`` (a server has no keyboard).
EVENTS = frozenset({
    "breakpoint", "continued", "exited", "initialized", "module", "output", "process", "stopped", "terminated",
    "thread",
})  # fmt: skip

#: The requests with which a client leaves. The gatekeeper answers them itself, and lets go of the debugger in its own
#: way: as a client means them, pydevd could end the worker.
FAREWELLS = frozenset({"disconnect", "terminate"})

#: What a debugger is told with ``disconnect`` when a client has left.
FORCED_DISCONNECT: dict[str, object] = {"terminateDebuggee": False}


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
    return Refuse(
        "Nothing is evaluated while no request is paused: it would run in some thread of the server. "
        "Stop a request at a breakpoint and select one of its frames.",
        show_user=False,  # the debug console prints it
    )


def _initialize(message: Message) -> Verdict:
    if (message.get("arguments") or {}).get("pathFormat", "path") == "path":
        return Pass(message)
    return Refuse('The client writes paths as URIs, and debugpy reads only "pathFormat": "path".')


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
    "launch": _refused('"launch" was refused: the application runs already. Use "request": "attach".'),
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
    "pydevdAuthorize": _refused('"pydevdAuthorize" is for debugpy\'s own adapter.', show_user=False),
    "setPydevdSourceMap": _refused('"setPydevdSourceMap" is for notebooks.', show_user=False),
}
