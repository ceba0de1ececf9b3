"""A server whose master is killed, with a request paused: it runs on at once, and nothing is kept."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from conftest import ServeGated
from support.gatekeepers import GatedServer
from support.needs import needs_apache, needs_uwsgi
from support.servers import ALLOWED, OTHER, is_listening
from support.waiting import wait_for


def master_of(worker: int) -> int:
    """The process that has started a worker."""
    return int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("name", "options", "answers", "ends"),
    [
        pytest.param("gunicorn", "workers=2 threads=1 worker_class=sync", True, True, id="gunicorn, sync"),
        pytest.param("gunicorn", "workers=2 threads=4", True, True, id="gunicorn, gthread"),
        pytest.param("werkzeug", "reload_when_changed={watched}", True, False, id="Werkzeug's reloader"),
        # Its workers end by themselves at once, with all their requests.
        pytest.param("uwsgi", "processes=2 threads=4", False, True, id="uWSGI", marks=needs_uwsgi),
        # The answer goes through Apache's own processes.
        pytest.param("apache", "threads=4", False, False, id="mod_wsgi", marks=needs_apache),
    ],
)
def test_a_killed_master_ends_pauses_within_a_second(
    serve_gated: ServeGated, tmp_path: Path, name: str, options: str, answers: bool, ends: bool
) -> None:
    watched = tmp_path / "code.py"
    watched.touch()
    server = serve_gated(name, options.format(watched=watched))
    ide = server.ready("view")
    paused = server.start_get("/view?mine", ALLOWED)
    stop = ide.stopped()
    worker = int(stop.session.evaluate("os.getpid()", stop.frame()["id"]))
    os.kill(master_of(worker), signal.SIGKILL)
    wait_for(lambda: paused.done, "the paused request to run on", timeout=1)
    if answers:
        assert paused.answer().body == "total 7 for mine"
        wait_for(lambda: any("has lost its parent process" in line for line in ide.console()), "the console to say why")
    if ends:
        wait_for(lambda: not is_listening(server.port) and not is_alive(worker), "the workers to end", timeout=10)


class LaunchedServer(GatedServer):
    """One whose parent is no master of it: a launcher that may end."""

    def command(self, python: str, server: str, app: str) -> list[str]:
        launch = "import subprocess, sys; subprocess.run(sys.argv[1:])"
        return [python, "-c", launch, *super().command(python, server, app)]


def test_a_launcher_that_ends_ends_one_pause_and_the_next_request_is_debugged(tmp_path: Path) -> None:
    """waitress has no master, and can't be told from a worker that had one."""
    server = LaunchedServer(tmp_path, "waitress")
    try:
        ide = server.ready("view")
        paused = server.start_get("/view?mine", ALLOWED)
        ide.stopped()
        os.kill(server.process.pid, signal.SIGKILL)
        wait_for(lambda: paused.done, "the paused request to run on", timeout=1)
        assert paused.answer().body == "total 7 for mine"
        assert server.get("/hello", OTHER).body == "hello"

        def is_debugged() -> Any:
            server.joined()
            return "client=attached" in server.start_get("/hello", ALLOWED).answer().headers.get("Stagedoor", "")

        wait_for(is_debugged, "the next requests to be debugged", timeout=10, every=0.1)
        again = server.start_get("/view?again", ALLOWED)
        stop = ide.stopped()
        stop.resume()
        assert again.answer().body == "total 7 for again"
    finally:
        server.stop()
        print(server.log)
