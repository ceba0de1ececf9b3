"""What a developer runs and changes in a paused request is in the audit log, with the developer and without values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from conftest import Start
from stagedoor.access.passes import make_passes
from stagedoor.dap.client import DapClient, RequestFailed
from stagedoor.dap.deeds import CHANGED, EVALUATED, INSTRUMENTED, JUMPED
from support import application
from support.application import stop_line
from support.gatekeepers import GatedServer, open_server
from support.scripted import RunningGatekeeper, ScriptedDebugger, ScriptedWorker, wait_console
from support.servers import ALLOWED
from support.waiting import wait_for

DEEDS = (EVALUATED, CHANGED, JUMPED, INSTRUMENTED)
FRAMES = {"stackFrames": [{"id": 900, "name": "view", "line": 12, "column": 1}]}
BODIES: dict[str, dict[str, Any]] = {
    "stackTrace": FRAMES,
    "scopes": {"scopes": [{"name": "Locals", "variablesReference": 901, "expensive": False}]},
    "evaluate": {"result": "a value", "variablesReference": 0},
    "gotoTargets": {"targets": [{"id": 5, "label": "20", "line": 20}]},
}


def records(worker: ScriptedWorker) -> list[dict[str, Any]]:
    """Those of what was done that the worker was given to write."""
    found = [message["audit"] for message in list(worker.told) if "audit" in message]
    return [record for record in found if record["event"] in DEEDS]


def wait_records(worker: ScriptedWorker, number: int) -> list[dict[str, Any]]:
    wait_for(lambda: len(records(worker)) >= number, f"{number} records, not {records(worker)}", timeout=5)
    return records(worker)


class Paused:
    """A request of somebody's that is paused at views.py:12."""

    def __init__(self, gatekeeper: RunningGatekeeper, token: str | None = None) -> None:
        self.worker = gatekeeper.worker()
        self.session: DapClient = gatekeeper.attach(stagedoorToken=token or gatekeeper.window.token)
        self.debugger: ScriptedDebugger = self.worker.bring_debugger(bodies=BODIES)
        wait_console(self.session, "joined")
        self.debugger.begin(1, label="GET /view?card=4711")
        self.debugger.stop(1)
        self.thread = int(self.session.stopped()["threadId"])
        (frame,) = self.session.stack(self.thread)
        self.frame = frame["id"]

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        return dict(self.session.request(command, arguments) or {})


def anna(gatekeeper: RunningGatekeeper) -> str:
    return make_passes("anna", gatekeeper.window.token).attach


def test_each_deed_is_recorded_with_developer_request_place_and_text(gatekeeper: RunningGatekeeper) -> None:
    paused = Paused(gatekeeper, anna(gatekeeper))
    (scope,) = paused.session.scopes(paused.frame)
    paused.ask("evaluate", frameId=paused.frame, expression="card", context="hover")
    paused.ask("evaluate", frameId=paused.frame, expression="card = '4711'", context="repl")
    paused.ask("completions", frameId=paused.frame, text="car", column=4)
    paused.ask("setVariable", variablesReference=scope["variablesReference"], name="card", value="'4711'")
    paused.ask("setExpression", frameId=paused.frame, expression="user.card", value="'4711'")
    source = {"path": str(Path(__file__))}
    (target,) = paused.ask("gotoTargets", source=source, line=20)["targets"]
    paused.ask("goto", threadId=paused.thread, targetId=target["id"])
    here = {"developer": "anna", "request": "GET /view", "place": "views.py:12"}
    expected = [
        (EVALUATED, here | {"how": "hover", "expression": "card"}),
        (CHANGED, here | {"how": "console", "expression": "card"}),
        (EVALUATED, here | {"how": "completions", "expression": "car"}),
        (CHANGED, here | {"how": "variables", "expression": "card"}),
        (CHANGED, here | {"how": "watch", "expression": "user.card"}),
        (JUMPED, here | {"to": f"{__file__}:20"}),
    ]
    found = wait_records(paused.worker, len(expected))
    assert [(record["event"], record["fields"]) for record in found] == expected
    assert found[0]["sentence"] == "anna, in GET /view at views.py:12, hover: card"
    assert "4711" not in str(paused.worker.told)
    assert "a value" not in str(paused.worker.told)


def test_conditions_hit_counts_and_log_messages_are_recorded_when_they_are_new(gatekeeper: RunningGatekeeper) -> None:
    worker, session = gatekeeper.worker(), gatekeeper.attach()
    breakpoints: list[dict[str, Any]] = [{"line": 3, "condition": "total > 3"}, {"line": 4}]
    source = {"path": __file__}
    session.request("setBreakpoints", {"source": source, "breakpoints": breakpoints})
    session.request("setBreakpoints", {"source": source, "breakpoints": [*breakpoints, {"line": 5}]})
    logging = {"line": 6, "logMessage": "{total}", "hitCondition": "2"}
    session.request("setBreakpoints", {"source": source, "breakpoints": [*breakpoints, logging]})
    session.request("setFunctionBreakpoints", {"breakpoints": [{"name": "pay", "condition": "total"}]})
    found = wait_records(worker, 4)
    assert [tuple(record["fields"][name] for name in ("place", "how", "expression")) for record in found] == [
        (f"{__file__}:3", "condition", "total > 3"),
        (f"{__file__}:6", "hit count", "2"),
        (f"{__file__}:6", "log message", "{total}"),
        ("pay", "condition", "total"),
    ]
    assert {(record["event"], record["fields"]["developer"]) for record in found} == {(INSTRUMENTED, "*")}


