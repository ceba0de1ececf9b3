"""The same script of requests against plain ``debugpy.listen`` and through the gatekeeper: the answers are the same.

But for those in :data:`DIFFERENCES`, each of which has its reason, and for numbers, which are a session's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stagedoor.dap.client import DapClient, RequestFailed
from stagedoor.dap.commands import COMMANDS
from stagedoor.gatekeeper.capabilities import CAPABILITIES
from support import inspected
from support.gatekeepers import GatedServer
from support.servers import ALLOWED, Pending, ServerProcess, free_port

FILE = inspected.__file__
VIEW, AFTER, DOUBLED = (inspected.line_of(name) for name in ("view", "after", "doubled"))
FAILING = inspected.line_of("failing")

INITIALIZE = {
    "clientID": "vscode", "adapterID": "debugpy", "pathFormat": "path", "linesStartAt1": True, "columnsStartAt1": True,
    "supportsVariableType": True, "supportsVariablePaging": True, "supportsMemoryReferences": True,
    "supportsStartDebuggingRequest": True,
}  # fmt: skip
ATTACH = {"type": "debugpy", "request": "attach", "justMyCode": True, "showReturnValue": True, "clientOS": "unix"}

#: Numbers that only mean something within one session, by their keys; those of lists by the list's key. What is a number
#: of the same things is in one series.
NUMBERS = {
    "frameId": "frame", "stackFrames": "frame", "variablesReference": "variables", "threadId": "thread",
    "threads": "thread", "targets": "target", "breakpoints": "breakpoint", "hitBreakpointIds": "breakpoint",
    "modules": "module", "moduleId": "module", "sourceReference": "source", "pid": "process", "ppid": "parent process",
}  # fmt: skip
#: Those of a pause: the next pause may have the same again, or others.
OF_A_PAUSE = ("frame", "variables", "target")
#: Those that are 0 where there is nothing.
NONE_IS_ZERO = ("variables", "thread", "source")

#: What differs between any two runs, within texts.
CHANGING = {
    r"0x[0-9a-f]{6,}": "<address>",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ": "<time>",
    r"\(worker \d+\)": "(worker <process>)",
}


class Normalizer:
    """Replaces what differs between any two runs by what it stands for."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[int, str]] = {}

    def pauses(self) -> None:
        for series in OF_A_PAUSE:
            self._numbers.pop(series, None)

    def __call__(self, value: Any, key: str = "", list_key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self(inner, name, list_key) for name, inner in value.items()}
        if isinstance(value, list):
            return [self(inner, "", key) for inner in value]
        series = NUMBERS.get(list_key if key in ("id", "") else key)
        if series is not None and isinstance(value, int) and (value or series not in NONE_IS_ZERO):
            numbers = self._numbers.setdefault(series, {})
            return numbers.setdefault(value, f"<{series} {len(numbers)}>")
        if isinstance(value, str):
            for pattern, name in CHANGING.items():
                value = re.sub(pattern, name, value)
        return value


