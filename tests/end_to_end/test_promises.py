"""One test for each promise, on both back ends, each with the real debugpy, a real server in its own process and a real
client.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import Serve, ServeGated
from stagedoor.dap.ide import Ide
from support import application
from support.application import stop_line
from support.gatekeepers import GatedServer
from support.processes import adapters
from support.servers import ALLOWED, OTHER, ServerProcess, is_listening
from support.waiting import wait_for

SERVERS = ["werkzeug", "waitress", "gunicorn"]
BACK_ENDS = ["gatekeeper", "listen"]

StartServer = Callable[..., ServerProcess]


@pytest.fixture(params=BACK_ENDS)
def start(request: pytest.FixtureRequest, serve: Serve, serve_gated: ServeGated) -> StartServer:
    """Starts servers that are debugged by one of the back ends."""
    return serve_gated if request.param == "gatekeeper" else serve


def ready(server: ServerProcess, *stops: str) -> Ide:
    """Open a window, let a matching request start the debugger, and attach an IDE."""
    if isinstance(server, GatedServer):
        return server.ready(*stops)
    server.open()
    server.listens()
    lines = {application.__file__: [stop_line(stop) for stop in stops]}
    return Ide(("127.0.0.1", server.debug_port), lines)


def debuggers(server: ServerProcess) -> list[int]:
    """The processes that belong to the debugger of this server, beside its own."""
    return server.gatekeepers() if isinstance(server, GatedServer) else adapters(server.debug_port)


def wait_until_gone(server: ServerProcess, timeout: float = 1.0) -> None:
    wait_for(
        lambda: not is_listening(server.debug_port) and not debuggers(server),
        "the debug port and the debugger's process to be gone",
        timeout=timeout,
    )


@pytest.mark.parametrize("server_name", SERVERS)
def test_promise_1_only_matching_requests_are_debugged(start: StartServer, tmp_path: Path, server_name: str) -> None:
    server = start(server_name)
    release = tmp_path / "release"
    in_flight = server.start_get(f"/slow?{release}", ALLOWED)
    wait_for(lambda: list(tmp_path.glob("release-begun-*")), "the request to run")
    ide = ready(server, "view", "work")
    server.get("/late-thread")

    paused = server.start_get("/view?mine", ALLOWED)
    stop = ide.stopped()
    frame = stop.frame()
    assert (frame["name"], frame["line"]) == ("view", stop_line("view"))
    assert stop.locals()["query"] == "'mine'"
    events = [each["body"] for each in stop.session.events if each["event"] == "stopped"]
    assert [each.get("allThreadsStopped", False) for each in events] == [False]

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

    stop.resume()
    second = ide.stopped()
    assert second.thread_id == stop.thread_id, "the line in work() stops the same request"
    second.resume()
    assert paused.answer().body == "total 7 for mine"
    # The pooled threads that served matching requests serve others now.
    for number in range(30):
        assert server.get(f"/view?{number}", OTHER).seconds < 1
    ide.close()


def test_promise_1_over_ipv6(serve: Serve) -> None:
    server = serve("werkzeug", host="::1", STAGEDOOR_ALLOW="2001:db8::/32, ::1")
    client = server.armed("view")
    paused = server.start_get("/view?mine")
    client.resume(client.stopped()["threadId"])
    assert paused.answer().body == "total 7 for mine"


def test_promise_1_over_ipv6_an_address_that_is_not_allowed(serve: Serve) -> None:
    server = serve("werkzeug", host="::1", STAGEDOOR_ALLOW="2001:db8::/32, ::2")
    server.open()
    wait_for(lambda: server.get("/hello").body and "::1 is not on the allowlist" in server.log, "the refusal")
    assert "Stagedoor" not in server.get("/hello").headers
    assert not is_listening(server.debug_port)


def test_promise_2_the_debug_port_is_gated_and_on_loopback_only(start: StartServer) -> None:
    server = start("waitress")
    assert not is_listening(server.debug_port)
    ready(server).close()
    assert is_listening(server.debug_port)
    pids = wait_for(lambda: debuggers(server), "the debugger's process to be there")
    listening = listening_sockets([server.process.pid, *pids])
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
def test_promise_3_it_ends_by_itself(start: StartServer, server_name: str, how: str) -> None:
    server = start(server_name)
    for _ in range(2):
        ide = ready(server, "view")
        paused = [server.start_get(f"/view?{number}", ALLOWED) for number in range(3)]
        for _ in paused:
            ide.stopped()
        # No request arrives from here on: the end comes by itself, and the client keeps its socket open.
        if how == "close":
            server.switch.close()
        else:
            server.switch.open(timedelta(seconds=1), opened_by="the tests")
        ended = time.monotonic() + (0 if how == "close" else 1)
        assert [each.answer(3).body for each in paused] == [f"total 7 for {number}" for number in range(3)]
        ide.session.wait_closed(1)
        wait_until_gone(server)
        assert time.monotonic() - ended < 1.5, "promised is one second; half of one is for a machine that is busy"
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
        assert after["local_events"] == 0
        assert after["trace"] == after["threading_trace"] == "None"
        assert after["breakpointhook"]
        assert not after["children"]
        ide.close()


def test_promise_4_closed_means_absent(start: StartServer) -> None:
    server = start("waitress")
    server.get("/view", ALLOWED)
    closed = server.report()
    bare = start("waitress", STAGEDOOR_TESTS_BARE="1")
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


@pytest.mark.parametrize(
    ("environ", "headers", "source", "words"),
    [
        pytest.param({}, {}, OTHER, [OTHER, f"allowed: {ALLOWED}"], id="an address that is not allowed"),
        pytest.param(
            {},
            {"X-Forwarded-For": ALLOWED},
            ALLOWED,
            ["X-Forwarded-For", " = ProxyFix("],
            id="a forwarding header that no ProxyFix has handled",
        ),
        pytest.param(
            {"STAGEDOOR_TESTS_PROXY_FIX": "2"},
            {"X-Forwarded-For": ALLOWED},
            ALLOWED,
            ["X-Forwarded-For", "x_for must equal the number of proxies"],
            id="a forwarding header that is too short for ProxyFix",
        ),
        pytest.param(
            {"STAGEDOOR_TESTS_PROXY_FIX": "1"},
            {"X-Forwarded-For": "203.0.113.9"},
            ALLOWED,
            ["203.0.113.9 is not on the allowlist"],
            id="a visitor behind a proxy that is on the allowlist",
        ),
        pytest.param(
            {"STAGEDOOR_REQUIRE_TOKEN": "yes"},
            {},
            ALLOWED,
            ["no token came from", "require_token is on"],
            id="an address without the token",
        ),
    ],
)
def test_promise_5_it_fails_closed_and_says_why(
    start: StartServer, environ: dict[str, str], headers: dict[str, str], source: str, words: list[str]
) -> None:
    server = start("waitress", **environ)
    server.open()
    wait_for(
        lambda: server.get("/hello", source, headers).status == 200 and all(word in server.log for word in words),
        "the log to say who was refused and why",
    )
    answer = server.get("/view?x", source, headers)
    assert (answer.status, answer.body) == (200, "total 7 for x")
    assert "Stagedoor" not in answer.headers
    assert not is_listening(server.debug_port)


def test_promise_5_a_switch_that_cant_be_read(start: StartServer) -> None:
    server = start("waitress")
    ide = ready(server, "view")
    path = server.switch.path
    path.write_text("{ half a wind")
    wait_for(lambda: str(path) in server.log, "the log to name the switch")

    def is_undebugged() -> bool:
        answer = server.get("/view?x", ALLOWED)
        assert (answer.status, answer.body) == (200, "total 7 for x")
        return "Stagedoor" not in answer.headers

    # The worker may have said so and not yet let go of the window.
    wait_for(is_undebugged, "requests to go on undebugged")
    wait_until_gone(server)
    ide.close()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("STAGEDOOR_ALLOW", "10.0.0.0/8 localhost", "has a host name in it"),
        ("STAGEDOOR_BIND", "0.0.0.0:5678", "is not a port on a loopback address"),
        ("STAGEDOOR_MAX_WINDOW", "90", "has no unit"),
        ("STAGEDOOR_DEBUGGER", "pdb", "is not one of its values"),
    ],
)
def test_promise_5_bad_configuration_is_named_at_construction(
    serve: Serve, variable: str, value: str, words: str
) -> None:
    with pytest.raises(AssertionError, match="the server ended at once") as failure:
        serve(**{variable: value})
    assert words in str(failure.value)
    assert variable.removeprefix("STAGEDOOR_").lower() in str(failure.value).lower()


@pytest.mark.parametrize("server_name", SERVERS)
def test_promise_6_the_application_never_notices(start: StartServer, server_name: str) -> None:
    bare = start(server_name, STAGEDOOR_TESTS_BARE="1")
    server = start(server_name)
    ide = ready(server)
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
    ide.close()
