"""The lock in a file: who has it, and what is said where there can be none."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.file_lock import FileLock
from stagedoor.errors import DebuggerError
from support.forks import forks, in_child
from support.locks import NO_LOCKS, filters_calls
from support.scripted import some_config, some_window
from support.waiting import wait_for


def test_one_has_it_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock.take(path)
    assert lock is not None
    assert FileLock.take(path) is None
    lock.release()
    again = FileLock.take(path)
    assert again is not None
    again.release()


@forks
def test_a_forked_child_does_not_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = FileLock.take(path)
    assert lock is not None

    def is_held_there() -> bool:
        return FileLock.take(path) is None

    assert in_child(is_held_there) is True
    assert FileLock.take(path) is None, "the child has let go of the parent's"
    lock.release()


@forks
def test_it_is_free_when_its_process_was_killed_though_a_forked_child_lives(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = os.fork()
    if child == 0:
        held = FileLock.take(path)
        if held is not None and os.fork() == 0:
            (tmp_path / "alive").touch()
            wait_for(lambda: not path.exists(), "the test to be over", timeout=60)
            os._exit(0)
        signal.pause()
    try:
        wait_for((tmp_path / "alive").exists, "the child's child")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    lock = FileLock.take(path)
    path.unlink()
    assert lock is not None
    lock.release()


def no_folder(folder: Path) -> Path:
    return folder / "nowhere" / "lock"


def somebody_elses_link(folder: Path) -> Path:
    path = folder / "lock"
    path.symlink_to(folder / "elsewhere")
    return path


@pytest.mark.parametrize("place", [no_folder, somebody_elses_link])
def test_where_it_can_not_be_had_that_is_said(tmp_path: Path, place: object) -> None:
    path = place(tmp_path)  # type: ignore[operator]
    with pytest.raises(DebuggerError, match=rf"The lock {path} can't be had: .*\. See to it"):
        FileLock.take(path)
    assert not (tmp_path / "elsewhere").exists()


# Where the kernel has none

WORKER = """
import sys
from stagedoor.audit import Audit
from stagedoor.control.config import GatekeeperConfig
from stagedoor.errors import StagedoorError
from stagedoor.worker.launcher import say_hello
try:
    say_hello(*GatekeeperConfig.load(sys.argv[1]), Audit()).close()
except StagedoorError as error:
    print(error)
"""

SWEEPER = """
import sys
from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.leftovers import sweep
sweep(GatekeeperConfig.load(sys.argv[1])[0])
print("swept")
"""


@pytest.fixture
def config() -> Iterator[GatekeeperConfig]:
    folder = Path(tempfile.mkdtemp(prefix="stagedoor-tests-"))  # The path of a Unix socket holds about 100 bytes.
    yield some_config(folder / "run" / "control")
    shutil.rmtree(folder)


def without_locks(code: str, config: GatekeeperConfig) -> str:
    command = [sys.executable, "-c", NO_LOCKS + code, config.dump(some_window())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@filters_calls
def test_a_worker_says_so_and_blames_no_other_process(config: GatekeeperConfig) -> None:
    said = without_locks(WORKER, config)
    assert "control.lock can't be had: No locks available" in said
    assert "another process" not in said


@filters_calls
def test_what_is_left_stays_there_and_nothing_is_raised(config: GatekeeperConfig) -> None:
    os.makedirs(Path(config.control).parent, mode=0o700)
    assert without_locks(SWEEPER, config) == "swept\n"
