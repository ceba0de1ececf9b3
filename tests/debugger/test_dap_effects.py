"""What the table of commands forces, and its effect on the real debugger, without debugpy's adapter in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stagedoor.dap.arguments import attach_to_worker
from stagedoor.dap.client import DapClient
from stagedoor.dap.commands import COMMANDS, FORCED_DISCONNECT
from stagedoor.dap.judging import GoesOn, judged
from support.pydevd_process import Worker, worker_in


class GatedClient(DapClient):
    """Sends what becomes of each request, and leaves as the gatekeeper does."""

    def send(self, command: str, arguments: Mapping[str, Any] | None = None) -> int:
        if command == "attach":
            arguments = attach_to_worker(arguments or {})
        elif COMMANDS[command].goes_on:
            message = {"seq": 0, "type": "request", "command": command, "arguments": arguments}
            verdict = judged(message, min(COMMANDS[command].phases))
            assert isinstance(verdict, GoesOn)
            command, arguments = verdict.command, verdict.arguments
        elif command == "disconnect":
            arguments = FORCED_DISCONNECT
        return super().send(command, arguments)


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


def test_what_a_debugger_is_told_at_the_end_leaves_the_worker_running(worker: Worker, client: DapClient) -> None:
    paused(worker, client, 1)
    client.request("disconnect", {"terminateDebuggee": True})
    assert worker.line() == "2"
    worker.run(2)
    assert worker.line() == "4"
    assert worker.process.poll() is None