class Script:
    """One run of all requests, on one session; what was answered, by the name of the step."""

    def __init__(
        self, session: DapClient, trigger: Callable[[str], Pending], file: str = FILE, **arguments: Any
    ) -> None:
        self.answers: dict[str, Any] = {}
        self.commands: set[str] = set()
        self.events: dict[str, Any] = {}
        self.session = session
        self.file = file
        self.attach_arguments: dict[str, Any] = ATTACH | arguments
        self._trigger = trigger
        self._normalized = Normalizer()
        self._thread = 0
        self._frame = 0

    def ask(self, name: str, command: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        assert name not in self.answers, name
        self.commands.add(command)
        try:
            body = self.session.request(command, arguments)
            self.answers[name] = {"success": True, "body": self._normalized(body)}
        except RequestFailed as failure:
            self.answers[name] = {"success": False, "message": self._normalized(failure.sentence)}
            return {}
        return body

    def stopped(self, name: str) -> None:
        body = self.session.stopped()
        self._normalized.pauses()
        self._thread = body["threadId"]
        self.events[name] = self._normalized(body)
        frames = self.ask(f"{name}, stack", "stackTrace", {"threadId": self._thread})["stackFrames"]
        self._frame = frames[0]["id"]

    def run(self) -> None:
        self.configure()
        request = self._trigger("/view")
        self.stopped("stopped at a breakpoint")
        self.change_breakpoints()
        self.look_at_values()
        self.evaluate()
        self.change()
        self.ask_for_what_is_not_there()
        self.move()
        self.ask("continue", "continue", {"threadId": self._thread})
        request.answer()
        self.stop_at_an_exception()
        self.ask("disconnect", "disconnect", {"restart": False, "terminateDebuggee": False})

    def configure(self) -> None:
        self.ask("capabilities", "initialize", INITIALIZE)
        self.ask("initialize again", "initialize", INITIALIZE)
        attach = self.session.send("attach", self.attach_arguments)
        self.session.wait_event("initialized")
        self.set_breakpoints("before any request")
        self.ask("exception filters", "setExceptionBreakpoints", {"filters": ["raised"]})
        self.ask("configurationDone", "configurationDone")
        self.answers["attach"] = self._normalized(self.session.wait_response(attach))
        self.ask("configurationDone again", "configurationDone")

    def set_breakpoints(self, when: str) -> None:
        source = {"source": {"path": self.file}}
        beyond = [{"line": VIEW}, {"line": DOUBLED + 500}]
        self.ask(f"breakpoints {when}", "setBreakpoints", source | {"breakpoints": beyond})
        full = {"line": DOUBLED, "condition": "number > 100", "hitCondition": ">= 2", "logMessage": "{number}"}
        conditional = source | {"breakpoints": [{"line": VIEW}, full]}
        self.ask(f"conditional breakpoints {when}", "setBreakpoints", conditional)
        missing = {"source": {"path": "/nowhere/app.py"}, "breakpoints": [{"line": 1}]}
        self.ask(f"breakpoints in no file {when}", "setBreakpoints", missing)
        functions = {"breakpoints": [{"name": "nobody"}]}
        self.ask(f"function breakpoints {when}", "setFunctionBreakpoints", functions)

    def change_breakpoints(self) -> None:
        self.set_breakpoints("while paused")
        self.ask("no breakpoints", "setBreakpoints", {"source": {"path": "/nowhere/app.py"}, "breakpoints": []})
        self.ask("other exception filters", "setExceptionBreakpoints", {"filters": ["raised", "uncaught"]})
        self.ask("the same exception filters", "setExceptionBreakpoints", {"filters": ["raised"]})

    def look_at_values(self) -> None:
        self.ask("threads", "threads")
        thread = {"threadId": self._thread}
        self.ask("one frame", "stackTrace", thread | {"startFrame": 0, "levels": 1})
        self.ask("the second frame", "stackTrace", thread | {"startFrame": 1, "levels": 1})
        self.ask("formatted frames", "stackTrace", thread | {"format": {"module": True, "line": True}})
        scopes = self.ask("scopes", "scopes", {"frameId": self._frame})["scopes"]
        local, module = (scope["variablesReference"] for scope in scopes)
        found = self.ask("locals", "variables", {"variablesReference": local})["variables"]
        references = {variable["name"]: variable["variablesReference"] for variable in found}
        self.ask("globals", "variables", {"variablesReference": module})
        self.ask("a page of locals", "variables", {"variablesReference": local, "start": 1, "count": 2})
        numbers = {"variablesReference": references["numbers"]}
        self.ask("a list", "variables", numbers)
        self.ask("a page of a list", "variables", numbers | {"filter": "indexed", "start": 100, "count": 5})
        self.ask("a page in hexadecimal", "variables", numbers | {"start": 9, "count": 3, "format": {"hex": True}})
        for name in ("basket", "nested", "empty"):
            self.ask(f"the variable {name}", "variables", {"variablesReference": references[name]})
        self.ask("modules", "modules", {"startModule": 0, "moduleCount": 0})
        self.ask("a source", "source", {"source": {"path": self.file}, "sourceReference": 0})
        self.ask("system information", "debugpySystemInfo")
        self.ask("pydevd's system information", "pydevdSystemInfo")
        self.ask("debugger properties", "setDebuggerProperty", {"debuggerProperties": {}})

    def evaluate(self) -> None:
        frame = {"frameId": self._frame}
        for context in ("hover", "watch", "repl", "clipboard", "variables"):
            for kind, expression in {
                "a value": "nested",
                "an unknown name": "unknown_name",
                "no expression": "1 +",
                "an error": "1 / 0",
            }.items():
                self.ask(f"{context}, {kind}", "evaluate", {"expression": expression, "context": context} | frame)
        self.ask("a statement", "evaluate", {"expression": "made = numbers[:2]", "context": "repl"} | frame)
        self.ask(
            "a block", "evaluate", {"expression": "for n in made:\n    total = n\ntotal", "context": "repl"} | frame
        )
        self.ask("print", "evaluate", {"expression": "print('hello')", "context": "repl"} | frame)
        self.ask("hex", "evaluate", {"expression": "255", "context": "watch", "format": {"hex": True}} | frame)
        self.ask("in no frame", "evaluate", {"expression": "1", "context": "repl"})
        self.ask("in an unknown frame", "evaluate", {"expression": "1", "context": "watch", "frameId": 987654321})
        self.ask("completions", "completions", {"text": "basket.it", "column": 10} | frame)
        self.ask("completions of nothing", "completions", {"text": "", "column": 1} | frame)
        self.ask("completions in an unknown frame", "completions", {"text": "a", "column": 2, "frameId": 987654321})

    def change(self) -> None:
        frame = {"frameId": self._frame}
        local = self.ask("scopes again", "scopes", frame)["scopes"][0]["variablesReference"]
        self.ask("set a variable", "setVariable", {"variablesReference": local, "name": "nothing", "value": "[1, 2]"})
        self.ask("set it badly", "setVariable", {"variablesReference": local, "name": "nothing", "value": "1 +"})
        self.ask("set what is not there", "setVariable", {"variablesReference": 987654321, "name": "x", "value": "1"})
        self.ask("set an expression", "setExpression", {"expression": "basket.tax", "value": "19"} | frame)
        self.ask("set it wrongly", "setExpression", {"expression": "basket.tax", "value": "unknown_name"} | frame)
        self.ask("set no expression", "setExpression", {"expression": "1 + 1", "value": "3"} | frame)
        self.ask("what was set", "evaluate", {"expression": "nothing, basket.tax", "context": "watch"} | frame)

    def ask_for_what_is_not_there(self) -> None:
        unknown = 987654321
        self.ask("scopes of an unknown frame", "scopes", {"frameId": unknown})
        self.ask("unknown variables", "variables", {"variablesReference": unknown})
        self.ask("the stack of an unknown thread", "stackTrace", {"threadId": unknown})
        self.ask("the exception of an unknown thread", "exceptionInfo", {"threadId": unknown})
        self.ask("an unknown source", "source", {"sourceReference": 4242})
        self.ask("an unknown jump", "goto", {"threadId": self._thread, "targetId": unknown})
        self.ask("targets of an unknown frame", "stepInTargets", {"frameId": unknown})
        self.ask("an unknown command", "setFutureBreakpoints", {"breakpoints": []})
        self.ask("launch", "launch", {"program": self.file})
        self.ask("attach again", "attach", ATTACH)

    def move(self) -> None:
        thread = {"threadId": self._thread}
        self.ask("step in", "stepIn", thread)
        self.stopped("stopped after stepping in")
        self.ask("step out", "stepOut", thread)
        self.stopped("stopped after stepping out")
        self.ask("step over", "next", thread)
        self.stopped("stopped after stepping over")
        places = self.ask("jump targets", "gotoTargets", {"source": {"path": self.file}, "line": VIEW})["targets"]
        self.ask("jump back", "goto", thread | {"targetId": places[0]["id"]})
        self.stopped("stopped after jumping")
        targets = self.ask("step targets", "stepInTargets", {"frameId": self._frame})["targets"]
        self.ask("step into one", "stepIn", thread | {"targetId": targets[-1]["id"]})
        self.stopped("stopped in the target")

    def stop_at_an_exception(self) -> None:
        self._normalized = Normalizer()  # another thread, among others
        request = self._trigger("/failing")
        self.stopped("stopped at an exception")
        self.ask("the exception", "exceptionInfo", {"threadId": self._thread})
        self.ask("no exception filters", "setExceptionBreakpoints", {"filters": []})
        self.ask("continue past the exception", "continue", {"threadId": self._thread})
        assert request.answer().status == 500


def run_plain(folder: Path, kind: type[Script] = Script, **told: Any) -> Script:
    port = free_port()
    environ = {"STAGEDOOR_TESTS_BARE": "1", "STAGEDOOR_TESTS_LISTEN": str(port)}
    server = ServerProcess(folder, "waitress", app="support.inspected:application", **environ)
    try:
        with DapClient(("127.0.0.1", port)) as session:
            script = kind(session, lambda path: server.start_get(path, ALLOWED), **told)
            script.run()
            return script
    finally:
        server.stop()
        print(server.log)


def run_gated(folder: Path, kind: type[Script] = Script, **told: Any) -> Script:
    server = GatedServer(folder, "waitress", app="support.inspected:application")
    try:
        server.open()
        server.joined()
        with DapClient(("127.0.0.1", server.debug_port), source_address=(ALLOWED, 0)) as session:
            script = kind(session, lambda path: server.start_get(path, ALLOWED), **told, stagedoorToken=server.token())
            script.run()
        return script
    finally:
        server.stop()
        print(server.log)


# The differences: what makes the one answer of the other, and why.

Change = Callable[[dict[str, Any]], dict[str, Any]]


def refused(part: str) -> Change:
    return lambda plain: {"success": False, "message": part}


def body(**changed: Any) -> Change:
    return lambda plain: plain | {"body": plain["body"] | changed}


def without(*keys: str) -> Change:
    return lambda plain: plain | {"body": {key: value for key, value in plain["body"].items() if key not in keys}}


def without_labels(*labels: str) -> Change:
    def change(plain: dict[str, Any]) -> dict[str, Any]:
        targets = [each for each in plain["body"]["targets"] if each["label"] not in labels]
        return plain | {"body": {"targets": targets}}

    return change


def unverified(message: str, *lines: int) -> Change:
    """Breakpoints that no worker has: so many as lines."""

    def change(plain: dict[str, Any]) -> dict[str, Any]:
        found = plain["body"]["breakpoints"]
        places = [{"line": line} for line in lines] or [{} for _ in found]
        sources = [{"source": each["source"]} if each["source"] else {} for each in found]
        return plain | {
            "body": {
                "breakpoints": [
                    {"id": each["id"], "verified": False, "message": message, **place, **source}
                    for each, place, source in zip(found, places, sources, strict=True)
                ]
            }
        }

    return change


def without_empty_sources(plain: dict[str, Any]) -> dict[str, Any]:
    found = plain["body"]["breakpoints"]
    return plain | {"body": {"breakpoints": [{k: v for k, v in each.items() if k != "source" or v} for each in found]}}


#: Capabilities that are never announced. debugpy's adapter spells one of them with an s too many.
WITHHELD = (
    "supportsTerminateRequest", "supportTerminateDebuggee", "supportsTerminateDebuggee", "supportSuspendDebuggee",
    "supportsRestartRequest", "supportsTerminateThreadsRequest",
)  # fmt: skip
#: pydevd knows no more of them than the exception filters say.
UNREAD = ("supportsExceptionOptions",)

WAITS = "Waits for the first of your requests."
NO_FILE = (
    "There is no /nowhere/app.py on this server. No entry of pathMappings is about /nowhere/app.py. Check remoteRoot in"
    " pathMappings of your launch configuration."
)
LATE = "a worker joins with the first request, and nobody knows before what it makes of a breakpoint"
SAYS_WHERE = "what to look at is said"
OWN = "a number is looked up among the session's own, and nothing else goes on to a worker"
NO_FRAME = "Frame 987654321 is not one of your paused requests', or that runs on by now."
NO_REFERENCE = "Reference 987654321 is not of one of your paused requests, or that runs on by now."
NO_THREAD = "Thread 987654321 is not one of your requests, or is over by now."

DIFFERENCES: dict[str, tuple[str, Change]] = {
    "capabilities": ("nothing that a client sends ends a worker", without(*WITHHELD, *UNREAD)),
    "breakpoints before any request": (LATE, unverified(WAITS, VIEW, DOUBLED + 500)),
    "conditional breakpoints before any request": (LATE, unverified(WAITS, VIEW, DOUBLED)),
    "function breakpoints before any request": (LATE, unverified(WAITS)),
    "function breakpoints while paused": ("a function's file isn't known, and isn't {} then", without_empty_sources),
    "breakpoints in no file before any request": (SAYS_WHERE, unverified(NO_FILE, 1)),
    "breakpoints in no file while paused": (SAYS_WHERE, unverified(NO_FILE, 1)),
    "threads": (
        "the threads are the developer's requests, behind the window's entry",
        body(
            threads=[
                {"id": "<thread 1>", "name": "open until <time>, 1 worker, 1 paused"},
                {"id": "<thread 0>", "name": "GET /view (worker <process>)"},
            ]
        ),
    ),
    "a source": ("a refusal is a sentence", refused("A source without a reference is a file of your own.")),
    "in no frame": (
        "nothing is evaluated in a thread that is not paused",
        refused(
            "Nothing is evaluated while no request is paused: it would run in some thread of the server. "
            "Stop a request at a breakpoint and select one of its frames."
        ),
    ),
    "in an unknown frame": (OWN, refused(NO_FRAME)),
    "completions in an unknown frame": (OWN, refused(NO_FRAME)),
    "scopes of an unknown frame": (OWN, refused(NO_FRAME)),
    "targets of an unknown frame": (OWN, refused(NO_FRAME)),
    "set what is not there": (OWN, refused(NO_REFERENCE)),
    "unknown variables": (OWN, refused(NO_REFERENCE)),
    "the stack of an unknown thread": (OWN, refused(NO_THREAD)),
    "the exception of an unknown thread": (OWN, refused(NO_THREAD)),
    "an unknown source": (OWN, refused("Source 4242 was not shown in this session.")),
    "an unknown jump": (OWN, refused("Target 987654321 is not one that this session has asked for.")),
    "system information": ("the gatekeeper does not load debugpy, and can't tell its version", without("debugpy")),
    "an unknown command": (
        "commands are a whitelist", refused("'setFutureBreakpoints' is not supported by debugpy.")
    ),
    "completions of nothing": (
        "debugpy adds two functions to everybody's builtins", without_labels("execfile", "runfile")
    ),
    "launch": (
        "nothing is launched", refused('"launch" was refused: the application runs already. Use "request": "attach".')
    ),
    "attach again": ("debugpy says that it is not initialized yet", refused("Session is already started")),
    "continue": ("one request continues", body(allThreadsContinued=False)),
    "continue past the exception": ("one request continues", body(allThreadsContinued=False)),
}  # fmt: skip

#: Of every ``stopped`` event: one request stops.
STOPPED = {"allThreadsStopped": False}

#: The events that only one of the two sends, or sends at other times, and why.
EVENTS = {
    "debugpySockets": "names debugpy's inner ports",
    "debugpyWaitingForServer": "names debugpy's inner ports",
    "process": "a session has many processes, which come and go",
    "thread": "of requests, not of the server's threads",
    "breakpoint": "a worker confirms what was answered before there was one",
    "module": "debugpy's adapter sends it beside its answers; the gatekeeper before the answer that speaks of it, as pydevd",
}
#: Of ``output`` events: what debugpy says of itself, what Stagedoor says, and pydevd's warnings of what was slow.
TOLD = ("telemetry", "console", "important")


def order(script: Script) -> list[str]:
    """What came, in the order in which it came, without :data:`EVENTS`."""
    came = []
    for message in script.session.received:
        if message["type"] == "response":
            came.append(f"answer to {message['command']}")
        elif message["event"] not in EVENTS and (message.get("body") or {}).get("category") not in TOLD:
            came.append(message["event"])
    return came


def outputs(script: Script) -> list[tuple[str, str]]:
    bodies = [message["body"] for message in script.session.events if message["event"] == "output"]
    return [(body["category"], body["output"]) for body in bodies if body["category"] not in TOLD]


def modules(script: Script) -> list[dict[str, Any]]:
    found = [message["body"] for message in script.session.events if message["event"] == "module"]
    return [{**each["module"], "id": 0, "reason": each["reason"]} for each in found]


MAPPINGS = [{"localRoot": "/home/anna/shop", "remoteRoot": str(Path(FILE).parent)}]
#: How a client names the file, and what it tells with its attach.
CLIENTS: dict[str, dict[str, Any]] = {
    "the server's paths": {},
    "paths of its own": {"file": f"/home/anna/shop/{Path(FILE).name}", "pathMappings": MAPPINGS},
}


@pytest.fixture(scope="module", params=CLIENTS.values(), ids=CLIENTS.keys())
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Script, Script]:
    folder = tmp_path_factory.mktemp("both")
    return run_plain(folder, **request.param), run_gated(folder, **request.param)


