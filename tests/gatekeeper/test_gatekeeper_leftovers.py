"""A gatekeeper that was killed leaves nothing, whoever has to remove it and however long it takes to be gone."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import ServeGated
from stagedoor.audit import Audit
from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.connection import ControlConnection
from stagedoor.control.leftovers import sweep
from stagedoor.control.lock import lock_path, start_lock
from stagedoor.worker.launcher import say_hello
from support.gatekeepers import GatedServer
from support.scripted import some_config, some_window
from support.waiting import wait_for


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="stagedoor-tests-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def config(folder: Path) -> GatekeeperConfig:
    return some_config(folder / "run" / "control")


class Dying:
    """A process that was killed and is not yet gone: its socket can be connected to, and nobody accepts."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.asked = threading.Event()
        self._thread = threading.Thread(target=self._take_down)

    def _take_down(self) -> None:
        """Hang up on whoever has connected, and go."""
        connection, _ = self.listener.accept()
        self.asked.set()
        connection.close()
        self.listener.close()

    def __enter__(self) -> Dying:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join(5)
        self.listener.close()


def test_a_socket_that_could_still_be_connected_to_is_removed_as_soon_as_its_process_is_gone(
    config: GatekeeperConfig,
) -> None:
    path = Path(config.control)
    with Dying(path) as dying:
        sweep(config)
        assert dying.asked.is_set()
    assert list(path.parent.iterdir()) == []


def test_the_debug_port_and_the_lock_go_with_it(config: GatekeeperConfig, folder: Path) -> None:
    path, port = Path(config.control), folder / "debug"
    config = replace(config, bind=f"unix:{port}")
    for each in (path, port):
        each.parent.mkdir(mode=0o700, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(each))
    with start_lock(path):
        pass
    assert lock_path(path).exists()
    sweep(config)
    assert list(path.parent.iterdir()) == []
    assert not port.exists()


def test_one_that_lives_is_left_alone(config: GatekeeperConfig) -> None:
    window = some_window()
    say_hello(config, window, Audit()).close()
    sweep(config)
    with closing(ControlConnection(Path(config.control))) as connection:
        assert connection.ask({"close": {}}, timeout=2) == {"closed": "the gatekeeper ends"}
    wait_for(lambda: not Path(config.control).exists(), "the gatekeeper to end")


def test_one_that_is_stopped_is_left_alone(config: GatekeeperConfig) -> None:
    say_hello(config, some_window(), Audit()).close()
    pid = status_of(config)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        sweep(config, patience=0.1, answer=0.05)
        assert Path(config.control).exists()
    finally:
        os.kill(pid, signal.SIGCONT)
    with closing(ControlConnection(Path(config.control))) as connection:
        connection.ask({"close": {}}, timeout=2)
    wait_for(lambda: not Path(config.control).exists(), "the gatekeeper to end")


def status_of(config: GatekeeperConfig) -> dict[str, int]:
    with closing(ControlConnection(Path(config.control))) as connection:
        return dict(connection.ask({"status": {}}, timeout=2)["status"])


def test_one_that_is_being_started_is_left_alone(config: GatekeeperConfig) -> None:
    path = Path(config.control)
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as bound, start_lock(path) as is_ours:
        assert is_ours
        bound.bind(str(path))  # It does not listen yet.
        sweep(config, patience=0.05)
        assert path.exists()
        assert lock_path(path).exists()


def test_a_lock_that_was_removed_is_not_held_by_two(config: GatekeeperConfig) -> None:
    path = Path(config.control)
    path.parent.mkdir(mode=0o700)
    with start_lock(path) as first:
        lock_path(path).unlink()
        with start_lock(path) as second, start_lock(path) as third:
            assert (first, second, third) == (True, True, False)


def test_threads_that_take_and_remove_it_are_never_two_at_a_time(config: GatekeeperConfig) -> None:
    path = Path(config.control)
    path.parent.mkdir(mode=0o700)
    inside, most, begun = [0], [0], threading.Barrier(6)
    counting = threading.Lock()

    def work() -> None:
        begun.wait(5)
        for _ in range(200):
            with start_lock(path) as is_ours:
                if not is_ours:
                    continue
                with counting:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with counting:
                    inside[0] -= 1
                lock_path(path).unlink(missing_ok=True)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1]


# Servers


def remains(server: GatedServer) -> list[str]:
    # Whoever is the last to leave removes the directory, at any moment.
    found = [path.name for path in server.control_path.parent.glob(f"{server.control_path.name}*")]
    return found + [path.name for path in server.runtime.iterdir() if path.name == "debug"]


@pytest.mark.parametrize("attached", [True, False])
def test_when_it_is_killed_the_workers_remove_what_it_had(serve_gated: ServeGated, attached: bool) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    server.open()
    server.joined()
    if attached:
        server.ide("view")
    [pid] = server.gatekeepers()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: remains(server) == [], "the control socket and the lock to be gone")


def test_when_no_worker_is_left_either_the_next_open_does(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    server.open()
    server.joined()
    # The gatekeeper last: a worker that outlives it removes what it had.
    for pid in (server.process.pid, *server.joined(), *server.gatekeepers()):
        os.kill(pid, signal.SIGKILL)
    server.process.wait()
    assert remains(server)
    settings = {
        "STAGEDOOR_SWITCH": str(server.switch.path),
        "STAGEDOOR_BIND": f"127.0.0.1:{server.debug_port}",
        "XDG_RUNTIME_DIR": str(server.runtime),
    }
    command = [sys.executable, "-m", "stagedoor", "open", "--for", "10m"]
    subprocess.run(command, env={**os.environ, **settings}, check=True, capture_output=True, timeout=30)
    assert remains(server) == []


def test_nothing_of_a_window_that_has_ended_is_left(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    server.open()
    server.joined()
    server.switch.close()
    wait_for(lambda: not server.control_path.parent.exists(), "the directory beside the switch to be gone")
