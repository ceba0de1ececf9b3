"""A worker that is slow, or stopped, while it starts the gatekeeper or looks for it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stagedoor.audit import Audit
from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.protocol import ControlConnection
from stagedoor.errors import DebuggerError
from stagedoor.worker import launcher
from support.gatekeepers import end_gatekeeper
from support.scripted import some_config, some_window
from support.waiting import wait_for

#: Seconds that the worker of these tests has for a start, as its launcher is told.
PATIENCE = 1.0

#: A worker that says hello, and stops as soon as the process that it has started has its configuration.
STOPPED_WORKER = f"""
import os, signal, sys
from stagedoor.audit import Audit
from stagedoor.control.config import GatekeeperConfig
from stagedoor.errors import StagedoorError
from stagedoor.worker import launcher

launcher.START_PATIENCE = {PATIENCE}
start_process = launcher.start_process

class Pipe:
    def __init__(self, pipe):
        self._pipe = pipe

    def __getattr__(self, name):
        return getattr(self._pipe, name)

    def close(self):
        is_first = not self._pipe.closed
        self._pipe.close()
        if is_first:
            os.kill(os.getpid(), signal.SIGSTOP)

def start_and_stop(*arguments, **keywords):
    process = start_process(*arguments, **keywords)
    process.stdin = Pipe(process.stdin)
    return process

launcher.start_process = start_and_stop
try:
    launcher.say_hello(*GatekeeperConfig.load(sys.argv[1]), Audit()).close()
    print("welcome")
except StagedoorError as error:
    print(error)
"""


@pytest.fixture
def config() -> Iterator[GatekeeperConfig]:
    # The path of a Unix socket holds about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="stagedoor-tests-"))
    made = some_config(folder / "run" / "control")
    yield made
    end_gatekeeper(made.control)
    shutil.rmtree(folder)


def pid_of(config: GatekeeperConfig) -> int | None:
    """The gatekeeper that answers, or ``None``."""
    try:
        with closing(ControlConnection(Path(config.control))) as connection:
            return int(connection.ask({"status": {}}, timeout=2)["status"]["pid"])
    except OSError:
        return None


def state_of(pid: int) -> str:
    """``T`` for a process that is stopped, ``Z`` for one that has ended and whose parent has not noticed."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def run_on_when_it_is_late(worker: subprocess.Popen[str]) -> None:
    """Let the patience of a stopped worker run out, and the worker run on."""
    late = time.monotonic() + PATIENCE
    wait_for(lambda: time.monotonic() > late, "the worker's patience to be over")
    os.kill(worker.pid, signal.SIGCONT)


@pytest.fixture
def stopped(config: GatekeeperConfig) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", STOPPED_WORKER, config.dump(some_window())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        try:
            yield worker
        finally:
            worker.kill()


@pytest.fixture
def thief(config: GatekeeperConfig) -> Iterator[socket.socket]:
    """Somebody else has the debug port."""
    host, _, port = config.bind.rpartition(":")
    with socket.create_server((host, int(port))) as listener:
        yield listener


def test_a_gatekeeper_that_started_while_its_worker_was_stopped_is_left_alone(
    config: GatekeeperConfig, stopped: subprocess.Popen[str]
) -> None:
    wait_for(lambda: state_of(stopped.pid) == "T", "the worker to stop")
    started = wait_for(lambda: pid_of(config), "the gatekeeper to answer")
    run_on_when_it_is_late(stopped)
    stopped.communicate(timeout=20)
    assert pid_of(config) == started


def test_what_one_says_that_can_not_start_is_heard_late_too(
    config: GatekeeperConfig, thief: socket.socket, stopped: subprocess.Popen[str]
) -> None:
    wait_for(lambda: state_of(stopped.pid) == "T", "the worker to stop")
    [started] = Path(f"/proc/{stopped.pid}/task/{stopped.pid}/children").read_text().split()
    wait_for(lambda: state_of(int(started)) == "Z", "what it has started to end")
    run_on_when_it_is_late(stopped)
    said = stopped.communicate(timeout=20)[0]
    assert "could not start" in said
    assert config.bind in said


def test_one_that_says_nothing_is_ended(
    config: GatekeeperConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "pid"
    silent = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    monkeypatch.setattr(launcher, "isolated_command", lambda *_: [sys.executable, "-c", silent])
    monkeypatch.setattr(launcher, "START_PATIENCE", PATIENCE)
    with pytest.raises(DebuggerError, match="did not start within 1 s"):
        launcher.say_hello(config, some_window(), Audit())
    assert not Path("/proc", told.read_text()).exists()
