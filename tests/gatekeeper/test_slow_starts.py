"""A worker that is slow, or stopped, while it starts the gatekeeper or looks for it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stagedoor.audit import Audit
from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.connection import ControlConnection
from stagedoor.errors import DebuggerError
from stagedoor.worker import launcher
from stagedoor.worker.patience import Patience
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
from stagedoor.worker.patience import Patience

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
    launcher.say_hello(*GatekeeperConfig.load(sys.argv[1]), Audit(), Patience(gatekeeper={PATIENCE})).close()
    print("welcome")
except StagedoorError as error:
    print(error)
"""

#: A worker whose application forks a child while the gatekeeper's pipes are open for writing in it.
FORKING_WORKER = f"""
import os, sys
from stagedoor.audit import Audit
from stagedoor.control.config import GatekeeperConfig
from stagedoor.worker import launcher
from stagedoor.worker.patience import Patience

start_process = launcher.start_process

def start_and_fork(command, *, stdin, output):
    reading, writing = os.pipe()
    process = start_process(command, stdin=stdin, output=writing)
    if os.fork() == 0:
        os.close(1)
        os.close(2)
        os.read(0, 1)  # Until the test is over.
        os._exit(0)
    os.close(writing)
    process.stdout = os.fdopen(reading, "rb")
    return process

launcher.start_process = start_and_fork
launcher.say_hello(*GatekeeperConfig.load(sys.argv[1]), Audit(), Patience(gatekeeper={3 * PATIENCE})).close()
print("welcome", flush=True)
os._exit(0)
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


def test_a_gatekeeper_that_started_while_its_worker_was_stopped_is_used(
    config: GatekeeperConfig, stopped: subprocess.Popen[str]
) -> None:
    wait_for(lambda: state_of(stopped.pid) == "T", "the worker to stop")
    started = wait_for(lambda: pid_of(config), "the gatekeeper to answer")
    run_on_when_it_is_late(stopped)
    assert stopped.communicate(timeout=20)[0] == "welcome\n"
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


def test_a_gatekeeper_is_used_whose_pipe_a_forked_child_keeps_open(config: GatekeeperConfig) -> None:
    command = [sys.executable, "-c", FORKING_WORKER, config.dump(some_window())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout is not None
            wait_for(lambda: select.select([worker.stdout], [], [], 0)[0], "the worker to say something")
            assert worker.stdout.readline() == "welcome\n"
            assert pid_of(config)
        finally:
            worker.kill()


# What is said of one that can't be joined


@pytest.fixture
def started_instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has a worker start some other code instead of a gatekeeper."""
    return lambda code: monkeypatch.setattr(launcher, "isolated_command", lambda *_: [sys.executable, "-c", code])


def why_not(config: GatekeeperConfig) -> str:
    with pytest.raises(DebuggerError) as caught:
        launcher.say_hello(config, some_window(), Audit(), Patience(gatekeeper=PATIENCE))
    return str(caught.value)


def test_one_that_says_nothing_is_ended(
    config: GatekeeperConfig, tmp_path: Path, started_instead: Callable[[str], None]
) -> None:
    told = tmp_path / "pid"
    started_instead(f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    assert "did not start within 1 s" in why_not(config)
    assert not Path("/proc", told.read_text()).exists()


def test_of_one_that_ends_right_after_its_start_that_is_said(
    config: GatekeeperConfig, started_instead: Callable[[str], None]
) -> None:
    started_instead("print('ready')")
    assert "the one that it has started is gone again" in why_not(config)


@pytest.fixture
def listener(config: GatekeeperConfig) -> Iterator[socket.socket]:
    """Something listens where the gatekeeper does, with room for one who waits."""
    path = Path(config.control)
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen(0)
        yield made
    path.unlink()


def test_of_one_that_hangs_up_on_everybody_that_is_said(
    config: GatekeeperConfig, listener: socket.socket, started_instead: Callable[[str], None]
) -> None:
    started_instead("raise SystemExit('nothing was to be started')")

    def hang_up() -> None:
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        assert "it ends each connection at once" in why_not(config)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_none_is_started_where_one_has_no_time_for_another_connection(
    config: GatekeeperConfig, listener: socket.socket, started_instead: Callable[[str], None]
) -> None:
    started_instead("raise SystemExit('nothing was to be started')")
    with closing(ControlConnection(Path(config.control))):
        said = why_not(config)
    assert "its control socket can't be reached: Resource temporarily unavailable" in said
    assert config.control in said
