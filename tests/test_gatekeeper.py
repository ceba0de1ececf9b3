"""The gatekeeper with real servers, real workers and a real client: the ways through it that people take every day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.application import stop_line
from support.gatekeepers import GatedServer
from support.servers import ALLOWED, OTHER
from support.waiting import wait_for

ServeGated = Callable[..., GatedServer]

SERVERS = [
    pytest.param("gunicorn", "workers=4 threads=4", id="gunicorn with four workers of four threads"),
    pytest.param("gunicorn", "workers=4 threads=1 worker_class=sync", id="gunicorn with four sync workers"),
    pytest.param("waitress", "", id="waitress"),
    pytest.param("werkzeug", "", id="werkzeug"),
]


@pytest.fixture
def serve_gated(tmp_path: Path) -> Iterator[ServeGated]:
    servers: list[GatedServer] = []

    def start(server: str = "gunicorn", options: str = "", **keywords: Any) -> GatedServer:
        servers.append(GatedServer(tmp_path, server, options=options, **keywords))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
        print(server.log)


@pytest.mark.parametrize(("server_name", "options"), SERVERS)
def test_the_first_matching_request_of_a_worker_stops_in_that_very_request(
    serve_gated: ServeGated, server_name: str, options: str
) -> None:
    server = serve_gated(server_name, options)
    ide = server.ready("view")
    paused = server.start_get("/view?mine", ALLOWED)
    stop = ide.stopped()
    assert (stop.frame()["name"], stop.frame()["line"]) == ("view", stop_line("view"))
    assert stop.locals()["query"] == "'mine'"
    assert stop.session.request("threads")["threads"] == [{"id": stop.thread_id, "name": "GET /view"}]
    assert max(server.get(f"/view?{number}", OTHER).seconds for number in range(20)) < 1
    assert not paused.done
    stop.resume()
    answer = paused.answer()
    assert answer.body == "total 7 for mine"
    assert answer.headers["Stagedoor"].endswith("client=attached")


@pytest.mark.parametrize(("server_name", "options"), SERVERS)
def test_at_the_end_of_the_window_everything_is_gone_and_paused_requests_complete(
    serve_gated: ServeGated, server_name: str, options: str
) -> None:
    server = serve_gated(server_name, options)
    for _ in range(2):
        ide = server.ready("view")
        paused = server.start_get("/view?mine", ALLOWED)
        ide.stopped()
        server.switch.close()
        assert paused.answer(timeout=2).body == "total 7 for mine"
        ide.root.wait_closed(1)
        server.wait_until_gone()
        assert any("The window was closed" in line for line in ide.console())


def test_a_window_without_a_client_traces_nothing_and_waits_for_nothing(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    server.open()
    server.noticed()
    wait_for(server.gatekeepers, "the gatekeeper to run")
    assert max(server.get("/view?a", ALLOWED).seconds for _ in range(20)) < 1
    assert not any(server.report()["debugger_loaded"] for _ in range(10))
