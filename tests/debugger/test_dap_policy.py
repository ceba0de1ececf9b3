"""The policy on messages: the table, what it rests on in debugpy's sources, and its effect on the real debugger."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from stagedoor.dap import policy, wire
from stagedoor.dap.client import DapClient
from stagedoor.dap.policy import FORCED_ATTACH, Pass, Refuse, from_client, goes_on
from stagedoor.dap.wire import Message
from support.pydevd_process import Worker, worker_in


def request(command: str, arguments: object = None) -> Message:
    message: Message = {"seq": 7, "type": "request", "command": command}
    return message if arguments is None else message | {"arguments": arguments}


def attached(**arguments: Any) -> Message:
    return request("attach", FORCED_ATTACH | arguments)


UNCHANGED = {
    "configurationDone": None,
    "setBreakpoints": {"source": {"path": "/app.py"}, "breakpoints": [{"line": 1, "condition": "x"}]},
    "setFunctionBreakpoints": {"breakpoints": [{"name": "view"}]},
    "setExceptionBreakpoints": {"filters": ["uncaught"]},
    "threads": None,
    "stackTrace": {"threadId": 1},
    "scopes": {"frameId": 1},
    "variables": {"variablesReference": 1, "start": 0, "count": 100},
    "setVariable": {"variablesReference": 1, "name": "x", "value": "2"},
    "setExpression": {"expression": "x", "value": "2", "frameId": 1},
    "completions": {"text": "x.", "column": 3},
    "exceptionInfo": {"threadId": 1},
    "modules": {},
    "source": {"sourceReference": 3},
    "stepInTargets": {"frameId": 1},
    "gotoTargets": {"source": {"path": "/app.py"}, "line": 3},
    "pydevdSystemInfo": None,
    "initialize": {"adapterID": "debugpy", "pathFormat": "path"},
    "evaluate": {"expression": "x", "frameId": 1, "context": "watch"},
}


@pytest.mark.parametrize(("command", "arguments"), UNCHANGED.items(), ids=UNCHANGED.keys())
def test_it_passes_unchanged(command: str, arguments: object) -> None:
    assert from_client(request(command, arguments)) == Pass(request(command, arguments))


REWRITTEN = {
    "continue resumes one thread": (
        request("continue", {"threadId": 2}),
        request("continue", {"threadId": 2, "singleThread": True}),
    ),
    "continue resumes one thread even if all are asked for": (
        request("continue", {"threadId": 2, "singleThread": False}),
        request("continue", {"threadId": 2, "singleThread": True}),
    ),
    "a step resumes one thread": (
        request("next", {"threadId": 2, "granularity": "line"}),
        request("next", {"threadId": 2, "granularity": "line", "singleThread": True}),
    ),
    "a step in resumes one thread": (
        request("stepIn", {"threadId": 2, "targetId": 5}),
        request("stepIn", {"threadId": 2, "targetId": 5, "singleThread": True}),
    ),
    "a step out resumes one thread": (
        request("stepOut", {"threadId": 2}),
        request("stepOut", {"threadId": 2, "singleThread": True}),
    ),
    "a jump concerns one thread": (
        request("goto", {"threadId": 2, "targetId": 0}),
        request("goto", {"threadId": 2, "targetId": 0, "singleThread": True}),
    ),
    "debugger properties have no effect": (
        request("setDebuggerProperty", {"multiThreadsSingleNotification": True, "dontTraceStartPatterns": []}),
        request("setDebuggerProperty", {}),
    ),
    "the system information is pydevd's": (request("debugpySystemInfo"), request("pydevdSystemInfo", {})),
    "attach always says what is forced": (request("attach"), attached()),
    "attach can't freeze everybody": (request("attach", {"stopAllThreadsOnSuspend": True}), attached()),
    "attach can't make a step resume everybody": (request("attach", {"steppingResumesAllThreads": True}), attached()),
    "attach can't end the application's processes": (request("attach", {"terminateChildProcesses": True}), attached()),
    "attach can't redirect everybody's output": (request("attach", {"redirectOutput": True}), attached()),
    "attach can't load changed code": (request("attach", {"autoReload": {"enable": True}}), attached()),
    "attach keeps how code is shown": (
        request("attach", {"justMyCode": False, "django": True, "rules": [{"path": "/x", "include": False}]}),
        attached(justMyCode=False, django=True, rules=[{"path": "/x", "include": False}]),
    ),
    "attach keeps where the files are": (
        request("attach", {"pathMappings": [{"localRoot": "/a", "remoteRoot": "."}], "clientOS": "Windows"}),
        attached(pathMappings=[{"localRoot": "/a", "remoteRoot": "."}], clientOS="Windows"),
    ),
    "attach keeps the debug options that only concern the view": (
        request("attach", {"debugOptions": ["RedirectOutput", "ShowReturnValue", "Multiprocess", "Jinja", "Future"]}),
        attached(debugOptions=["ShowReturnValue", "Jinja"]),
    ),
    "attach drops what overrides the debug options": (
        request("attach", {"options": "REDIRECT_OUTPUT=True", "isOutputRedirected": True}),
        attached(),
    ),
    "attach drops what is unknown": (
        request("attach", {"name": "x", "type": "debugpy", "connect": {"port": 1}, "__sessionId": "1", "future": {}}),
        attached(),
    ),
}


@pytest.mark.parametrize(("message", "expected"), REWRITTEN.values(), ids=REWRITTEN.keys())
def test_rewriting(message: Message, expected: Message) -> None:
    assert from_client(message) == Pass(expected)


REFUSED = {
    "launch": (request("launch", {"program": "x.py"}), "runs already"),
    "attach by process id": (request("attach", {"processId": 1}), '"processId" was refused'),
    "attach by process id, even if it is none": (request("attach", {"processId": None}), '"processId" was refused'),
    "attach that listens": (request("attach", {"listen": {"port": 1}}), '"listen" was refused'),
    "attach without debugging": (request("attach", {"noDebug": True}), '"noDebug" was refused'),
    "a token that is a number": (request("attach", {"stagedoorToken": 1}), '"stagedoorToken" was refused'),
    "a token that can't be encoded": (request("attach", {"stagedoorToken": "\ud800"}), '"stagedoorToken" was refused'),
    "a subprocess that is no number": (request("attach", {"subProcessId": "1"}), '"subProcessId" was refused'),
    "a subprocess that is true": (request("attach", {"subProcessId": True}), '"subProcessId" was refused'),
    "path mappings that are no list": (request("attach", {"pathMappings": {}}), '"pathMappings" was refused'),
    "path mappings of strings": (request("attach", {"pathMappings": ["/a"]}), '"pathMappings" was refused'),
    "path mappings to nothing": (
        request("attach", {"pathMappings": [{"localRoot": "/a", "remoteRoot": None}]}),
        '"pathMappings" was refused',
    ),
    "rules that are no list": (request("attach", {"rules": "all"}), '"rules" was refused'),
    "rules for numbers": (request("attach", {"rules": [{"path": 1, "include": False}]}), '"rules" was refused'),
    "debug options that are no list": (request("attach", {"debugOptions": "Jinja"}), '"debugOptions" was refused'),
    "debug options that are lists": (request("attach", {"debugOptions": [[]]}), '"debugOptions" was refused'),
    "an operating system that pydevd doesn't know": (
        request("attach", {"clientOS": "linux"}),
        '"clientOS" was refused',
    ),
    "pause": (request("pause", {"threadId": 1}), "other people's requests"),
    "evaluate without arguments": (request("evaluate"), "while no request is paused"),
    "evaluate without a frame": (request("evaluate", {"expression": "1"}), "while no request is paused"),
    "evaluate in no frame": (request("evaluate", {"expression": "1", "frameId": None}), "while no request is paused"),
    "evaluate in all threads": (request("evaluate", {"expression": "1", "frameId": "*"}), "while no request is paused"),
    "continue without arguments": (request("continue"), '"threadId"'),
    "continue all threads": (request("continue", {"threadId": "*"}), '"threadId"'),
    "step in all threads": (request("next", {"threadId": "*"}), '"threadId"'),
    "jump in all threads": (request("goto", {"threadId": "*", "targetId": 0}), '"threadId"'),
    "paths as URIs": (request("initialize", {"pathFormat": "uri"}), "URIs"),
    "the adapter's login": (request("pydevdAuthorize", {"debugServerAccessToken": "x"}), "debugpy's own adapter"),
    "source maps": (request("setPydevdSourceMap", {}), "notebooks"),
    "a command that pydevd knows but doesn't answer": (request("loadedSources"), "'loadedSources' is not supported"),
    "a command in other case": (request("Terminate"), "'Terminate' is not supported"),
    "a command that doesn't exist": (request("x" * 1000), "not supported"),
    "a response": ({"seq": 1, "type": "response", "request_seq": 1, "success": True, "command": "x"}, "response"),
    "an event": ({"seq": 1, "type": "event", "event": "x"}, "event"),
}


@pytest.mark.parametrize(("message", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_refusing(message: Message, reason: str) -> None:
    verdict = from_client(message)
    assert isinstance(verdict, Refuse)
    assert reason in verdict.sentence
    assert verdict.sentence.endswith(".")
    assert len(verdict.sentence) < 200


def test_a_refusal_that_the_debug_console_shows_anyway_is_not_shown_twice() -> None:
    assert from_client(request("evaluate")) == Refuse(from_client(request("evaluate")).sentence, show_user=False)  # type: ignore[union-attr]
    assert from_client(request("pause")) == Refuse(from_client(request("pause")).sentence, show_user=True)  # type: ignore[union-attr]


def test_what_the_gatekeeper_needs_of_an_attach_comes_out_apart() -> None:
    message = request("attach", {"stagedoorToken": "s3cret", "subProcessId": 4242, "justMyCode": True})
    verdict = from_client(message)
    assert verdict == Pass(attached(justMyCode=True), token="s3cret", sub_process_id=4242)
    assert "s3cret" not in repr(verdict)


def test_the_clients_message_is_never_changed() -> None:
    arguments = {"stagedoorToken": "x", "debugOptions": ["RedirectOutput"], "threadId": 1}
    for command in policy.RULES:
        message = request(command, dict(arguments))
        from_client(message)
        assert message == request(command, arguments)


def event(name: str, body: Message | None = None) -> Message:
    return {"seq": 1, "type": "event", "event": name, "body": body}


FROM_DEBUGGER = {
    "a stop": (event("stopped", {"threadId": 1}), True),
    "an output": (event("output", {"output": "x"}), True),
    "the end of the process": (event("exited", {"exitCode": 0}), True),
    "the end of the session": (event("terminated"), True),
    "the ports of the adapter": (event("debugpySockets", {"sockets": []}), False),
    "a session to start on the developer's machine": (event("debugpyAttach", {"request": "launch"}), False),
    "a wish for keyboard input": (event("pydevdInputRequested", {}), False),
    "an event that nobody knows": (event("future"), False),
}


@pytest.mark.parametrize(("message", "expected"), FROM_DEBUGGER.values(), ids=FROM_DEBUGGER.keys())
def test_from_the_debugger(message: Message, expected: bool) -> None:
    assert goes_on(message) == expected


# What the policy rests on in debugpy's sources: a release that knows more than this needs new decisions.


def source(path: str) -> str:
    spec = find_spec("debugpy")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / path).read_text(encoding="utf-8")


PYDEVD = source("_vendored/pydevd/_pydevd_bundle/pydevd_process_net_command_json.py")
ADAPTER = source("adapter/clients.py")


def test_every_request_that_debugpy_handles_has_a_rule() -> None:
    handled = set(re.findall(r"def on_(\w+)_request\(", PYDEVD))
    handled |= {name.lower() for name in re.findall(r"def (\w+)_request\(", ADAPTER)}
    assert handled == {command.lower() for command in {*policy.RULES, *policy.FAREWELLS}}


# The effect on the real debugger: pydevd itself answers, without debugpy's adapter in between.


class GatedClient(DapClient):
    """Sends what the policy makes of each request, and leaves as the gatekeeper does."""

    def send(self, command: str, arguments: Mapping[str, Any] | None = None) -> int:
        if command in policy.FAREWELLS:
            return super().send("disconnect", policy.FORCED_DISCONNECT)
        verdict = from_client(wire.request(command, arguments) | {"seq": 0})
        assert isinstance(verdict, Pass)
        return super().send(verdict.message["command"], verdict.message.get("arguments"))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with worker_in(tmp_path) as running:
        yield running


@pytest.fixture
def client(worker: Worker) -> Iterator[DapClient]:
    with GatedClient(("127.0.0.1", worker.port), timeout=20) as connected:
        asked = {"redirectOutput": True, "stopAllThreadsOnSuspend": True, "steppingResumesAllThreads": True}
        connected.attach({worker.script: [6]}, asked)
        yield connected


def paused(worker: Worker, client: DapClient, number: int) -> int:
    """A thread of the worker that is paused at the breakpoint with this number."""
    worker.run(number)
    stop = client.stopped()
    assert stop["allThreadsStopped"] is False
    return int(stop["threadId"])


def test_continue_resumes_one_thread_and_nobodys_output_is_redirected(worker: Worker, client: DapClient) -> None:
    first, second = paused(worker, client, 1), paused(worker, client, 2)
    assert client.resume(second) == {"allThreadsContinued": False}
    assert worker.line() == "4"
    assert client.evaluate("number", client.stack(first)[0]["id"]) == "1"
    assert client.resume(first) == {"allThreadsContinued": False}
    assert worker.line() == "2"
    outputs = [message["body"] for message in client.events if message["event"] == "output"]
    assert "stdout" not in [output.get("category") for output in outputs]


def test_a_step_resumes_one_thread(worker: Worker, client: DapClient) -> None:
    first, second = paused(worker, client, 1), paused(worker, client, 2)
    client.next(second)
    assert client.stopped()["threadId"] == second
    assert client.evaluate("result", client.stack(second)[0]["id"]) == "4"
    client.next(second)  # off its last line
    assert worker.line() == "4"
    assert client.evaluate("number", client.stack(first)[0]["id"]) == "1"


def test_terminate_leaves_the_worker_running(worker: Worker, client: DapClient) -> None:
    paused(worker, client, 1)
    client.request("terminate")
    assert worker.line() == "2"
    worker.run(2)
    assert worker.line() == "4"
    assert worker.process.poll() is None
