"""debugpy's adapter, a process of its own that ``debugpy.listen`` starts: how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

#: How long an adapter that was told to end may take, in seconds, before it is killed.
_ADAPTER_PATIENCE = 0.3


def end_adapter(token: str) -> None:
    """End debugpy's adapter, which otherwise keeps its port for as long as a client keeps its socket open.

    It detaches itself from this process, so that it can be known only by the token on its command line.
    """
    pids = list(_processes_with(token))
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _ADAPTER_PATIENCE
    while pids and time.monotonic() < deadline:
        time.sleep(0.005)
        pids = list(_processes_with(token))
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _processes_with(token: str) -> Iterator[int]:
    proc = Path("/proc")
    if (proc / "self" / "cmdline").exists():
        for entry in proc.iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if token.encode() in (entry / "cmdline").read_bytes():
                        yield int(entry.name)
        return
    with suppress(OSError):
        listing = subprocess.run(["ps", "-A", "-o", "pid=,command="], capture_output=True, text=True, check=False)
        for line in listing.stdout.splitlines():
            if token in line:
                yield int(line.split(None, 1)[0])
