"""Two sessions' numbers and paths in front of one real pydevd: each reaches its own paused thread, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagedoor.dap import wire
from stagedoor.dap.arguments import attach_to_worker
from stagedoor.dap.client import DapClient
from stagedoor.dap.commands import Phase
from stagedoor.dap.ids import IdTable
from stagedoor.dap.judging import GoesOn, Refuse, judged
from stagedoor.dap.paths import PathMappings
from stagedoor.dap.rules import Rule, decode, encode
from stagedoor.dap.translation import Outward, mapped_answer, mapped_arguments, mapped_event
from support.pydevd_process import Worker, worker_in


class Refused(Exception):
    """With the sentence."""


class Session:
    """What a multiplexer does for one of them."""

    def __init__(self, pydevd: DapClient, folder: Path) -> None:
        self.pydevd = pydevd
        self.ids = IdTable()
        self.paths = PathMappings([{"localRoot": "C:\\work", "remoteRoot": "."}], "windows", str(folder))

    def outward(self, request: int) -> Outward:
        return Outward.of(self.ids, self.paths, "w1", request)

    def stopped(self, request: int) -> int:
        stop = mapped_event(wire.event("stopped", self.pydevd.stopped()), self.outward(request))
        assert stop is not None
        return int(stop["body"]["threadId"])

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        message = {"seq": 1, "type": "request", "command": command, "arguments": arguments}
        verdict = judged(message, Phase.CONFIGURED)
        assert isinstance(verdict, GoesOn)
        concern = mapped_arguments(verdict.row, verdict.arguments, self.ids.meant, self.paths.to_server)
        if isinstance(concern, Refuse):
            raise Refused(concern.sentence)
        assert concern.worker == "w1"
        assert concern.request is not None
        body = self.pydevd.request(verdict.command, concern.arguments)
        return mapped_answer(verdict.row, body, self.outward(concern.request))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with worker_in(tmp_path) as running:
        yield running


@pytest.fixture
def pydevd(worker: Worker) -> Iterator[DapClient]:
    with DapClient(("127.0.0.1", worker.port), timeout=20) as connected:
        connected.attach({worker.script: [6]}, attach_to_worker({"clientOS": "windows", "justMyCode": False}))
        yield connected


def test_each_session_reaches_its_own_paused_thread_only(worker: Worker, pydevd: DapClient) -> None:
    anna, ben = Session(pydevd, worker.script.parent), Session(pydevd, worker.script.parent)
    worker.run(1)
    of_anna = anna.stopped(12)
    worker.run(2)
    # Ben has looked at more already, so that no two numbers are the same by chance.
    for number in range(40):
        ben.ids.given("w1", "module", number)
    of_ben = ben.stopped(13)
    assert of_anna != of_ben

    frames = anna.ask("stackTrace", threadId=of_anna)["stackFrames"]
    assert frames[0]["source"] == {"path": "C:\\work\\script.py", "sourceReference": 0}
    library = [frame["source"] for frame in frames if frame["source"]["path"].endswith("threading.py")]
    assert library
    assert anna.ids.meant("source", library[0]["sourceReference"]) is not None
    frame = frames[0]["id"]
    scope = anna.ask("scopes", frameId=frame)["scopes"][0]
    variables = anna.ask("variables", variablesReference=scope["variablesReference"])["variables"]
    assert ("number", "1") in [(each["name"], each["value"]) for each in variables]
    held = anna.ask("evaluate", expression="[number]", frameId=frame)
    inside = anna.ask("variables", variablesReference=held["variablesReference"])["variables"]
    assert "1" in [each["value"] for each in inside]

    theirs = ben.ask("stackTrace", threadId=of_ben)["stackFrames"][0]["id"]
    assert ben.ask("evaluate", expression="number", frameId=theirs)["result"] == "2"
    for command, arguments in (
        ("stackTrace", {"threadId": of_anna}),
        ("next", {"threadId": of_anna}),
        ("scopes", {"frameId": frame}),
        ("evaluate", {"expression": "number", "frameId": frame}),
        ("variables", {"variablesReference": scope["variablesReference"]}),
    ):
        with pytest.raises(Refused, match="not"):
            ben.ask(command, **arguments)

    assert ben.ask("continue", threadId=of_ben) == {"allThreadsContinued": False}
    assert worker.line() == "4"
    ben.ids.forget_thread("w1", 13)
    with pytest.raises(Refused, match="is not one of your requests, or is over by now"):
        ben.ask("stackTrace", threadId=of_ben)
    assert anna.ask("evaluate", expression="number", frameId=frame)["result"] == "1"
    anna.ask("continue", threadId=of_anna)
    assert worker.line() == "2"


def test_a_rule_comes_through_pydevd_as_it_was_set(worker: Worker, pydevd: DapClient) -> None:
    """pydevd evaluates it here, and says so: it is told what nothing ever evaluates as it stands."""
    rule = Rule("s1", "number > 1", "3", "größe {number}", "k")
    breakpoints = [{"line": 6, "condition": encode(rule)}]
    pydevd.request("setBreakpoints", {"source": {"path": str(worker.script)}, "breakpoints": breakpoints})
    worker.run(1)
    said = pydevd.wait_event("output", lambda body: "stagedoor:" in str(body.get("output")))["output"]
    line = next(line for line in said.splitlines() if "stagedoor:" in line)
    assert decode(line[line.index("stagedoor:") :].strip()) == (rule,)
