"""The decision table on a client's messages: every request of DAP, in every phase of a session."""

from __future__ import annotations

from typing import Any

import pytest

from stagedoor.dap.arguments import FORCED_ATTACH
from stagedoor.dap.commands import COMMANDS, FAREWELLS, Phase
from stagedoor.dap.judging import AnsweredHere, GoesOn, Refuse, judged
from stagedoor.dap.wire import Message

SOURCE = {"path": "/app.py"}

#: Every request of a client's in the specification (1.70) and of debugpy's own, with arguments that nothing is wrong with.
RIGHT: dict[str, dict[str, Any]] = {
    "initialize": {"adapterID": "debugpy", "pathFormat": "path"},
    "attach": {"stagedoorToken": "s3cret", "justMyCode": False},
    "launch": {"program": "x.py"},
    "configurationDone": {},
    "disconnect": {"terminateDebuggee": True},
    "terminate": {},
    "setBreakpoints": {"source": SOURCE, "breakpoints": [{"line": 1, "condition": "x", "hitCondition": "2"}]},
    "setFunctionBreakpoints": {"breakpoints": [{"name": "view", "condition": "x"}]},
    "setExceptionBreakpoints": {"filters": ["uncaught"], "exceptionOptions": [{"breakMode": "always", "path": []}]},
    "threads": {},
    "modules": {"startModule": 0, "moduleCount": 9},
    "source": {"sourceReference": 3, "source": {"sourceReference": 3, "path": "/x"}},
    "gotoTargets": {"source": SOURCE, "line": 3},
    "setDebuggerProperty": {"multiThreadsSingleNotification": True, "dontTraceStartPatterns": []},
    "pydevdSystemInfo": {},
    "debugpySystemInfo": {},
    "pydevdAuthorize": {"debugServerAccessToken": "x"},
    "setPydevdSourceMap": {},
    "stackTrace": {"threadId": 1, "startFrame": 0, "levels": 20},
    "scopes": {"frameId": 1},
    "variables": {"variablesReference": 1, "start": 0, "count": 100},
    "setVariable": {"variablesReference": 1, "name": "x", "value": "2"},
    "evaluate": {"expression": "x", "frameId": 1, "context": "watch"},
    "setExpression": {"expression": "x", "value": "2", "frameId": 1},
    "completions": {"text": "x.", "column": 3, "frameId": 1},
    "exceptionInfo": {"threadId": 1},
    "stepInTargets": {"frameId": 1},
    "continue": {"threadId": 2},
    "next": {"threadId": 2, "granularity": "line"},
    "stepIn": {"threadId": 2, "targetId": 5},
    "stepOut": {"threadId": 2},
    "goto": {"threadId": 2, "targetId": 5},
    "pause": {"threadId": 2},
    # debugpy has none of these.
    "breakpointLocations": {"source": SOURCE, "line": 1},
    "cancel": {"requestId": 1},
    "dataBreakpointInfo": {"name": "x", "variablesReference": 1},
    "disassemble": {"memoryReference": "0x1", "instructionCount": 1},
    "loadedSources": {},
    "locations": {"locationReference": 1},
    "readMemory": {"memoryReference": "0x1", "count": 1},
    "restart": {},
    "restartFrame": {"frameId": 1},
    "reverseContinue": {"threadId": 1},
    "setDataBreakpoints": {"breakpoints": []},
    "setInstructionBreakpoints": {"breakpoints": []},
    "stepBack": {"threadId": 1},
    "terminateThreads": {"threadIds": [1]},
    "writeMemory": {"memoryReference": "0x1", "data": ""},
}

FIRST, UNKNOWN, LATE, EARLY = "The first request", "is not supported by debugpy", "already", 'came before "attach"'
OVER, UNCONFIGURED, HERE = "This session is over.", 'came before "configurationDone"', "here"
CLOSED = [FIRST, EARLY, UNCONFIGURED, "goes on", OVER]
KNOWN = [FIRST, EARLY, HERE, HERE, OVER]
NEVER = [FIRST, UNKNOWN, UNKNOWN, UNKNOWN, OVER]


def never(sentence: str) -> list[str]:
    return [FIRST, sentence, sentence, sentence, OVER]


