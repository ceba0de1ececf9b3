"""The worker's side of the gatekeeper where something is in its way: no client, no port, a fork, a lost connection."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
from contextlib import closing

from conftest import ServeGated
from stagedoor.access.passes import make_passes
from support.gatekeepers import GatedServer
from support.servers import ALLOWED, OTHER, Answer, is_listening
from support.waiting import wait_for


def pause_and_resume(server: GatedServer) -> None:
    ide = server.ready("view")
    paused = server.start_get("/view?mine", ALLOWED)
    ide.stopped().resume()
    assert paused.answer().body == "total 7 for mine"


def test_a_window_without_a_client_traces_nothing(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    server.open()
    server.joined()
    assert server.get("/view?a", ALLOWED).headers["Stagedoor"].endswith("client=waiting")
    assert not any(server.report()["debugger_loaded"] for _ in range(10))


def test_a_developer_with_passes_is_debugged_where_an_allowed_address_is_not_enough(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=1 threads=4", STAGEDOOR_REQUIRE_TOKEN="1")
    anna = make_passes("anna", server.open().token)
    header, cookie = {"X-Stagedoor-Token": anna.request}, {"Cookie": f"a=b; stagedoor_token={anna.request}"}

    def has_gatekeeper() -> bool:
        said = server.get("/pid", ALLOWED, header).headers.get("Stagedoor", "")
        return said.endswith("client=waiting") and is_listening(server.debug_port)

    wait_for(has_gatekeeper, "a request with the pass to have the debug port opened", timeout=10)
    ide = server.ide("view", token=anna.attach)
    for headers in (header, cookie):
        paused = server.start_get("/view?mine", ALLOWED, headers)
        ide.stopped().resume()
        assert paused.answer().body == "total 7 for mine"
    for carried in (
        {},
        {"X-Stagedoor-Token": anna.attach},
        {"X-Stagedoor-Token": make_passes("anna", "x" * 43).request},
    ):
        assert "Stagedoor" not in server.get("/view?other", ALLOWED, carried).headers
    assert f"of anna, from {ALLOWED}, the first of this window" in server.log
    assert anna.request not in server.log
    assert anna.attach not in server.log


def test_no_request_waits_for_the_start_of_the_gatekeeper(serve_gated: ServeGated) -> None:
    server = serve_gated("waitress")
    server.control_path.parent.mkdir(mode=0o700, parents=True)
    with open(server.control_path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # As another worker does while it starts the gatekeeper.
        server.open()
        answer = wait_for(lambda: matched(server), "a matching request")
        assert answer.seconds < 1
        assert answer.headers["Stagedoor"].endswith("client=waiting")
        assert not server.gatekeepers()
    server.joined()


def test_a_debug_port_that_is_taken_is_said_and_the_next_window_tries_again(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    with closing(socket.create_server(("127.0.0.1", server.debug_port))):
        server.open()
        answer = wait_for(lambda: busy(server), "a request that says why it is not debugged")
        assert answer.body == "hello"
        assert "ddress already in use" in answer.headers["Stagedoor"]
        assert "choose another one with bind" in server.log
        server.switch.close()
        server.wait_until_no_thread()
    pause_and_resume(server)


def test_two_applications_with_different_settings_do_not_share_a_gatekeeper(serve_gated: ServeGated) -> None:
    first = serve_gated("waitress")
    same_place = {"XDG_RUNTIME_DIR": str(first.runtime), "STAGEDOOR_BIND": f"127.0.0.1:{first.debug_port}"}
    second = serve_gated("waitress", STAGEDOOR_ALLOW=f"{ALLOWED} {OTHER}", **same_place)
    first.open()
    first.joined()
    refused = wait_for(lambda: busy(second), "a request that says why it is not debugged")
    assert "was started with other settings" in refused.headers["Stagedoor"]


def test_a_forked_child_has_nothing_of_the_debugger(serve_gated: ServeGated) -> None:
    server = serve_gated("waitress")
    before = json.loads(server.get("/fork", OTHER).body)
    ide = server.ready("view")
    paused = server.start_get("/view?mine", ALLOWED)
    stop = ide.stopped()
    inside = json.loads(server.get("/fork", ALLOWED).body)
    # The paused request has a connection of its own.
    assert len(inside["sockets"]) == len(before["sockets"]) + 1
    assert inside["descriptors"] == before["descriptors"] + 1
    stop.resume()
    assert paused.answer().body == "total 7 for mine"


def test_a_worker_that_loses_its_debugger_brings_a_new_one(serve_gated: ServeGated) -> None:
    server = serve_gated("waitress")
    ide = server.ready("view")
    paused = server.start_get("/view?lost", ALLOWED)
    stop = ide.stopped()
    lose = "__import__('pydevd').get_global_debugger().reader.sock.shutdown(2)"
    stop.session.send("evaluate", {"expression": lose, "frameId": stop.frame()["id"], "context": "repl"})
    assert paused.answer(timeout=3).body == "total 7 for lost"
    paused = server.start_get("/view?again", ALLOWED)
    stop = ide.stopped()
    assert stop.locals()["query"] == "'again'"
    stop.resume()
    assert paused.answer().body == "total 7 for again"


def test_a_gatekeeper_that_is_killed_leaves_nothing_behind(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    server.ready("view")
    [pid] = server.gatekeepers()
    os.kill(pid, signal.SIGKILL)
    server.switch.close()
    server.wait_until_gone()


def test_a_process_with_more_than_1024_open_files_is_debugged(serve_gated: ServeGated) -> None:
    # Not waitress, which can't have so many itself.
    server = serve_gated("gunicorn", "workers=1 threads=4", app="support.crowded:application")
    pause_and_resume(server)


def matched(server: GatedServer) -> Answer | None:
    answer = server.get("/hello", ALLOWED)
    return answer if "Stagedoor" in answer.headers else None


def busy(server: GatedServer) -> Answer | None:
    answer = server.get("/hello", ALLOWED)
    return answer if "busy" in answer.headers.get("Stagedoor", "") else None