def test_what_is_refused_was_not_done(gatekeeper: RunningGatekeeper) -> None:
    paused = Paused(gatekeeper)
    for command, arguments in (
        ("evaluate", {"frameId": paused.frame + 100, "expression": "a"}),
        ("evaluate", {"expression": "a"}),
        ("setVariable", {"variablesReference": 12345, "name": "a", "value": "1"}),
        ("goto", {"threadId": paused.thread, "targetId": 12345}),
    ):
        with pytest.raises(RequestFailed):
            paused.ask(command, **arguments)
    paused.session.resume(paused.thread)
    paused.debugger.run_on(1)
    with suppress(RequestFailed):
        paused.ask("evaluate", frameId=paused.frame, expression="a")
    paused.session.disconnect()
    wait_for(lambda: any("detached" in line for line in paused.worker.audit()), "the record of its end")
    assert records(paused.worker) == []


def test_a_token_or_a_pass_that_is_typed_is_not_written(gatekeeper: RunningGatekeeper) -> None:
    paused = Paused(gatekeeper)
    token, hers = gatekeeper.window.token, make_passes("anna", gatekeeper.window.token)
    for secret in (token, hers.attach, hers.request):
        paused.ask("evaluate", frameId=paused.frame, expression=f"check({secret!r})", context="repl")
    assert [record["fields"]["expression"] for record in wait_records(paused.worker, 3)] == ["check('***')"] * 3
    assert not any(secret in str(paused.worker.told) for secret in (token, hers.attach, hers.request))


def test_texts_are_left_out_where_the_operator_says_so(start: Start) -> None:
    paused = Paused(start(audit_expressions=False))
    paused.ask("evaluate", frameId=paused.frame, expression="card", context="watch")
    paused.ask("setVariable", variablesReference=paused.session.scopes(paused.frame)[0]["variablesReference"],
               name="card", value="1")  # fmt: skip
    found = wait_records(paused.worker, 2)
    assert [record["sentence"] for record in found] == [
        "everybody's session, in GET /view at views.py:12, watch",
        "everybody's session, in GET /view at views.py:12, variables",
    ]
    assert "card" not in str(found)


def test_of_a_flood_it_is_said_how_much_there_was(gatekeeper: RunningGatekeeper) -> None:
    paused = Paused(gatekeeper)
    for _ in range(200):
        paused.ask("evaluate", frameId=paused.frame, expression="a", context="hover")
    paused.session.disconnect()

    def counted() -> int:
        found = records(paused.worker)
        return sum(record["fields"].get("suppressed", 1) for record in found)

    wait_for(lambda: counted() == 200, "all to be written or counted", timeout=5)
    assert len(records(paused.worker)) < 150


# -- With a real debugger ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedServer]:
    with open_server(tmp_path_factory.mktemp("server"), "workers=1 threads=4") as running:
        yield running


def test_the_applications_log_says_who_did_what_where(server: GatedServer) -> None:
    passes = make_passes("anna", str(server.token()))
    ide = server.ide("view", token=passes.attach)
    request = server.start_get("/view?mine", ALLOWED, headers={"X-Stagedoor-Token": passes.request})
    stop = ide.stopped()
    assert stop.session.evaluate("6 * 7", stop.frame()["id"]) == "42"
    stop.session.request(
        "evaluate", {"expression": "mine = 'no value'", "frameId": stop.frame()["id"], "context": "repl"}
    )  # fmt: skip
    stop.resume()
    request.answer()
    ide.disconnect()
    place = f"{application.__file__}:{stop_line('view')}"
    wait_for(lambda: "audit detached: anna" in server.log, "the end in the log")
    lines = re.findall(r"stagedoor\.audit (.*)", server.log)
    hers = [line for line in lines if "anna" in line and not line.startswith("matched")]
    assert hers[0].startswith("attached: anna has attached from")
    assert hers[1] == f"paused: GET /view of anna at {place}"
    assert re.fullmatch(rf"evaluated: anna, in GET /view at {re.escape(place)}, \w+: 6 \* 7", hers[2])
    assert hers[3] == f"changed: anna, in GET /view at {place}, console: mine"
    assert hers[4].startswith("resumed: GET /view of anna after ")
    assert hers[5].startswith("detached: anna")
    assert "no value" not in server.log