#: By phase: before initialize, initialized, attached, configured, over.
DECISIONS: dict[str, list[str]] = {
    "initialize": [HERE, LATE, LATE, LATE, OVER],
    "attach": [FIRST, HERE, LATE, LATE, OVER],
    "configurationDone": [FIRST, EARLY, HERE, "only allowed during handling", OVER],
    "disconnect": [HERE] * 5,
    "terminate": [HERE] * 5,
    "launch": never("the application runs already"),
    "pydevdAuthorize": never("debugpy's own adapter"),
    "setPydevdSourceMap": never("notebooks"),
    **dict.fromkeys(
        [
            "setBreakpoints", "setFunctionBreakpoints", "setExceptionBreakpoints", "threads", "modules", "source",
            "gotoTargets", "setDebuggerProperty", "pydevdSystemInfo", "debugpySystemInfo",
        ],
        KNOWN,
    ),
    **dict.fromkeys(
        [
            "stackTrace", "scopes", "variables", "setVariable", "evaluate", "setExpression", "completions",
            "exceptionInfo", "stepInTargets", "continue", "next", "stepIn", "stepOut", "goto", "pause",
        ],
        CLOSED,
    ),
    **dict.fromkeys(
        [
            "breakpointLocations", "cancel", "dataBreakpointInfo", "disassemble", "loadedSources", "locations",
            "readMemory", "restart", "restartFrame", "reverseContinue", "setDataBreakpoints",
            "setInstructionBreakpoints", "stepBack", "terminateThreads", "writeMemory",
        ],
        NEVER,
    ),
}  # fmt: skip


def request(command: str, arguments: object = None) -> Message:
    message: Message = {"seq": 7, "type": "request", "command": command}
    return message if arguments is None else message | {"arguments": arguments}


def test_every_request_is_decided() -> None:
    assert DECISIONS.keys() == RIGHT.keys()
    assert COMMANDS.keys() <= RIGHT.keys()


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize("command", RIGHT)
def test_every_request_in_every_phase(command: str, phase: Phase) -> None:
    message = request(command, RIGHT[command])
    verdict, expected = judged(message, phase), DECISIONS[command][phase]
    if isinstance(verdict, Refuse):
        assert expected not in (HERE, "goes on")
        assert expected in verdict.sentence
    else:
        assert expected == (HERE if isinstance(verdict, AnsweredHere) else "goes on")
        assert verdict.row is COMMANDS[command]
    assert message == request(command, RIGHT[command]), "the client's message is never changed"


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize("message", [
    {"seq": 1, "type": "response", "request_seq": 1, "success": True, "command": "x"},
    {"seq": 1, "type": "event", "event": "stopped"},
])  # fmt: skip
def test_what_is_no_request_is_refused_in_every_phase(message: Message, phase: Phase) -> None:
    assert judged(message, phase) == Refuse(f"A client's {message['type']} is not for the debugger.", show_user=False)


def configured(command: str, arguments: object = None) -> Any:
    return judged(request(command, arguments), Phase.CONFIGURED)


@pytest.mark.parametrize("command", ["Terminate", "x" * 1000, ""])
def test_a_command_that_doesnt_exist(command: str) -> None:
    verdict = configured(command)
    assert "is not supported by debugpy" in verdict.sentence
    assert len(verdict.sentence) < 200


@pytest.mark.parametrize("asked", [{}, {"singleThread": False}, {"singleThread": "no"}])
@pytest.mark.parametrize("command", ["continue", "next", "stepIn", "stepOut", "goto"])
def test_it_resumes_one_thread_even_if_all_are_asked_for(command: str, asked: dict[str, Any]) -> None:
    verdict = configured(command, RIGHT[command] | asked)
    assert (verdict.command, verdict.arguments) == (command, RIGHT[command] | {"singleThread": True})


def test_pause_is_the_workers_own() -> None:
    verdict = configured("pause", {"threadId": 2})
    assert isinstance(verdict, GoesOn)
    assert verdict.command == "stagedoorPause"


NEEDED = {
    command: row.ids[0].place
    for command, row in COMMANDS.items()
    if row.goes_on and command not in ("evaluate", "completions")
}


@pytest.mark.parametrize("value", [None, "*", "1", True, 1.5, [1], {}])
@pytest.mark.parametrize(("command", "place"), NEEDED.items())
def test_what_goes_on_needs_a_number_of_the_sessions(command: str, place: str, value: object) -> None:
    verdict = configured(command, RIGHT[command] | {place: value})
    assert verdict.sentence == f'"{command}" was refused: "{place}" has to be a number.'
    assert configured(command) == configured(command, {}) == verdict


