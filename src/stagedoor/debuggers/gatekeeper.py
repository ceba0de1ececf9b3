"""The worker's side of the gatekeeper: one gated port for all workers of the application.

While a window is open, the first matching request makes this process say hello to the gatekeeper, which is started if
there is none. Only when a client is attached *and* a matching request is there does pydevd start here; it dials out to
the gatekeeper's Unix socket and listens nowhere.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from stagedoor import control
from stagedoor.audit import Audit
from stagedoor.control import ControlConnection
from stagedoor.errors import DebuggerError
from stagedoor.gatekeeper_config import GatekeeperConfig, dump_window, window_id
from stagedoor.servers import Server, surrounding_server, threads_are_off
from stagedoor.tracing import Pause, Tracing
from stagedoor.watch import WindowWatch
from stagedoor.window import Window, format_duration

from .base import Armed, Debugger, Run, refuse_patched_threads
from .interpreter import python_executable

#: Seconds that a matching request waits for the client to configure this worker's session.
JOIN_PATIENCE = 3.0
#: Seconds that a worker tries to reach or to start the gatekeeper.
_START_PATIENCE = 5.0
#: The developer is told this many seconds before a paused request is continued.
_PAUSE_WARNING = 30.0

#: What the gatekeeper's process is given of the environment.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR", "SYSTEMROOT")


class GatekeeperDebugger(Debugger):
    """Debugs this worker through the gatekeeper.

    :param config: what a gatekeeper is started with; its window is filled in for each.
    """

    name = "gatekeeper"

    def __init__(self, config: GatekeeperConfig, watch: WindowWatch, audit: Audit, max_pause: timedelta) -> None:
        super().__init__(watch, audit, max_pause)
        self._config = config

    def refusal(self, *, multiprocess: bool, multithread: bool) -> str | None:
        if not multithread and not multiprocess:
            return (
                "The server handles one request at a time, so a paused request would stop everybody."
                " Run it with threads or with several processes (gunicorn: --threads 8)."
            )
        return threads_are_off()

    def is_worth_waiting(self) -> bool:
        # Where no gatekeeper is, no client can be.
        return os.path.exists(self._config.control)

    def new_run(self, window: Window) -> GatekeeperRun:
        return GatekeeperRun(self, window)

    def begin(self, run: Run) -> None:
        assert isinstance(run, GatekeeperRun)
        refuse_patched_threads()
        run.connect(self._hello(run.window))

    def armed(self, run: Run, request: str, *, multithread: bool) -> Armed:
        assert isinstance(run, GatekeeperRun)
        if run.client == "off":
            return Armed(None, None)
        if run.server is None:
            run.server = surrounding_server(multithread=multithread)
        tracing = run.tracing
        if tracing is None or not tracing.attached:
            if run.client == "ignored":
                return Armed(None, "the client has no session for this worker")
            tracing = run.join(request)
        return Armed(tracing, None if tracing is not None and tracing.attached else "the client did not answer in time")

    def tick(self, run: Run) -> bool:
        assert isinstance(run, GatekeeperRun)
        return run.look_after_pauses()

    def end(self, run: Run, tracing: Tracing | None) -> None:
        assert isinstance(run, GatekeeperRun)
        run.disconnect()
        if tracing is not None:
            with suppress(Exception):
                tracing.stop()


class GatekeeperRun(Run):
    """One window's debugging in this worker."""

    def __init__(self, debugger: GatekeeperDebugger, window: Window) -> None:
        super().__init__(debugger, window)
        #: ``on``, ``off``, or ``ignored`` where the client has no session for this worker and is not waited for.
        self.client = "off"
        self.server: Server | None = None
        self._path = Path(debugger._config.control)
        self._max_pause = debugger.max_pause
        self._control: ControlConnection | None = None
        self._changed = threading.Condition()
        self._joining = False
        self._outbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._warned: set[float] = set()

    def connect(self, connection: ControlConnection) -> None:
        self._control = connection
        self.client = connection.received

    def disconnect(self) -> None:
        """Let go of the gatekeeper, and of every request that waits for it."""
        with self._changed:
            self.client = "off"
            self._changed.notify_all()
        if self._control is not None:
            self._control.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._wake_read = self._wake_write = -1

    def join(self, request: str) -> Tracing | None:
        """Bring pydevd to the gatekeeper, and wait until the client has configured its session for this worker."""
        with self._changed:
            if not self._joining and self.tracing is None:
                self._joining = True
                self._post({"join": request})
            self._changed.wait_for(self._is_settled, JOIN_PATIENCE)
            return self.tracing

    def _is_settled(self) -> bool:
        tracing = self.tracing
        return self.client != "on" or (tracing is not None and tracing.attached)

    def wait(self, seconds: float) -> bool:
        """Speak with the gatekeeper for up to ``seconds``; returns whether the run is over."""
        connection = self._control
        if connection is None:
            return super().wait(seconds)
        try:
            ready, _, _ = select.select([connection.fileno(), self._wake_read], [], [], seconds)
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
            self._send_outbox(connection)
            if connection.fileno() in ready:
                for message in connection.receive(0):
                    self._take(message)
                self._send_outbox(connection)
                if self.client == "on":
                    # The first matching request then finds debugpy imported, the slower half of a join.
                    Tracing.prepare()
        except (OSError, EOFError, ValueError, control.ControlError):
            return True  # The gatekeeper is gone, and with it the debugging.
        return self.is_cancelled

    def wake(self) -> None:
        with suppress(OSError):
            os.write(self._wake_write, b".")

    def _post(self, message: dict[str, Any]) -> None:
        self._outbox.put(message)
        self.wake()

    def _send_outbox(self, connection: ControlConnection) -> None:
        with suppress(queue.Empty):
            while True:
                message = self._outbox.get_nowait()
                connection.send(message)
                if "join" in message:
                    self._join()

    def _join(self) -> None:
        """Start pydevd over a connection to the gatekeeper. Runs on the window's thread."""
        tracing = Tracing(self)
        try:
            connection = ControlConnection(self._path)
            connection.send({"debuggee": {"pid": os.getpid()}})
            self.tracing = tracing
            tracing.start_over(connection.detach())
            if self.server is not None:
                tracing.pause_limit = self.server.pause_limit
        except Exception as error:
            self.tracing = None
            self.failed(error)
        with self._changed:
            self._joining = False
            self._changed.notify_all()

    def _take(self, message: dict[str, Any]) -> None:
        if "client" in message:
            with self._changed:
                self.client = str(message["client"])
                self._changed.notify_all()
            self._post({"seen": self.client})
        elif "audit" in message:
            record = message["audit"]
            self._audit.record(
                str(record["event"]), str(record["sentence"]), level=int(record["level"]), **dict(record["fields"])
            )
        elif "closed" in message:
            self.cancel_soon()

    def look_after_pauses(self) -> bool:
        """Keep the server's arbiter content, and warn before a pause ends; returns whether to go on."""
        server, tracing = self.server, self.tracing
        pauses = tracing.pauses if tracing is not None else []
        if server is not None and pauses:
            if server.retiring is not None and server.retiring():
                return False
            if server.keep_alive is not None:
                with suppress(Exception):
                    server.keep_alive()
        limit = self._max_pause.total_seconds()
        for pause in pauses:
            left = limit - (time.monotonic() - pause.since)
            if limit > _PAUSE_WARNING >= left and pause.since not in self._warned:
                self._warned.add(pause.since)
                self._post({"console": f"{pause.request} is continued in {max(0, round(left))} s (max_pause)."})
        return True

    def attached(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def detached(self) -> None:
        pass  # The gatekeeper records its clients.

    def paused(self, pause: Pause) -> None:
        super().paused(pause)
        place = f"{pause.file}:{pause.line}"
        self._post({"paused": {"thread": pause.thread, "request": pause.request, "place": place}})

    def resumed(self, pause: Pause, seconds: float) -> None:
        super().resumed(pause, seconds)
        self._post({"resumed": {"thread": pause.thread}})
        if seconds > self._max_pause.total_seconds():
            limit = format_duration(self._max_pause)
            self._post({"console": f"{pause.request} was continued after {limit} (max_pause)."})

    def not_paused(self, request: str, limit: int) -> None:
        self._post(
            {
                "console": f"{request} was not paused: {limit} requests of worker {os.getpid()} are paused already, "
                "and one thread has to be left for the others."
            }
        )