@pytest.fixture
def plain(both: tuple[Script, Script]) -> Script:
    return both[0]


@pytest.fixture
def gated(both: tuple[Script, Script]) -> Script:
    return both[1]


def test_every_answer_is_the_same_but_for_the_differences(plain: Script, gated: Script) -> None:
    assert len(plain.answers) >= 90
    assert list(plain.answers) == list(gated.answers)
    expected = {
        name: DIFFERENCES[name][1](answer) if name in DIFFERENCES else answer for name, answer in plain.answers.items()
    }
    different = {name: {"expected": expected[name], "is": gated.answers[name]} for name in expected}
    assert {name: both for name, both in different.items() if both["expected"] != both["is"]} == {}


def test_every_difference_is_one(plain: Script, gated: Script) -> None:
    assert [name for name in DIFFERENCES if plain.answers[name] == gated.answers[name]] == []


def test_what_is_withheld_is_not_announced(plain: Script) -> None:
    assert not {*WITHHELD, *UNREAD} & set(CAPABILITIES)


def test_every_stop_is_the_same_but_concerns_one_request(plain: Script, gated: Script) -> None:
    assert len(plain.events) >= 7
    assert {name: event | STOPPED for name, event in plain.events.items()} == gated.events


def test_events_and_answers_come_in_the_same_order(plain: Script, gated: Script) -> None:
    assert order(plain).count("stopped") == order(plain).count("continued") == len(plain.events)
    assert order(gated) == order(plain)