def test_nothing_goes_on_to_all_workers() -> None:
    for row in COMMANDS.values():
        assert row.goes_on == any(each.needed for each in row.ids)


@pytest.mark.parametrize("frame", [{}, {"frameId": None}, {"frameId": "*"}, {"frameId": True}])
def test_nothing_is_evaluated_without_a_frame(frame: dict[str, Any]) -> None:
    verdict = configured("evaluate", {"expression": "1"} | frame)
    assert "while no request is paused" in verdict.sentence
    assert not verdict.show_user, "the debug console prints it"


@pytest.mark.parametrize("frame", [{}, {"frameId": None}])
def test_nothing_is_completed_without_a_frame(frame: dict[str, Any]) -> None:
    verdict = configured("completions", {"text": "x", "column": 1} | frame)
    assert isinstance(verdict, AnsweredHere)
    assert verdict.body == {"targets": []}
    assert "frameId" in configured("completions", {"text": "x", "column": 1, "frameId": "*"}).sentence


def test_debugger_properties_have_no_effect() -> None:
    assert configured("setDebuggerProperty", RIGHT["setDebuggerProperty"]).body == {}


MISFITS: dict[str, tuple[Message, str]] = {
    "breakpoints without a source": (request("setBreakpoints", {"breakpoints": []}), '"source" has to be an object'),
    "a source that is a text": (request("setBreakpoints", {"source": "x"}), '"source" has to be an object'),
    "a path that is a number": (request("setBreakpoints", {"source": {"path": 1}}), '"source.path" has to be a text'),
    "a reference that is a text": (
        request("setBreakpoints", {"source": {"sourceReference": "1"}}), '"source.sourceReference" has to be a number',
    ),
    "breakpoints that are no list": (request("setBreakpoints", {"source": SOURCE, "breakpoints": 1}), "a list"),
    "a breakpoint that is none": (request("setBreakpoints", {"source": SOURCE, "breakpoints": [None]}), "an object"),
    "a breakpoint without a line": (
        request("setBreakpoints", {"source": SOURCE, "breakpoints": [{"line": 1}, {}]}),
        '"breakpoints[].line" has to be a number',
    ),
    "a line that is true": (
        request("setBreakpoints", {"source": SOURCE, "breakpoints": [{"line": True}]}),
        '"breakpoints[].line" has to be a number',
    ),
    "a condition that is a list": (
        request("setBreakpoints", {"source": SOURCE, "breakpoints": [{"line": 1, "condition": []}]}),
        '"breakpoints[].condition" has to be a text',
    ),
    "a function without a name": (
        request("setFunctionBreakpoints", {"breakpoints": [{}]}), '"breakpoints[].name" has to be a text',
    ),
    "a filter that is a number": (request("setExceptionBreakpoints", {"filters": [1]}), '"filters[]" has to be a text'),
    "a module that is a text": (request("modules", {"startModule": "0"}), '"startModule" has to be a number'),
    "a target without a line": (request("gotoTargets", {"source": SOURCE}), '"line" has to be a number'),
    "a step into a target that is a text": (
        request("stepIn", {"threadId": 1, "targetId": "1"}), '"targetId" has to be a number',
    ),
    "a jump to nowhere": (request("goto", {"threadId": 1}), '"targetId" has to be a number'),
    "paths as URIs": (request("initialize", {"pathFormat": "uri"}), "URIs"),
    "attach by process id": (request("attach", {"processId": None}), '"processId" was refused'),
    "attach that listens": (request("attach", {"listen": {"port": 1}}), '"listen" was refused'),
    "attach without debugging": (request("attach", {"noDebug": True}), '"noDebug" was refused'),
    "a token that is a number": (request("attach", {"stagedoorToken": 1}), '"stagedoorToken" was refused'),
    "a token that can't be encoded": (request("attach", {"stagedoorToken": "\ud800"}), '"stagedoorToken" was refused'),
    "path mappings of strings": (request("attach", {"pathMappings": ["/a"]}), '"pathMappings" was refused'),
    "path mappings that are no list": (request("attach", {"pathMappings": {}}), '"pathMappings" was refused'),
    "path mappings to nothing": (
        request("attach", {"pathMappings": [{"localRoot": "/a", "remoteRoot": None}]}), '"pathMappings" was refused',
    ),
    "rules that are no list": (request("attach", {"rules": "all"}), '"rules" was refused'),
    "rules for numbers": (request("attach", {"rules": [{"path": 1, "include": False}]}), '"rules" was refused'),
    "debug options that are no list": (request("attach", {"debugOptions": "Jinja"}), '"debugOptions" was refused'),
    "debug options that are lists": (request("attach", {"debugOptions": [[]]}), '"debugOptions" was refused'),
    "an operating system that pydevd doesn't know": (
        request("attach", {"clientOS": "linux"}), '"clientOS" was refused',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("message", "reason"), MISFITS.values(), ids=MISFITS.keys())
def test_what_cant_be_read_is_refused(message: Message, reason: str) -> None:
    phases = COMMANDS[message["command"]].phases
    for phase in phases:
        verdict = judged(message, phase)
        assert isinstance(verdict, Refuse)
        assert reason in verdict.sentence
        assert verdict.sentence.endswith(".")


VALUES = [None, "x", "\ud800", 0, 1, 1.5, True, [], {}, [1], [None], {"a": 1}, 10**30, -1]


def variants(value: Any) -> Any:
    yield from VALUES
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        for other in variants(value[key]):
            yield value | {key: other} if isinstance(value, dict) else [*value[:key], other, *value[key + 1 :]]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_arguments_break_it(command: str) -> None:
    for arguments in variants(RIGHT[command]):
        if isinstance(arguments, dict | None):  # the decoder sees to that
            for phase in COMMANDS[command].phases:
                verdict = judged(request(command, arguments), phase)
                assert not isinstance(verdict, Refuse) or len(verdict.sentence) < 300


FORCED = FORCED_ATTACH | {"clientOS": "unix"}
ATTACHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "what is forced": ({}, {}),
    "nobody is frozen": ({"stopAllThreadsOnSuspend": True}, {}),
    "no step resumes everybody": ({"steppingResumesAllThreads": True}, {}),
    "the application's processes live": ({"terminateChildProcesses": True}, {}),
    "everybody's output stays": ({"redirectOutput": True, "isOutputRedirected": True}, {}),
    "no code is loaded": ({"autoReload": {"enable": True}}, {}),
    "how code is shown": ({"justMyCode": False, "jinja": True}, {"justMyCode": False, "jinja": True}),
    "what is the developer's own code": (
        {"rules": [{"path": "/x", "include": False}]}, {"rules": [{"path": "/x", "include": False}]},
    ),
    "paths are mapped here": (
        {"pathMappings": [{"localRoot": "/a", "remoteRoot": "."}], "clientOS": "windows", "workspaceFolder": "/w"}, {},
    ),
    "options that concern the view": (
        {"debugOptions": ["RedirectOutput", "Jinja", "WindowsClient", "UnixClient", "Future"]},
        {"debugOptions": ["Jinja"]},
    ),
    "what is unknown": ({"name": "x", "connect": {}, "guiEventLoop": "os", "options": "X=1", "subProcessId": 1}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), ATTACHES.values(), ids=ATTACHES.keys())
def test_what_a_workers_debugger_is_told_with_attach(given: dict[str, Any], expected: dict[str, Any]) -> None:
    verdict = judged(request("attach", given), Phase.INITIALIZED)
    assert isinstance(verdict, AnsweredHere)
    assert verdict.arguments == expected | FORCED


def test_the_token_comes_out_apart() -> None:
    verdict = judged(request("attach", {"stagedoorToken": "s3cret"}), Phase.INITIALIZED)
    assert isinstance(verdict, AnsweredHere)
    assert verdict.token == "s3cret"
    assert "stagedoorToken" not in verdict.arguments
    assert "s3cret" not in repr(verdict)


def test_what_the_ide_asks_by_itself_shows_no_notification() -> None:
    shown = {command for command, row in COMMANDS.items() if row.show_user}
    assert shown == {
        "initialize", "attach", "configurationDone", "launch", "continue", "next", "stepIn", "stepOut", "goto", "pause",
    }  # fmt: skip


def test_farewells_never_go_on() -> None:
    assert not any(COMMANDS[command].goes_on for command in FAREWELLS)
