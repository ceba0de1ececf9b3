"""Sessions with real workers, their real debugger and a client as VS Code is one."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stagedoor.control import protocol
from stagedoor.control.connection import ControlConnection
from stagedoor.dap.client import RequestFailed
from stagedoor.dap.ide import Ide, Stop
from support import application
from support.application import stop_line
from support.gatekeepers import GatedServer, open_server
from support.servers import ALLOWED, is_listening
from support.stage import Stage
from support.waiting import wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedServer]:
    """Two workers of four threads, and an open window."""
    with open_server(tmp_path_factory.mktemp("server"), "workers=2 threads=4") as running:
        yield running


@pytest.fixture
def ide(server: GatedServer) -> Iterator[Ide]:
    attached = server.ide("view")
    yield attached
    attached.disconnect()
    wait_for(lambda: server.status()["sessions"] == [], "the gatekeeper to notice that the client is gone")


def paused_in_each_worker(server: GatedServer, ide: Ide) -> dict[int, list[Stop]]:
    """Have requests paused, at least one in each of the two workers; returns the stops by worker."""
    stops: dict[int, list[Stop]] = {}
    while len(stops) < 2 or sum(map(len, stops.values())) < 3:
        request = server.start_get("/view?mine", ALLOWED)
        stop = ide.stopped()
        pid = stop.worker()
        stops.setdefault(pid, []).append(stop)
        if len(stops[pid]) > 2:
            # One more, and the worker could have no other paused.
            stops[pid].remove(stop)
            stop.resume()
            request.answer()
    return stops


def test_several_requests_are_paused_at_once_and_continued_each_on_its_own(server: GatedServer, ide: Ide) -> None:
    stops = paused_in_each_worker(server, ide)
    pauses = [pause for worker in server.status()["workers"] for pause in worker["paused"]]
    assert len(pauses) == sum(map(len, stops.values())) >= 3
    assert {pause["place"] for pause in pauses} == {f"{application.__file__}:{stop_line('view')}"}
    everything = [stop for found in stops.values() for stop in found]
    while everything:
        everything.pop(0).resume()
        left = len(everything)
        wait_for(lambda left=left: paused(server) == left, f"{left} to be paused", timeout=2)
        for stop in everything:
            assert stop.frame()["line"] == stop_line("view")  # Still where it was.


def paused(server: GatedServer) -> int:
    return sum(len(worker["paused"]) for worker in server.status()["workers"])


def test_attaching_again_hits_in_the_very_next_request(server: GatedServer) -> None:
    for _ in range(10):
        with server.ide("view") as attached:
            request = server.start_get("/view?again", ALLOWED)
            attached.stopped().resume()
            request.answer()
            attached.disconnect()
        wait_for(lambda: server.status()["sessions"] == [], "the client to be gone")


#: Of each of them pydevd's reader dies, and with it every pause.
DEADLY: dict[str, tuple[str, dict[str, Any]]] = {
    "breakpoints in no file": ("setBreakpoints", {"source": {}, "breakpoints": [{"line": 1}]}),
    "breakpoints in a file that can have no such name": (
        "setBreakpoints",
        {"source": {"path": "/a\0.py"}, "breakpoints": [{"line": 1}]},
    ),
    "a step of no thread": ("next", {"threadId": 0}),
    "options that are none": ("setExceptionBreakpoints", {"filters": [], "exceptionOptions": [{"breakMode": 1}]}),
}


@pytest.mark.parametrize(("command", "arguments"), DEADLY.values(), ids=DEADLY.keys())
def test_what_would_end_the_debugger_is_refused_and_the_session_goes_on(
    server: GatedServer, ide: Ide, command: str, arguments: dict[str, Any]
) -> None:
    request = server.start_get("/view?mine", ALLOWED)
    stop = ide.stopped()
    with suppress(RequestFailed):
        stop.session.request(command, arguments)
    assert stop.locals()["query"] == "'mine'"
    stop.resume()
    assert request.answer().body == "total 7 for mine"


def test_the_debug_console_tells_the_story(tmp_path: Path) -> None:
    server = GatedServer(tmp_path, "waitress")
    try:
        ide = server.ready("view")
        window = server.switch.read()
        request = server.start_get("/view?mine", ALLOWED)
        ide.stopped()
        server.switch.close()
        request.answer()
        ide.session.wait_closed(2)
        assert window is not None
        opened = f"window opened by the tests, until {window.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        # A machine that is busy takes a second for what came before.
        said = [re.sub(r" \((10m|9m\d\ds) left\)", "", line) for line in ide.console()]
        assert said == [
            f"Stagedoor: {opened}. All that match and are no other developer's are debugged (allowed addresses: {ALLOWED});"
            " waiting for the first.",
            f"Stagedoor: worker {server.process.pid} joined for GET /view: breakpoints are set there.",
            "Stagedoor: The window was closed. Everything runs on as before.",
        ]
    finally:
        server.stop()


# A switch that the gatekeeper can't read


class Staged(Stage):
    """This process serves, and starts a gatekeeper of its own."""

    def control(self, message: protocol.ControlMessage) -> protocol.ControlMessage:
        connection = ControlConnection(Path(self.door.settings.gatekeeper_config().control))
        try:
            return connection.ask(message, timeout=2)
        finally:
            connection.close()

    def status(self) -> dict[str, Any] | None:
        """The gatekeeper's status, once this process has said hello."""
        self.workers[0].get("/hello")
        try:
            status = dict(self.control({"status": {}})["status"])
        except (OSError, EOFError):
            return None
        return status if status["workers"] else None


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Staged]:
    with tempfile.TemporaryDirectory(prefix="stagedoor-tests-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        running = Staged(debugger="gatekeeper")
        yield running
        running.stop()


def test_a_window_in_memory_is_closed_everywhere(staged: Staged) -> None:
    staged.open()
    wait_for(staged.status, "the gatekeeper")
    assert is_listening(staged.port)
    staged.door.close()
    wait_for(lambda: not is_listening(staged.port), "the debug port to be closed", timeout=1)


def test_a_window_in_memory_that_is_closed_and_opened_at_once_is_closed_everywhere(staged: Staged) -> None:
    staged.open()
    first = wait_for(staged.status, "the gatekeeper")
    # As another process would do it: this one's thread sees only that there is another window.
    staged.door.settings.switch.close()
    staged.door.settings.switch.open(timedelta(minutes=5), opened_by="the tests")
    wait_for(
        lambda: (found := staged.status()) is not None and found["pid"] != first["pid"],
        "a gatekeeper for the new window",
        timeout=3,
    )


def test_the_end_of_a_window_in_memory_can_be_moved(staged: Staged) -> None:
    staged.open()
    status = wait_for(staged.status, "the gatekeeper")
    assert 590 < status["seconds_left"] <= 600
    staged.open(timedelta(minutes=20))
    wait_for(lambda: 1190 < (staged.status() or status)["seconds_left"] <= 1200, "the end to be moved", timeout=2)
    staged.open(timedelta(seconds=1))
    wait_for(lambda: not is_listening(staged.port), "the debug port to be closed", timeout=2)
