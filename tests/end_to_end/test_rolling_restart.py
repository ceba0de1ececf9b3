"""The whole server is stopped and started, or reloads, while a developer is attached: real gunicorn, no second attach."""

from __future__ import annotations

import os
import signal

from conftest import ServeGated
from stagedoor.dap.ide import Ide
from support.gatekeepers import GatedServer
from support.servers import ALLOWED, ServerProcess, is_listening
from support.waiting import wait_for


def hits(server: ServerProcess, ide: Ide, query: str) -> None:
    paused = server.start_get(f"/view?{query}", ALLOWED)
    stop = ide.stopped()
    assert stop.locals()["query"] == repr(query)
    stop.resume()
    assert paused.answer().body == f"total 7 for {query}"


def console(ide: Ide) -> str:
    return "".join(event["body"]["output"] for event in ide.session.events if event["event"] == "output")


def says(ide: Ide, words: str) -> None:
    wait_for(lambda: words in console(ide), f"the console to say {words!r}")


def serve_again(serve_gated: ServeGated, first: GatedServer) -> GatedServer:
    """The same application: its switch, its debug port and its runtime directory."""
    same = {"XDG_RUNTIME_DIR": str(first.runtime), "STAGEDOOR_BIND": f"127.0.0.1:{first.debug_port}"}
    return serve_gated("gunicorn", "workers=2 threads=4", **same)


def test_a_server_that_is_stopped_and_started_again_keeps_the_developer(serve_gated: ServeGated) -> None:
    first = serve_gated("gunicorn", "workers=2 threads=4")
    ide = first.ready("view")
    hits(first, ide, "before")
    [gatekeeper] = first.gatekeepers()
    os.kill(first.process.pid, signal.SIGTERM)
    first.process.wait(20)
    says(ide, "no worker is left: the server restarts, or has ended.")
    second = serve_again(serve_gated, first)
    for number in range(8):
        hits(second, ide, f"after{number}")
    says(ide, "is there, the first one again")
    assert first.gatekeepers() == [gatekeeper], "the same one, and no other"
    ide.disconnect()


def test_a_server_that_reloads_keeps_the_developer(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    ide = server.ready("view")
    hits(server, ide, "before")
    old = {server.get("/pid").body for _ in range(10)}
    [gatekeeper] = server.gatekeepers()
    os.kill(server.process.pid, signal.SIGHUP)
    wait_for(lambda: not old & {server.get("/pid").body for _ in range(10)}, "the workers to be new ones", timeout=30)
    for number in range(8):
        hits(server, ide, f"after{number}")
    assert server.gatekeepers() == [gatekeeper]
    ide.disconnect()


def test_a_server_that_dies_for_good_leaves_the_gatekeeper_as_long_as_somebody_is_attached(
    serve_gated: ServeGated,
) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    ide = server.ready("view")
    paused = server.start_get("/view?lost", ALLOWED)
    ide.stopped()
    os.killpg(server.process.pid, signal.SIGKILL)
    says(ide, "no worker is left")
    assert is_listening(server.debug_port)
    ide.disconnect()
    wait_for(
        lambda: not server.gatekeepers() and not is_listening(server.debug_port) and not server.control_path.exists(),
        "the gatekeeper, its port and its socket to be gone",
        timeout=2,
    )
    paused.thread.join(10)


def test_a_server_that_dies_with_nobody_attached_takes_the_gatekeeper_along(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    server.open()
    server.joined()
    os.killpg(server.process.pid, signal.SIGKILL)
    wait_for(lambda: not server.gatekeepers(), "the gatekeeper to be gone", timeout=2)
    assert not is_listening(server.debug_port)
