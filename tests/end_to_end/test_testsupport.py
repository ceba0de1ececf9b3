"""A client that is not ours: Microsoft's, which debug adapters for VS Code are tested with."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import application
from support.application import stop_line
from support.gatekeepers import GatedServer
from support.modules import ROOT
from support.servers import ALLOWED

FOLDER = ROOT / "tests" / "support" / "testsupport"
PACKAGE = FOLDER / "node_modules" / "@vscode" / "debugadapter-testsupport"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
needs_package = pytest.mark.skipif(
    not PACKAGE.is_dir(), reason=f"the npm package {PACKAGE.name} is not installed: npm install --prefix {FOLDER}"
)


class Session:
    """The script that drives the client, and the steps that it tells of."""

    def __init__(self, server: GatedServer, token: str) -> None:
        script = ["node", str(FOLDER / "session.mjs"), str(server.debug_port), token]
        self._process = subprocess.Popen(
            [*script, application.__file__, str(stop_line("view"))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._patience = threading.Timer(30, self._process.kill)
        self._patience.start()

    def step(self, name: str) -> dict[str, Any]:
        """Wait for the next step, which has to be ``name``."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        assert line, f"the script ended before {name!r}: {self._process.stderr.read()}"
        step = dict(json.loads(line))
        assert step.pop("step") == name
        return step

    def ended(self) -> int:
        return self._process.wait(10)

    def stop(self) -> None:
        self._patience.cancel()
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GatedServer]:
    running = GatedServer(tmp_path, "gunicorn", options="workers=2 threads=4")
    yield running
    running.stop()
    print(running.log)


@needs_node
@needs_package
def test_microsofts_client_debugs_a_request_through_the_gatekeeper(server: GatedServer) -> None:
    window = server.open()
    server.joined()
    # It connects from 127.0.0.1, which is not allowed: like the end of an SSH tunnel.
    session = Session(server, window.token)
    try:
        labels = ["Raised Exceptions", "Uncaught Exceptions", "User Uncaught Exceptions"]
        assert session.step("attached") == {"filters": labels}
        request = server.start_get("/view?mine", ALLOWED)
        opened = session.step("opened")
        assert opened["request"] == "attach"
        assert opened["name"].startswith("worker ")
        assert opened["verified"] is True
        stopped = session.step("stopped")
        assert stopped["frame"] == "view"
        assert stopped["locals"]["query"] == "'mine'"
        assert session.step("stepped") == {"threads": ["GET /view"]}
        assert not request.done
        session.step("continued")
        assert request.answer().body == "total 7 for mine"
        session.step("disconnected")
        assert session.ended() == 0
    finally:
        session.stop()
