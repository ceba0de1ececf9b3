"""Arguments: what of an ``attach`` is refused, and that pydevd answers whatever is not, and lives."""

from __future__ import annotations

import copy
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from stagedoor.dap import wire
from stagedoor.dap.arguments import attach_misfit
from stagedoor.dap.commands import COMMANDS
from stagedoor.dap.judging import GoesOn, Refuse, judged
from stagedoor.tracing import Tracing


def test_a_rule_of_justmycode_names_a_path_or_a_module() -> None:
    assert attach_misfit({"rules": [{"path": "/app", "include": True}, {"module": "app", "include": False}]}) is None
    assert "rules" in (attach_misfit({"rules": [{"path": True, "include": True}]}) or "")


# The real debugger

VALUES = [None, "x", "a\0b", "\ud800", 0, 1, 1.5, True, [], {}, [1], {"a": 1}, 10**30, -1]
CONDITIONS = {"condition": "x", "hitCondition": "1", "logMessage": "a"}
RIGHT: dict[str, dict[str, Any]] = {
    "setBreakpoints": {"source": {"path": "/a.py"}, "breakpoints": [{"line": 1, "column": 1} | CONDITIONS]},
    "setFunctionBreakpoints": {"breakpoints": [{"name": "f"} | CONDITIONS]},
    "setExceptionBreakpoints": {
        "filters": ["raised"],
        "exceptionOptions": [
            {"path": [{"names": ["Python Exceptions"]}, {"names": ["KeyError"]}], "breakMode": "always"}
        ],
    },
    "stackTrace": {"threadId": 1, "startFrame": 0, "levels": 20, "format": {}},
    "scopes": {"frameId": 1},
    "variables": {"variablesReference": 1, "filter": "named", "start": 0, "count": 1, "format": {}},
    "setVariable": {"variablesReference": 1, "name": "a", "value": "1"},
    "evaluate": {"expression": "1", "frameId": 1, "context": "repl"},
    "setExpression": {"expression": "a", "value": "1", "frameId": 1},
    "completions": {"text": "a", "column": 1, "line": 1, "frameId": 1},
    "exceptionInfo": {"threadId": 1},
    "source": {"sourceReference": 1, "source": {"path": "/a", "sourceReference": 1}},
    "stepIn": {"threadId": 1, "targetId": 1},
    "stepInTargets": {"frameId": 1},
    "gotoTargets": {"source": {"path": "/a.py"}, "line": 1},
    "goto": {"threadId": 1, "targetId": 1},
    "continue": {"threadId": 1},
    "next": {"threadId": 1, "granularity": "line"},
    "stepOut": {"threadId": 1},
    "threads": {},
    "modules": {"startModule": 0, "moduleCount": 0},
    "attach": {
        "pathMappings": [{"localRoot": "a", "remoteRoot": "b"}],
        "rules": [{"path": "a", "include": True}],
        "variablePresentation": {"all": "group"},
        "breakOnSystemExit": [1, {"from": 1, "to": 2}],
        "maxExceptionStackFrames": 1,
        "resolveSymlinks": True,
        "clientOS": "unix",
        "debugOptions": ["Jinja"],
        "justMyCode": True,
    },
    "configurationDone": {},
    "pydevdSystemInfo": {"anything": 1},
    "initialize": {"adapterID": "x", "clientID": "y"},
}


#: What the gatekeeper asks pydevd itself, in another form than a client's, or of all workers.
ALSO_ASKED = {
    "initialize", "attach", "configurationDone", "setBreakpoints", "setFunctionBreakpoints", "setExceptionBreakpoints",
    "gotoTargets", "source", "pydevdSystemInfo",
}  # fmt: skip


def test_every_command_that_goes_on_is_tried() -> None:
    go_on = {command for command, row in COMMANDS.items() if row.goes_on and row.sent_as is None}
    assert go_on | ALSO_ASKED <= set(RIGHT)


def asked(command: str, arguments: Any) -> tuple[str, Any] | None:
    """What pydevd is asked for a client's request, or ``None`` if that is answered before."""
    row = COMMANDS[command]
    message = {"seq": 1, "type": "request", "command": command, "arguments": arguments}
    verdict = judged(message, min(row.phases))
    if isinstance(verdict, Refuse):
        return None
    if isinstance(verdict, GoesOn):
        return verdict.command, verdict.arguments
    return None if verdict.body is not None else (command, verdict.arguments)


class Silent:
    """Nobody listens to what the debugger does."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


class Pydevd:
    """pydevd in this process, and its other end."""

    def __init__(self) -> None:
        theirs, self._ours = socket.socketpair()
        self._ours.settimeout(5)
        self._decoder = wire.Decoder()
        self._seq = 0
        self._tracing = Tracing(Silent())
        self._tracing.start_over(theirs)
        # Before an attach it reads nothing of a breakpoint.
        self.ask("attach", {})
        assert self.answers()

    def ask(self, command: str, arguments: object) -> None:
        self._seq += 1
        self._ours.sendall(wire.encode({"type": "request", "command": command, "arguments": arguments}, self._seq))

    def answers(self) -> bool:
        """Whether it answers what it was asked last."""
        while data := self._ours.recv(65536):
            if any(message.get("request_seq") == self._seq for message in self._decoder.feed(data)):
                return True
        return False

    def close(self) -> None:
        self._ours.close()
        self._tracing.stop()


@pytest.fixture(scope="module")
def pydevd() -> Iterator[Pydevd]:
    with closing(Pydevd()) as running:
        yield running


def variants(arguments: Any, value: Any = None) -> Iterator[Any]:
    """The arguments, with each part of them absent or of each other type."""
    for key in arguments if isinstance(arguments, dict) else range(len(arguments)):
        changed = copy.copy(arguments)
        del changed[key]
        yield changed
        inner = variants(arguments[key]) if isinstance(arguments[key], dict | list) else ()
        for other in (*VALUES, *inner):
            changed = copy.copy(arguments)
            changed[key] = other
            yield changed


@pytest.mark.parametrize(("command", "arguments"), RIGHT.items(), ids=RIGHT.keys())
def test_pydevd_answers_whatever_is_not_refused(pydevd: Pydevd, command: str, arguments: dict[str, Any]) -> None:
    passed = 0
    for variant in [arguments, *variants(arguments)]:
        if (question := asked(command, variant)) is not None:
            passed += 1
            pydevd.ask(*question)
            # What it leaves to a thread, such as a jump, it answers when that thread is paused.
            assert command == "goto" or pydevd.answers(), variant
            pydevd.ask("threads", {})
            assert pydevd.answers(), variant
    assert passed
