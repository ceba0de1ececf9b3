"""The end of debugpy's adapter, which is known by its token only."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stagedoor.worker.adapter import end_adapter

NO_PROC = Path("/nowhere/self/cmdline")

#: A process that ends when it is told to, or does not.
CODE = "import signal, sys; {}; print('ready', flush=True); signal.pause()"
WILLING, UNWILLING = "pass", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"

Start = Callable[[str, str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def start_one(what: str, token: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", CODE.format(what), token], stdout=subprocess.PIPE))
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline() == b"ready\n"
        return started[-1]

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("place", [None, NO_PROC], ids=["by /proc", "by ps"])
@pytest.mark.parametrize("what", [WILLING, UNWILLING], ids=["one that ends", "one that does not"])
def test_it_ends_and_no_other_process(
    start: Start, monkeypatch: pytest.MonkeyPatch, what: str, place: Path | None
) -> None:
    if place is not None:
        monkeypatch.setattr("stagedoor.worker.adapter._PROC", place)
    token = secrets.token_hex(16)
    adapter, other = start(what, token), start(what, secrets.token_hex(16))
    end_adapter(token)
    adapter.wait(10)
    assert other.poll() is None


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc here")
def test_the_processes_of_the_host_are_looked_through_once(start: Start) -> None:
    read: list[str] = []
    sys.addaudithook(lambda event, of: read.append(str(of[0])) if event == "open" else None)
    start(UNWILLING, token := secrets.token_hex(16))
    other = f"/proc/{start(WILLING, secrets.token_hex(16)).pid}/cmdline"
    read.clear()
    end_adapter(token)
    assert read.count(other) == 1
