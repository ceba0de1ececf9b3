"""What is known of the server around a request: asked for inside of real servers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from stagedoor.debuggers.interpreter import python_executable
from stagedoor.errors import DebuggerError
from stagedoor.servers import Server, surrounding_server

needs_uwsgi = pytest.mark.skipif(
    not Path(sys.executable).with_name("uwsgi").exists(), reason="uWSGI is not installed beside this Python"
)


def known(serve: Serve, server: str, options: str) -> dict[str, Any]:
    """What Stagedoor knows of a real server."""
    settings = {"STAGEDOOR_TESTS_BARE": "1", "STAGEDOOR_TESTS_OPTIONS": options}
    answer = serve(server, app="support.surroundings:application", **settings).get("/")
    return dict(json.loads(answer.body))


@pytest.mark.parametrize(
    ("server", "options", "threads", "pause_limit", "keeps_alive"),
    [
        pytest.param("gunicorn", "workers=1 threads=4", 4, 3, False, id="gunicorn with threads leaves one for others"),
        pytest.param(
            "gunicorn", "workers=2 threads=1 worker_class=sync", 1, 1, True, id="gunicorn sync is told that it is well"
        ),
        pytest.param("gunicorn", "workers=2 threads=1", 1, 1, False, id="gunicorn with one thread"),
        pytest.param("waitress", "threads=6", 6, 5, False, id="waitress"),
        pytest.param("werkzeug", "", None, None, False, id="werkzeug has as many threads as it needs"),
        pytest.param("uwsgi", "processes=2 threads=3", 3, 2, False, id="uWSGI with threads", marks=needs_uwsgi),
        pytest.param(
            "uwsgi", "processes=2 enable-threads", 1, 1, False, id="uWSGI with processes only", marks=needs_uwsgi
        ),
    ],
)
def test_how_many_requests_may_be_paused(
    serve: Serve, server: str, options: str, threads: int | None, pause_limit: int | None, keeps_alive: bool
) -> None:
    found = known(serve, server, options)
    assert (found["threads"], found["pause_limit"], found["keeps_alive"]) == (threads, pause_limit, keeps_alive)
    assert not found["must_end"]
    assert found["threads_are_off"] is None


@needs_uwsgi
@pytest.mark.parametrize("options", ["processes=2", "processes=2 threads=1"])
def test_uwsgi_without_threads_is_told_which_option_it_needs(serve: Serve, options: str) -> None:
    assert "--enable-threads" in known(serve, "uwsgi", options)["threads_are_off"]


@needs_uwsgi
def test_the_developer_is_told_what_uwsgi_kills(serve: Serve) -> None:
    warning = known(serve, "uwsgi", "processes=2 threads=2 harakiri=60")["warning"]
    assert "waits 60 s for a paused request (worker-reload-mercy)" in warning
    assert "longer than 60 s (harakiri)" in warning
    assert "harakiri" not in known(serve, "uwsgi", "processes=2 threads=2")["warning"]


@pytest.mark.parametrize(("multithread", "limit"), [(True, None), (False, 1)])
def test_of_an_unknown_server_only_what_the_environ_says_is_believed(multithread: bool, limit: int | None) -> None:
    assert surrounding_server(multithread=multithread).pause_limit == limit


def test_a_server_that_cannot_be_asked_is_not_retiring() -> None:
    def broken() -> bool:
        raise AttributeError("alive")

    assert not Server(retiring=broken).must_end


class TestInterpreter:
    """The interpreter for a process of our own."""

    def test_sys_executable_is_taken_if_it_is_python(self) -> None:
        assert python_executable() == sys.executable

    @pytest.mark.parametrize("executable", ["/usr/bin/uwsgi", "/usr/sbin/apache2", "", "/nowhere/python3"])
    def test_otherwise_the_one_in_the_prefix(
        self, executable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        interpreter = tmp_path / "bin" / "python3"
        interpreter.parent.mkdir()
        interpreter.symlink_to(sys.executable)
        monkeypatch.setattr(sys, "executable", executable)
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        assert python_executable() == str(interpreter)

    def test_a_prefix_without_an_interpreter_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "/usr/sbin/apache2")
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
        with pytest.raises(DebuggerError, match=f"/usr/sbin/apache2.*{tmp_path}"):
            python_executable()
