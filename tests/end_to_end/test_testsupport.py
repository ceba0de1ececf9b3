"""A client that is not ours: Microsoft's, which debug adapters for VS Code are tested with."""

from __future__ import annotations

import shutil

import pytest

from conftest import ServeGated
from support import application
from support.application import stop_line
from support.client_script import ClientScript
from support.gatekeepers import GatedServer
from support.modules import ROOT
from support.servers import ALLOWED
from support.waiting import wait_for

FOLDER = ROOT / "tests" / "support" / "testsupport"
PACKAGE = FOLDER / "node_modules" / "@vscode" / "debugadapter-testsupport"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
needs_package = pytest.mark.skipif(
    not PACKAGE.is_dir(), reason=f"the npm package {PACKAGE.name} is not installed: npm install --prefix {FOLDER}"
)


def script(server: GatedServer, token: str, children: str) -> ClientScript:
    """The script that drives the client."""
    command = ["node", str(FOLDER / "session.mjs"), str(server.debug_port), token]
    return ClientScript([*command, application.__file__, str(stop_line("view")), children])


@needs_node
@needs_package
@pytest.mark.parametrize("children", ["yes", "no"])
def test_microsofts_client_debugs_requests_through_the_gatekeeper(serve_gated: ServeGated, children: str) -> None:
    server = serve_gated("gunicorn", "workers=2 worker_class=sync threads=1")
    window = server.open()
    pids = server.joined()
    # It connects from 127.0.0.1, which is not allowed: like the end of an SSH tunnel.
    with script(server, window.token, children) as session:
        labels = ["Raised Exceptions", "Uncaught Exceptions", "User Uncaught Exceptions"]
        assert session.step("attached") == {"filters": labels, "verified": False}
        first, line, workers = server.start_get("/view?one", ALLOWED), stop_line("view"), set()
        seen = {"one": session.step("stopped")}
        assert session.step("verified") == {"same": True}
        second = server.start_get("/view?two", ALLOWED)
        seen["two"] = session.step("stopped too")
        for query, shown in seen.items():
            name, _, worker = shown.pop("thread").rstrip(")").partition(" (worker ")
            assert name == f"GET /view?{query}"
            workers.add(int(worker))
            assert shown == {"reason": "breakpoint", "frame": "view", "line": line, "query": repr(query)}
        assert workers == pids  # one in each: these workers serve one request at a time
        stepped = session.step("stepped")
        assert (stepped["reason"], stepped["line"], stepped["query"]) == ("step", line + 1, "'one'")
        session.step("continued")
        assert first.answer().body == "total 7 for one"
        session.step("disconnected")
        # One farewell is enough: what else was paused runs on, and nobody is attached.
        assert second.answer().body == "total 7 for two"
        assert session.ended() == 0
        wait_for(lambda: server.status()["sessions"] == [], "the gatekeeper to have let go of the session")
