"""A gatekeeper in its own process with scripted workers and sessions: what it keeps for each of them."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.workloads import breakpoints
from stagedoor.access.passes import make_passes
from stagedoor.control.connection import ControlConnection
from stagedoor.dap.client import DapClient
from support.processes import processes
from support.scripted import ScriptedWorker, some_config, some_window
from support.servers import ALLOWED
from support.waiting import wait_for

#: Sessions and workers.
CROWDS = ((1, 1), (16, 1), (1, 64), (16, 64))


def resident(pid: int) -> float:
    """The resident memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def passes(token: str, number: int) -> list[str]:
    """What so many developers attach with: the window's token, and passes."""
    return [token, *(make_passes(f"developer-{count}", token).attach for count in range(1, number))]


def megabytes(sessions: int, workers: int) -> float:
    """The resident memory of a gatekeeper with so many of each, all workers joined."""
    with ExitStack() as cleanup:
        side, pid = cleanup.enter_context(gatekeeper())
        # Before this process has threads: those of the clients.
        crowd = [cleanup.enter_context(forked(side)) for _ in range(workers)]
        port = int(side.config.bind.rpartition(":")[2])
        for token in passes(side.window.token, sessions):
            client = DapClient(("127.0.0.1", port), timeout=30, source_address=(ALLOWED, 0))
            cleanup.callback(client.close)
            client.attach(breakpoints(), {"stagedoorToken": token})
        for worker in crowd:
            worker.send("join")
            if not worker.poll(60) or worker.recv() != "joined":
                raise RuntimeError("A scripted worker has not been set up.")
        with closing(ControlConnection(Path(side.config.control))) as connection:
            status = connection.ask({"status": {}}, timeout=5)["status"]
        there = len(status["sessions"]), len(status["workers"])
        if there != (sessions, workers):
            raise RuntimeError(f"There are {there[0]} sessions and {there[1]} workers.")
        return resident(pid)


@contextmanager
def gatekeeper() -> Iterator[tuple[SimpleNamespace, int]]:
    """A gatekeeper as a worker starts it: its settings and window, and its process id."""
    with tempfile.TemporaryDirectory(prefix="stagedoor-") as folder:
        side = SimpleNamespace(config=some_config(Path(folder) / "control"), window=some_window(timedelta(minutes=10)))
        subprocess.run(
            [sys.executable, "-m", "stagedoor.gatekeeper"],
            input=side.config.dump(side.window),
            env=os.environ | {"XDG_RUNTIME_DIR": folder},
            check=True,
            text=True,
            stdout=subprocess.DEVNULL,
        )
        try:
            (pid,) = wait_for(lambda: processes("stagedoor.gatekeeper", environ=folder), "the gatekeeper")
            yield side, pid
        finally:
            with closing(ControlConnection(Path(side.config.control))) as connection:
                connection.ask({"close": {}}, timeout=5)
            wait_for(lambda: not processes("stagedoor.gatekeeper", environ=folder), "the gatekeeper to end")


@contextmanager
def forked(side: SimpleNamespace) -> Iterator[Connection]:
    """A scripted worker in a process of its own: the gatekeeper asks the kernel whose hello it is."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, side), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(60) or ours.recv() != "there":
            raise RuntimeError("A scripted worker has not said hello.")
        yield ours
    finally:
        process.kill()
        process.join()
        ours.close()


def _work(connection: Connection, side: Any) -> None:
    worker = ScriptedWorker(side)
    connection.send("there")
    connection.recv()
    debugger = worker.bring_debugger()
    debugger.wait_asked("configurationDone")
    connection.send("joined")
    connection.recv()
