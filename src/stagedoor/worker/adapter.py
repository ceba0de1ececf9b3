"""debugpy's adapter, a process of its own that ``debugpy.listen`` starts: how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

#: How long an adapter that was told to end may take, in seconds, before it is killed.
_ADAPTER_PATIENCE = 0.3

#: Where there is such a file, each process has one.
_PROC = Path("/proc/self/cmdline")


def end_adapter(token: str) -> None:
    """End debugpy's adapter, which otherwise keeps its port for as long as a client keeps its socket open.

    It detaches itself from this process, so that it can be known only by the token on its command line.
    """
    pids = _processes_with(token)
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _ADAPTER_PATIENCE
    # Only these are looked at again: to read of every process of a host takes a core's time for as long as it is done.
    while (pids := [pid for pid in pids if token in _command_of(pid)]) and time.monotonic() < deadline:
        time.sleep(0.005)
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _processes_with(token: str) -> list[int]:
    if not _PROC.exists():
        lines = [line.split(None, 1) for line in _ps("-A", "-ww", "-o", "pid=", "-o", "command=").splitlines()]
        return [int(pid) for pid, *command in lines if token in "".join(command)]
    pids = [int(entry.name) for entry in _PROC.parent.parent.iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if token in _command_of(pid)]


def _command_of(pid: int) -> str:
    """A process's command line; empty if there is no such process any more."""
    if not _PROC.exists():
        return _ps("-p", str(pid), "-ww", "-o", "command=")
    with suppress(OSError):
        return (_PROC.parent.parent / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    return ""


def _ps(*options: str) -> str:
    with suppress(OSError):
        return subprocess.run(["ps", *options], capture_output=True, text=True, check=False).stdout
    return ""
