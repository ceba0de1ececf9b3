"""Servers whose workers are debugged through the gatekeeper, and IDEs attached to it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from stagedoor.control.connection import ControlConnection
from stagedoor.control.place import path_beside
from stagedoor.dap.ide import Ide
from support import application
from support.processes import processes
from support.servers import ALLOWED, ServerProcess, is_listening
from support.waiting import wait_for


def end_gatekeeper(control: str) -> None:
    """Have the gatekeeper with this control socket end, and wait until it is gone; if there is none, that is fine."""
    try:
        connection = ControlConnection(Path(control))
    except OSError:
        return
    with closing(connection):
        connection.ask({"close": {}}, timeout=2)
    wait_for(lambda: not Path(control).exists(), "the gatekeeper to end")


class GatedServer(ServerProcess):
    """A server behind the gatekeeper back end. The IDE comes from the address that is allowed.

    :param options: the server's own settings, such as ``"workers=4 threads=4"``.
    """

    def __init__(self, folder: Path, server: str = "gunicorn", *, options: str = "", **keywords: Any) -> None:
        # Not below ``folder``: the path of a Unix socket holds about 100 bytes.
        self.runtime = Path(tempfile.mkdtemp(prefix="stagedoor-tests-"))
        environ = {
            "STAGEDOOR_DEBUGGER": "gatekeeper",
            "STAGEDOOR_TESTS_OPTIONS": options,
            "XDG_RUNTIME_DIR": str(self.runtime),
        }
        self._ides: list[Ide] = []
        settings = dict(pair.partition("=")[::2] for pair in options.split())
        self.workers = int(settings.get("workers") or settings.get("processes") or 1)
        super().__init__(folder, server, **(environ | keywords))

    @property
    def control_path(self) -> Path:
        return path_beside(self.switch.path)

    def status(self) -> dict[str, Any]:
        """What the gatekeeper tells of itself."""
        connection = ControlConnection(self.control_path)
        try:
            return dict(connection.ask({"status": {}}, timeout=2)["status"])
        finally:
            connection.close()

    def gatekeepers(self) -> list[int]:
        """The process ids of the gatekeepers that this server's workers have started."""
        return processes("stagedoor.gatekeeper", environ=str(self.runtime))

    def noticed(self, state: str = "open") -> None:
        """Wait until every worker has noticed what the switch says."""
        self.noticed_with("client=waiting", state == "open")

    def noticed_with(self, said: str, want: bool = True) -> None:
        """Wait until the header of every worker's responses says so, or does not."""
        seen: set[str] = set()

        def all_have() -> bool:
            for pending in [self.start_get("/pid", ALLOWED) for _ in range(2 * self.workers)]:
                answer = pending.answer()
                if (said in answer.headers.get("Stagedoor", "")) == want:
                    seen.add(answer.body)
            return len(seen) >= self.workers

        wait_for(all_have, f"all workers to say {said}: {want}", timeout=10)

    def ide(
        self, *stops: str, breakpoints: Mapping[str, Any] | None = None, source: str = ALLOWED, **keywords: Any
    ) -> Ide:
        """Attach an IDE with breakpoints at the lines named ``stops``, with the window's token."""
        lines: Mapping[str, Any] = {application.__file__: [application.stop_line(stop) for stop in stops]}
        keywords.setdefault("token", self.token())
        ide = Ide(("127.0.0.1", self.debug_port), breakpoints or lines, source_address=(source, 0), **keywords)
        self._ides.append(ide)
        return ide

    def token(self) -> str | None:
        """The open window's token, if its switch tells."""
        window = self.switch.read()
        return window.token if window is not None else None

    def ready(self, *stops: str, **keywords: Any) -> Ide:
        """Open a window, let a first matching request start the gatekeeper, and attach an IDE."""
        self.open()
        self.joined()
        return self.ide(*stops, **keywords)

    def joined(self, workers: int | None = None) -> set[int]:
        """Send matching requests until so many workers, by default all, have said hello; returns their ids."""
        wanted = self.workers if workers is None else workers

        def have_joined() -> set[int]:
            for pending in [self.start_get("/pid", ALLOWED) for _ in range(2 * self.workers)]:
                pending.answer()
            try:
                found = {worker["pid"] for worker in self.status()["workers"]}
            except (OSError, EOFError, TimeoutError):
                found = set()  # There is no gatekeeper yet, or the last window's is just ending.
            return found if len(found) >= wanted else set()

        return wait_for(have_joined, f"{wanted} workers to say hello to the gatekeeper", every=0.05)

    def wait_until_gone(self, timeout: float = 1.0, every: float = 0.01) -> None:
        """Wait until nothing of a window is left: port, process, control socket, threads."""
        wait_for(
            lambda: (
                not is_listening(self.debug_port)
                and not self.gatekeepers()
                and not os.path.exists(self.control_path)
                and not self.debugger_threads()
            ),
            "the port, the gatekeeper, its control socket and the debugger's threads to be gone",
            timeout=timeout,
            every=every,
        )

    def wait_until_no_thread(self) -> None:
        """Wait until no worker has a thread of the debugger's or of Stagedoor's."""
        wait_for(
            lambda: not any(self.debugger_threads() for _ in range(4 * self.workers)),
            "the threads to be gone",
            timeout=2,
        )

    def stop(self) -> None:
        for ide in self._ides:
            ide.close()
        # All its processes at once: a graceful end is what single tests ask for.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        super().stop()
        for pid in self.gatekeepers():
            os.kill(pid, 9)
        shutil.rmtree(self.runtime)


@contextmanager
def open_server(folder: Path, options: str) -> Iterator[GatedServer]:
    """gunicorn with these options, whose workers know of an open window."""
    running = GatedServer(folder, "gunicorn", options=options)
    try:
        running.open()
        running.joined()
        yield running
    finally:
        running.stop()
        print(running.log)
