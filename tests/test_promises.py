"""One test for each promise, each with the real debugpy, a real server in its own process and a real client."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import Serve
from support.application import stop_line
from support.servers import ALLOWED, OTHER, ServerProcess, is_listening
from support.waiting import wait_for

SERVERS = ["werkzeug", "waitress", "gunicorn"]


def adapters(server: ServerProcess) -> list[int]:
    """The processes of debugpy's adapter that serve this server's debug port."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--for-server" in arguments and str(server.debug_port).encode() in arguments:
                found.append(int(entry.name))
    return found


def wait_until_gone(server: ServerProcess, timeout: float = 1.0) -> None:
    wait_for(
        lambda: not is_listening(server.debug_port) and not adapters(server),
        "the debug port and debugpy's adapter to be gone",
        timeout=timeout,
    )


@pytest.mark.parametrize("server_name", SERVERS)
def test_promise_1_only_matching_requests_are_debugged(serve: Serve, tmp_path: Path, server_name: str) -> None:
    server = serve(server_name)
    release = tmp_path / "release"
    in_flight = server.start_get(f"/slow?{release}", ALLOWED)
    client = server.armed("view", "work")
    server.get("/late-thread")

    paused = server.start_get("/view?mine", ALLOWED)
    stop = client.stopped()
    frame = client.stack(stop["threadId"])[0]
    assert (frame["name"], frame["line"]) == ("view", stop_line("view"))
    assert client.locals(frame["id"])["query"] == "'mine'"
    assert not stop.get("allThreadsStopped")

    before = server.report()["beats"]
    slowest = max(server.get(f"/view?{number}", OTHER).seconds for number in range(20))
    assert slowest < 1, "a request that does not match waited"
    wait_for(
        lambda: all(beats > before[name] + 3 for name, beats in server.report()["beats"].items()),
        "the application's own threads to run on over the breakpoint while a request is paused",
    )
    assert not paused.done
    assert not in_flight.done
    release.touch()
    assert in_flight.answer().body == "True"

    client.resume(stop["threadId"])
    assert client.stopped()["threadId"] == stop["threadId"], "the line in work() stops the same request"
    client.resume(stop["threadId"])
    assert paused.answer().body == "total 7 for mine"
    # The pooled threads that served matching requests serve others now.
    for number in range(30):
        assert server.get(f"/view?{number}", OTHER).seconds < 1


def test_promise_2_the_debug_port_is_gated_and_on_loopback_only(serve: Serve) -> None:
    server = serve()
    assert not is_listening(server.debug_port)
    server.open()
    server.noticed()
    assert is_listening(server.debug_port)
    listening = listening_sockets([server.process.pid, *adapters(server)])
    assert {host for host, port in listening if port != server.port} == {"127.0.0.1"}


def listening_sockets(pids: list[int]) -> set[tuple[str, int]]:
    """The TCP addresses on which these processes listen, from ``/proc``."""
    inodes = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(entry)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                host, port = fields[1].split(":")
                found.add((".".join(str(byte) for byte in reversed(bytes.fromhex(host))), int(port, 16)))
    return found


@pytest.mark.parametrize("how", ["close", "expiry"])
@pytest.mark.parametrize("server_name", SERVERS)
def test_promise_3_it_ends_by_itself(serve: Serve, server_name: str, how: str) -> None:
    server = serve(server_name)
    for _ in range(2):
        client = server.armed("view")
        paused = server.start_get("/view?mine", ALLOWED)
        client.stopped()
        # No request arrives from here on: the end comes by itself, and the client keeps its socket open.
        if how == "close":
            server.switch.close()
        else:
            server.switch.open(timedelta(seconds=1), opened_by="the tests")
        assert paused.answer(timeout=2.5).body == "total 7 for mine"
        client.wait_closed(1)
        wait_until_gone(server)
        after = wait_for(
            lambda: (
                not server.debugger_threads()
                and (report := server.report())["os_threads"] == len(report["threads"])
                and report
            ),
            "the debugger's threads to be gone",
        )
        assert after["start_new_thread"] == "_thread"
        assert after["tool"] is None
        assert after["trace"] == after["threading_trace"] == "None"
        assert after["breakpointhook"]
        assert not after["children"]
        client.close()


def test_promise_4_closed_means_absent(serve: Serve) -> None:
    server = serve()
    server.get("/view", ALLOWED)
    closed = server.report()
    bare = serve(STAGEDOOR_TESTS_BARE="1")
    bare.get("/view", ALLOWED)
    untouched = bare.report()
    assert not closed["debugpy_loaded"]
    assert not closed["debugger_loaded"]
    for what in ("threads", "os_threads", "children"):
        assert closed[what] == untouched[what], what
    # A connection of a request that is just over may still count.
    wait_for(
        lambda: server.report()["descriptors"] == bare.report()["descriptors"],
        "the application to own as many descriptors as without Stagedoor",
    )


def test_promise_5_it_fails_closed_and_says_why(serve: Serve) -> None:
    server = serve()
    server.open()
    path = server.switch.path
    path.write_text("{ half a wind")
    server.get("/hello", ALLOWED)
    wait_for(lambda: str(path) in server.log, "the log to name the switch")
    answer = server.get("/view?x", ALLOWED)
    assert (answer.status, answer.body) == (200, "total 7 for x")
    assert "Stagedoor" not in answer.headers
    assert not is_listening(server.debug_port)


@pytest.mark.parametrize("server_name", SERVERS)
def test_promise_6_the_application_never_notices(serve: Serve, server_name: str) -> None:
    bare = serve(server_name, STAGEDOOR_TESTS_BARE="1")
    server = serve(server_name)
    server.armed()
    for path in ("/view?a", "/hello", "/stream?blocks=5", "/failing"):
        expected = bare.get(path, ALLOWED)
        for source in (ALLOWED, OTHER):
            answer = server.get(path, source)
            assert (answer.status, answer.body) == (expected.status, expected.body)
            headers = dict(answer.headers)
            if source == ALLOWED and expected.status == 200:
                assert headers.pop("Stagedoor").startswith("open; until=")
            for name in ("Date",):
                headers.pop(name, None)
                expected.headers.pop(name, None)
            assert headers == expected.headers
    assert server.get("/closed").body == "2"
    assert json.loads(server.get("/report").body)["debugger_loaded"]
