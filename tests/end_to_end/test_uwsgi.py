"""uWSGI, a server that is no Python program: ``sys.executable`` is uwsgi there, and Python's threads are off by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import ServeGated
from support.application import stop_line
from support.needs import needs_uwsgi
from support.servers import ALLOWED, OTHER

pytestmark = needs_uwsgi


@pytest.mark.parametrize(
    "options",
    [
        pytest.param("processes=2 threads=4", id="processes and threads"),
        pytest.param("processes=3 enable-threads", id="processes"),
        pytest.param("processes=2 threads=4 lazy-apps", id="each process loads the application by itself"),
    ],
)
def test_a_matching_request_is_paused_until_the_window_ends(serve_gated: ServeGated, options: str) -> None:
    server = serve_gated("uwsgi", options)
    for _ in range(2):
        ide = server.ready("view")
        paused = server.start_get("/view?mine", ALLOWED)
        stop = ide.stopped()
        assert (stop.frame()["name"], stop.frame()["line"]) == ("view", stop_line("view"))
        assert Path(stop.session.evaluate("sys.executable", stop.frame()["id"]).strip("'")).name == "uwsgi"
        for number in range(20):
            assert server.get(f"/view?{number}", OTHER, timeout=5).body == f"total 7 for {number}"
        assert not paused.done
        server.switch.close()
        assert paused.answer(timeout=2).body == "total 7 for mine"
        server.wait_until_gone()


def test_without_threads_it_is_refused_with_the_option_that_is_missing(serve_gated: ServeGated) -> None:
    server = serve_gated("uwsgi", "processes=2")
    server.open()
    answer = server.get("/view?mine", ALLOWED)
    assert answer.body == "total 7 for mine"
    assert "busy" in answer.headers["Stagedoor"]
    assert "--enable-threads" in answer.headers["Stagedoor"]
    assert "--enable-threads" in server.log
    assert not server.gatekeepers()