def test_every_event_that_only_one_sends_is_listed(plain: Script, gated: Script) -> None:
    sent = [{message["event"] for message in script.session.events} for script in (plain, gated)]
    assert (sent[0] ^ sent[1]) <= set(EVENTS)


def test_what_is_printed_and_the_modules_are_told_alike(plain: Script, gated: Script) -> None:
    assert ("stdout", "hello") in outputs(plain)
    assert outputs(gated) == outputs(plain)
    assert modules(gated) == modules(plain)


def test_a_module_is_told_before_the_answer_that_speaks_of_it(gated: Script) -> None:
    known = set()
    for message in gated.session.received:
        body = message.get("body") or {}
        if message.get("event") == "module":
            known.add(body["module"]["id"])
        elif message.get("command") == "stackTrace" and message["success"]:
            assert {frame["moduleId"] for frame in body["stackFrames"] if "moduleId" in frame} <= known


class InTheLibraries(Script):
    """Frames of files that the client does not have, and their text."""

    def run(self) -> None:
        self.ask("capabilities", "initialize", INITIALIZE)
        attach = self.session.send("attach", self.attach_arguments)
        self.session.wait_event("initialized")
        source = {"source": {"path": self.file}, "breakpoints": [{"line": VIEW}]}
        self.session.request("setBreakpoints", source)
        self.ask("configurationDone", "configurationDone")
        self.session.wait_response(attach)
        request = self._trigger("/view")
        self._thread = self.session.stopped()["threadId"]
        frames = self.ask("stack", "stackTrace", {"threadId": self._thread})["stackFrames"]
        for number, frame in enumerate(frames):
            self.ask(f"source {number}", "source", {"sourceReference": frame["source"]["sourceReference"]})
        self.ask("exception", "exceptionInfo", {"threadId": self._thread})
        self.ask("modules", "modules", {})
        self.session.resume(self._thread)
        request.answer()
        self.ask("disconnect", "disconnect", {"restart": False, "terminateDebuggee": False})


def test_files_that_the_client_does_not_have_are_shown_alike(tmp_path: Path) -> None:
    told = CLIENTS["paths of its own"] | {"justMyCode": False, "kind": InTheLibraries}
    plain, gated = run_plain(tmp_path, **told), run_gated(tmp_path, **told)
    references = [frame["source"]["sourceReference"] for frame in plain.answers["stack"]["body"]["stackFrames"]]
    assert len(set(references)) >= 4
    assert gated.answers["stack"] == plain.answers["stack"]
    different = {name for name, answer in plain.answers.items() if gated.answers[name] != answer}
    # Both refuse the text of what the client has itself.
    assert different == {"capabilities", *(f"source {n}" for n, reference in enumerate(references) if not reference)}
    assert not any(gated.answers[name]["success"] for name in different - {"capabilities"})


def test_the_script_asks_everything_that_the_table_lets_through(plain: Script) -> None:
    # They would stop or end everybody in the plain run, or are none of an IDE's.
    not_asked = {"pause", "terminate", "pydevdAuthorize", "setPydevdSourceMap"}
    assert plain.commands - {"setFutureBreakpoints"} == set(COMMANDS) - not_asked
