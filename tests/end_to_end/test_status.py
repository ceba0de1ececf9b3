"""``stagedoor status`` and ``stagedoor gatekeeper --foreground``, as a person and as a script run them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import application
from support.gatekeepers import GatedServer
from support.servers import ALLOWED, OTHER, is_listening
from support.waiting import wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedServer]:
    started = GatedServer(tmp_path_factory.mktemp("status"), "waitress")
    yield started
    started.stop()
    print(started.log)


def command(server: GatedServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(server.runtime),
        "STAGEDOOR_SWITCH": str(server.switch.path),
        "STAGEDOOR_BIND": f"127.0.0.1:{server.debug_port}",
        "STAGEDOOR_ALLOW": ALLOWED,
    }
    return subprocess.run(
        [sys.executable, "-m", "stagedoor", *arguments], capture_output=True, text=True, env=environ, timeout=30
    )


def test_status_shows_who_is_attached_what_is_paused_and_where(server: GatedServer) -> None:
    ide = server.ready("view")
    paused = server.start_get("/view?mine", ALLOWED)
    stop = ide.stopped()
    shown = command(server, "status")
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    # A path is not broken: it is there to be copied.
    assert all(len(line) <= 80 or len(line.split()) <= 2 for line in lines)
    assert any("attached" in line and f"everybody, from {ALLOWED} since" in line for line in lines)
    assert any("worker" in line and str(server.process.pid) in line for line in lines)
    place = f"{application.__file__}:{application.stop_line('view')}"
    said = " ".join(shown.stdout.split())
    assert re.search(
        rf"attached everybody, .*: 1 request, 1 paused paused for \d+s in worker {server.process.pid}: GET /view", said
    )
    assert f"GET /view at {place}" in said
    assert said.count("GET /view") == 1
    document = json.loads(command(server, "status", "--json").stdout)
    [worker] = document["gatekeeper"]["workers"]
    assert worker["pid"] == server.process.pid
    assert worker["paused"][0]["request"] == "GET /view"
    assert [each["address"] for each in document["gatekeeper"]["sessions"]] == [ALLOWED]
    assert document["token"] == server.switch.read().token
    stop.resume()
    paused.answer()
    ide.disconnect()
    assert command(server, "close").returncode == 0
    server.wait_until_gone()
    assert json.loads(command(server, "status", "--json").stdout)["gatekeeper"] is None


def test_the_debug_port_is_the_one_that_the_application_has(server: GatedServer) -> None:
    """It may be a keyword of the application's, which no command can see."""
    server.open()
    server.joined()
    for arguments in (["status"], ["status", "--json"]):
        shown = command(server, *arguments, "--bind", "127.0.0.1:5999")
        assert f"127.0.0.1:{server.debug_port}" in shown.stdout
        assert "5999" not in shown.stdout
    assert command(server, "close").returncode == 0
    server.wait_until_gone()


def test_a_gatekeeper_that_is_stopped_is_named_and_the_remedy_helps(server: GatedServer) -> None:
    server.open()
    server.joined()
    [gatekeeper] = server.gatekeepers()
    os.kill(gatekeeper, signal.SIGSTOP)
    try:
        shown = " ".join(command(server, "status").stdout.split())
        assert f"process {gatekeeper}, which does not answer: it is stopped, or" in shown
        assert "not running" not in shown
        document = json.loads(command(server, "status", "--json").stdout)
        assert document["gatekeeper"] is None
        assert f"kill -9 {gatekeeper}" in document["problem"]
        # A worker of the next window finds its port and its place taken.
        assert command(server, "close").returncode == 0
        wait_for(
            lambda: not server.debugger_threads(), "the window's thread to have looked for what is left", timeout=8
        )
        server.open()

        def says_so() -> bool:
            answer = server.get("/hello", ALLOWED).headers.get("Stagedoor", "")
            return f"its process ({gatekeeper}) does not answer" in answer and f"kill -9 {gatekeeper}" in answer

        wait_for(says_so, "a request that says which process does not answer", timeout=20)
    finally:
        os.kill(gatekeeper, signal.SIGKILL)
    assert command(server, "close").returncode == 0
    server.open()
    server.joined()
    assert command(server, "close").returncode == 0
    server.wait_until_gone()


def test_watch_ends_with_the_window(server: GatedServer) -> None:
    server.open()
    watching = subprocess.Popen(
        [sys.executable, "-m", "stagedoor", "status", "--watch", "--switch", str(server.switch.path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        assert "A window is open." in watching.stdout.readline()
        server.switch.close()
        rest, _ = watching.communicate(timeout=10)
        assert "No window is open." in rest
        assert watching.returncode == 1
    finally:
        watching.kill()
        watching.wait()


def test_watch_as_json_is_a_document_a_line(server: GatedServer) -> None:
    server.open()
    watching = subprocess.Popen(
        [sys.executable, "-m", "stagedoor", "status", "--watch", "--json", "--switch", str(server.switch.path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["open"] is True
        server.switch.close()
        rest, _ = watching.communicate(timeout=10)
        assert json.loads(rest.splitlines()[-1])["open"] is False
    finally:
        watching.kill()
        watching.wait()


def test_a_gatekeeper_in_the_foreground_serves_window_after_window(tmp_path: Path) -> None:
    server = GatedServer(tmp_path, "gunicorn", options="workers=2 threads=2")
    environ = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(server.runtime),
        "STAGEDOOR_SWITCH": str(server.switch.path),
        "STAGEDOOR_BIND": f"127.0.0.1:{server.debug_port}",
        "STAGEDOOR_ALLOW": ALLOWED,
    }
    foreground = subprocess.Popen(
        [sys.executable, "-m", "stagedoor", "gatekeeper", "--foreground"],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert foreground.stderr is not None
        assert "Waiting for a window" in foreground.stderr.readline()
        second = subprocess.run(foreground.args, env=environ, capture_output=True, text=True, timeout=10)
        assert second.returncode == 1
        assert f"Another gatekeeper is there for {server.switch.name}" in second.stderr
        for _ in range(2):
            server.open()
            wait_for(lambda: is_listening(server.debug_port), "the debug port to be open before any request")
            ide = server.ide("view")
            server.noticed_with("client=")
            paused = server.start_get("/view?mine", ALLOWED)
            stop = ide.stopped()
            assert server.get("/view?other", OTHER, timeout=5).body == "total 7 for other"
            stop.resume()
            assert paused.answer().body == "total 7 for mine"
            assert not server.gatekeepers(), "a worker has started a gatekeeper of its own"
            server.switch.close()
            wait_for(lambda: not is_listening(server.debug_port), "the debug port to be closed")
            wait_for(lambda: not server.debugger_threads(), "the workers' debuggers to be gone")
        foreground.send_signal(signal.SIGTERM)
        assert foreground.wait(10) == 0
        # The switch's directory: the window is closed, and all that was in it is gone.
        assert [path.name for path in server.switch.path.parent.iterdir()] == []
    finally:
        foreground.kill()
        foreground.wait()
        server.stop()
        print(server.log)
