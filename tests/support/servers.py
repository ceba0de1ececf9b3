"""Real servers in their own processes, and requests to them from chosen loopback addresses."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from stagedoor import Window
from stagedoor.dap.client import DapClient
from stagedoor.switches import FileSwitch
from support import application
from support.addresses import ALLOWED, OTHER
from support.waiting import wait_for


def _ports() -> Iterator[int]:
    """The ports that this process may give: below those that the kernel has for outgoing connections."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(range(20_000 + worker, 32_000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))))
    # Not the module's own generator, which hypothesis starts again from the same number.
    random.SystemRandom().shuffle(ports)
    return cycle(ports)


_candidates = _ports()


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has, and that nobody else is given before all others were."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in islice(_candidates, 50):
        with closing(socket.socket(family)) as probe, suppress(OSError):
            probe.bind((host, port))
            return port
    raise LookupError(f"50 ports of {host} were taken")


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass
class Answer:
    """A response."""

    status: int
    body: str
    headers: dict[str, str]
    seconds: float


@dataclass
class Pending:
    """A request on its own thread, whose answer comes later."""

    thread: threading.Thread
    outcome: list[Answer | BaseException] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return bool(self.outcome)

    def answer(self, timeout: float = 10.0) -> Answer:
        self.thread.join(timeout)
        assert self.outcome, f"waited {timeout:g} s for an answer"
        if isinstance(self.outcome[0], BaseException):
            raise self.outcome[0]
        return self.outcome[0]


class ServerProcess:
    """One server with the test application behind Stagedoor."""

    #: Where the debug port is.
    debug_host = "127.0.0.1"

    def __init__(
        self,
        folder: Path,
        server: str = "waitress",
        *,
        app: str = "support.application:application",
        host: str = "127.0.0.1",
        python: str = sys.executable,
        **environ: str,
    ) -> None:
        self.host = host
        self.port = free_port(host)
        self.debug_port = free_port(self.debug_host)
        self.switch = FileSwitch(folder / "switch" / "window.json", max_window=timedelta(hours=8))
        self._log = folder / f"server-{self.port}.log"
        settings = {
            "STAGEDOOR_ALLOW": ALLOWED,
            "STAGEDOOR_SWITCH": str(folder / "switch" / "window.json"),
            "STAGEDOOR_DEBUGGER": "listen",
            "STAGEDOOR_BIND": f"{self.debug_host}:{self.debug_port}",
        }
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(python, server, app),
                env={**os.environ, **settings, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._clients: list[DapClient] = []
        try:
            wait_for(lambda: is_listening(self.port, host) or self._died(), f"{server} to listen", timeout=20)
        except BaseException:
            self.stop()
            raise

    def command(self, python: str, server: str, app: str) -> list[str]:
        """What starts the server."""
        return [python, str(Path(__file__).with_name("serve.py")), server, self.host, str(self.port), app]

    def _died(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended at once: {self.log}")
        return False

    @property
    def log(self) -> str:
        """What the server and Stagedoor have logged so far."""
        return self._log.read_text(errors="replace")

    def get(
        self, path: str, source: str = OTHER, headers: dict[str, str] | None = None, timeout: float = 20.0
    ) -> Answer:
        """Request ``path`` from the address ``source``."""
        started = time.perf_counter()
        connection = http.client.HTTPConnection(
            self.host, self.port, timeout=timeout, source_address=None if ":" in self.host else (source, 0)
        )
        with closing(connection):
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            body = response.read().decode()
        # Some servers write names in lower case.
        given = {"Stagedoor" if name == "stagedoor" else name: value for name, value in response.getheaders()}
        return Answer(response.status, body, given, time.perf_counter() - started)

    def start_get(self, path: str, source: str = ALLOWED, headers: dict[str, str] | None = None) -> Pending:
        """The same on a thread of its own."""
        pending = Pending(threading.Thread(daemon=True))

        def run() -> None:
            try:
                pending.outcome.append(self.get(path, source, headers))
            except BaseException as error:
                pending.outcome.append(error)

        pending.thread = threading.Thread(target=run, daemon=True)
        pending.thread.start()
        return pending

    def report(self) -> dict[str, Any]:
        """What the server's process knows of itself, asked for from the address that is not allowed."""
        return json.loads(self.get("/report").body)  # type: ignore[no-any-return]

    def debugger_threads(self) -> list[str]:
        """The threads of the server's process that belong to the debugger or to Stagedoor."""
        return [name for name in self.report()["threads"] if "pydevd" in name.lower() or "stagedoor" in name]

    def open(self, for_: timedelta = timedelta(minutes=10)) -> Window:
        return self.switch.open(for_, opened_by="the tests")

    def noticed(self, state: str = "open") -> None:
        """Wait until the server's process has noticed what the switch says."""
        want = state == "open"
        wait_for(
            lambda: ("Stagedoor" in self.get("/hello", ALLOWED).headers) == want,
            f"the server to notice that the window is {state}",
            timeout=3,
        )

    def attach(self, *stops: str, **keywords: Any) -> DapClient:
        """Attach a client that has breakpoints at the lines named ``stops``."""
        client = DapClient(("127.0.0.1", self.debug_port))
        self._clients.append(client)
        breakpoints = {application.__file__: [application.stop_line(stop) for stop in stops]}
        client.attach(breakpoints=breakpoints, **keywords)
        return client

    def armed(self, *stops: str) -> DapClient:
        """Open a window, let the first matching request start the debugger, and attach."""
        self.open()
        self.listens()
        return self.attach(*stops)

    def listens(self) -> None:
        """Wait until matching requests have started the debugger."""
        # Nobody may connect to its port before that: debugpy's adapter would end when they hang up.
        wait_for(
            lambda: "client=waiting" in self.get("/hello", ALLOWED).headers.get("Stagedoor", ""),
            "the debugger to listen",
            timeout=5,
        )

    def stop(self) -> None:
        """End the server and all that belongs to it."""
        for client in self._clients:
            client.close()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)
