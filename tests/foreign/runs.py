"""One run of one suite, in a process of its own, with a client attached to it from this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foreign import door
from foreign.suites import Suite
from stagedoor.dap.client import WaitFailed
from stagedoor.dap.ide import Ide
from stagedoor.errors import StagedoorError
from support.addresses import ALLOWED
from support.waiting import wait_for

BARE = "bare"
_INSIDE = Path(__file__).with_name("inside.py")


@dataclass(frozen=True)
class Run:
    """What became of it.

    :param tests: what became of each test, by its id.
    :param reasons: why it failed, of those that did.
    :param warnings: all that came.
    :param counted: of the requests, see :class:`foreign.door.Door`.
    :param stops: what paused at the client, which nothing may.
    :param seconds: how long it took.
    """

    tests: dict[str, str]
    reasons: dict[str, str]
    warnings: frozenset[str]
    counted: dict[str, int]
    stops: tuple[str, ...]
    seconds: float


class RunFailed(Exception):
    """A suite did not come to its end; the message says what it has said last."""


def run(suite: Suite, folder: Path, needed: Path, mode: str, patience: float) -> Run:
    """Run a suite.

    :param folder: where it runs.
    :param needed: a folder of modules that it imports.
    :param mode: :data:`BARE`, or as :mod:`foreign.inside` has it.
    :param patience: how many seconds it may take.
    :raises RunFailed: if it takes longer, or breaks off.
    """
    with tempfile.TemporaryDirectory(prefix="foreign-", ignore_cleanup_errors=True) as scratch:
        result, log = Path(scratch) / "result.json", Path(scratch) / "log"
        command = [sys.executable, _INSIDE, result, mode, suite.kind, *suite.places, "--", *suite.command]
        environment = os.environ | {"PYTHONPATH": str(needed), "XDG_RUNTIME_DIR": scratch, "PYTHONHASHSEED": "0"}
        environment |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "STAGEDOOR_THREADS": "8"}
        started = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        try:
            with attached(process, result, mode) as stops:
                code = process.wait(patience)
            if code:
                raise RunFailed(f"it ended with {code}")
            found: dict[str, Any] = json.loads(result.read_text())
        except (subprocess.TimeoutExpired, OSError, StagedoorError, RunFailed, AssertionError) as error:
            said = log.read_text(errors="replace")[-3000:]
            raise RunFailed(f"{suite.name}, {mode}: {type(error).__name__}: {error}\n{said}") from error
        finally:
            # With all that it has started itself.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    seconds = time.monotonic() - started
    if not found["tests"]:
        raise RunFailed(f"{suite.name}, {mode}: no test was run")
    return Run(
        found["tests"], found["reasons"], frozenset(found["warnings"]), found["counted"], tuple(stops), seconds
    )  # fmt: skip


@contextmanager
def attached(process: subprocess.Popen[bytes], result: Path, mode: str) -> Iterator[list[str]]:
    """Attach to the run as soon as it says where; gives the list of its stops, each of which is continued at once."""
    stops: list[str] = []
    if mode == BARE:
        yield stops
        return
    where = result.with_suffix(".door")
    wait_for(
        lambda: where.exists() or process.poll() is not None, "the run to say where its debug port is", timeout=120
    )
    if process.poll() is not None:
        raise RunFailed("it ended before it began")
    told = json.loads(where.read_text())
    ide = wait_for(lambda: _ide(told["port"], told["token"]), "the debug port to be there", timeout=60, every=0.1)
    over = threading.Event()

    def resume() -> None:
        while not over.is_set():
            with suppress(WaitFailed):
                stop = ide.stopped(timeout=0.2)
                stops.append(f"{stop.reason} in {stop.frame()['name']}")
                stop.resume()

    resuming = threading.Thread(target=resume, name="foreign-resume")
    resuming.start()
    result.with_suffix(".go").touch()
    try:
        yield stops
    finally:
        over.set()
        resuming.join()
        ide.close()


def _ide(port: int, token: str) -> Ide | None:
    looked = {"line": door.breakpoint_line(), "condition": "looked.append(for_visitor)"}
    try:
        return Ide(
            ("127.0.0.1", port), {door.__file__: [looked]}, token=token, source_address=(ALLOWED, 0),
            arguments={"justMyCode": False}, timeout=60,
        )  # fmt: skip
    except ConnectionRefusedError:
        return None  # A request has asked for the port, and does not wait for it.
