"""What a demo happens on: the application in a process of its own, with its switch and its debug port."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self, TypeVar

from stagedoor.access.passes import make_passes
from stagedoor.settings.settings import DEFAULT_MAX_WINDOW
from stagedoor.switches import FileSwitch
from stagedoor.window.window import Window
from stagedoor.worker.proof import TESTED_FIRST

from . import signals
from .visitors import PATIENCE, DemoFailed, Page, Place, Visitor, possible_pair

_Value = TypeVar("_Value")

#: Whether this platform says which processes there are, and with which environment.
SEES_PROCESSES = Path("/proc/self/environ").exists()

_SHOP = Path(__file__).with_name("shop.py")
_DEVELOPERS = ("anna", "ben")
_END_PATIENCE = 3.0  # seconds that the application may take to end by itself


@dataclass(frozen=True, slots=True)
class Developer:
    """Who attaches in the window that is open.

    :param visitor: who requests pages for them, with the pass for that.
    :param attach_pass: what their IDE attaches with.
    :param line: where their breakpoint is, in the application's code.
    """

    visitor: Visitor
    attach_pass: str = field(repr=False)
    line: int

    @property
    def name(self) -> str:
        return self.visitor.name


class Stage:
    """A running staging application, for as long as the ``with`` block lasts. Whatever it starts it ends.

    :param debug_port: the debug port wanted; any free one if that is taken, or by default.
    :param log_to_stderr: the application's log goes to this process's stderr, not to a file in :attr:`folder`.
    :param places: where the developers and the visitor are; by default what this machine's loopback can play.
    :raises DemoFailed: if the application does not start.
    """

    def __init__(
        self, *, debug_port: int = 0, log_to_stderr: bool = False, places: tuple[Place, Place] | None = None
    ) -> None:
        self.office, elsewhere = places or possible_pair()
        self.visitor = Visitor("visitor", elsewhere)
        self.debug_port = _free_port(debug_port)
        self.port = 0
        # Resolved, because that is how the debugger names the files in it.
        self.folder = Path(tempfile.mkdtemp(prefix="stagedoor-demo-")).resolve()
        self.code = self.folder / _SHOP.name
        self.switch = FileSwitch(self.folder / "window.json", max_window=DEFAULT_MAX_WINDOW)
        self._log = self.folder / "shop.log"
        self._log_to_stderr = log_to_stderr
        self._process: subprocess.Popen[str] | None = None
        self._visits = ThreadPoolExecutor(max_workers=4, thread_name_prefix="visitor")

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """The process of the application."""
        return self._process.pid if self._process is not None else 0

    @property
    def is_running(self) -> bool:
        """Whether the application is there."""
        return self._process is not None and self._process.poll() is None

    def open_window(self, length: timedelta) -> tuple[Window, list[Developer]]:
        """Open a window, or move the end of the open one; returns it, and those who have passes for it."""
        window = self.switch.open(length, opened_by="the demo")
        return window, [self._developer(name, window) for name in _DEVELOPERS]

    def _developer(self, name: str, window: Window) -> Developer:
        lines = self.code.read_text(encoding="utf-8").splitlines()
        line = next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {name}'s breakpoint"))
        passes = make_passes(name, window.token)
        return Developer(Visitor(name, self.office, passes.request), passes.attach, line)

    def log(self) -> list[str]:
        """What the application has logged so far."""
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def page(self, visitor: Visitor) -> Page:
        """Request the page.

        :raises DemoFailed: if there is no answer.
        """
        return visitor.request(self.port)

    def visit(self, visitor: Visitor) -> Future[Page]:
        """The same on a thread of its own."""
        return self._visits.submit(self.page, visitor)

    def first_matching_page(self, developer: Developer) -> Page:
        """The answer to a developer's first request that finds the window open; the debug port is open then.

        :raises DemoFailed: if the application doesn't notice the window, or can't start the debugger.
        """

        def announced() -> Page | None:
            page = self.page(developer.visitor)
            # A release of debugpy that is not known is tested first, which takes some seconds.
            return page if page.announcement is not None and TESTED_FIRST not in page.announcement else None

        page = wait_for(announced, "the application to notice the window")
        if not str(page.announcement).endswith("client=waiting"):
            raise DemoFailed(f"No client can attach; the application announces: {page.announcement}.")
        return page

    def port_is_closed(self) -> bool:
        """Whether nothing accepts connections on the debug port."""
        try:
            socket.create_connection(("127.0.0.1", self.debug_port), timeout=1).close()
        except OSError:
            return True
        return False

    def debugger_processes(self) -> list[int]:
        """The processes beside the application's own that it, or what it started, has started and that are still there.

        Known by the runtime directory in their environment, which no other process has. Where there is no ``/proc``,
        none is known: see :data:`SEES_PROCESSES`.
        """
        marker = f"XDG_RUNTIME_DIR={self.folder}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return [pid for pid in found if pid != self.pid]

    def end(self) -> None:
        """End the application, gently first, and whatever is left of its debugger; remove the folder."""
        with signals.ignored():
            if self._process is not None:
                _end(self._process)
            for pid in self.debugger_processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._visits.shutdown()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        # A copy: code in site-packages counts as a library's, and Stagedoor's own is never debugged.
        shutil.copy(_SHOP, self.code)
        settings = {
            "STAGEDOOR_ALLOW": self.office.address,
            "STAGEDOOR_BIND": f"127.0.0.1:{self.debug_port}",
            "STAGEDOOR_SWITCH": str(self.switch.path),
            "XDG_RUNTIME_DIR": str(self.folder),  # whatever else the debugger needs goes away with the folder too
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("STAGEDOOR_")}
        hosts = dict.fromkeys((self.office.host, self.visitor.place.host))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(self.code), *hosts],
                env={**inherited, **settings},
                stdin=subprocess.PIPE,  # it ends when this is closed, so also when this process is killed
                stdout=subprocess.PIPE,
                stderr=None if self._log_to_stderr else log,
                text=True,
                start_new_session=True,  # Ctrl-C is for this process, which ends the application itself
            )
        assert self._process.stdout is not None
        try:
            self.port = int(self._visits.submit(self._process.stdout.readline).result(PATIENCE))
        except (ValueError, TimeoutError):
            raise DemoFailed(f"The application did not start. {' '.join(self.log()[-1:])}") from None


def wait_for(condition: Callable[[], _Value | None], what: str) -> _Value:
    """Wait until ``condition()`` is true, and return its value.

    :raises DemoFailed: if it does not become true.
    """
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise DemoFailed(f"Waited {PATIENCE:.0f} s for {what}.")
        time.sleep(0.01)
    return value


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(_END_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def _free_port(wanted: int) -> int:
    # Not one that the kernel chooses: those are for outgoing connections, of which one could have it before the debug port
    # is opened.
    others = random.SystemRandom().sample(range(20_000, 32_000), 20)
    for port in [wanted, *others] if wanted else others:
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, for ports in TIME_WAIT
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise DemoFailed("There is no free port on 127.0.0.1.")
