"""One worker's part in one window of the gatekeeper: from its hello until one of the two goes away."""

from __future__ import annotations

import os
import queue
import select
import threading
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from stagedoor.control.config import dump_window
from stagedoor.control.protocol import ControlConnection, ControlError
from stagedoor.tracing import Pause, Tracing
from stagedoor.window.window import Window, format_duration

from .backend import Debugger
from .run import Run
from .waker import Waker

#: Seconds that matching requests wait for the debugger to be loaded, and again for the client to configure this worker's
#: session: from the beginning of either. Whoever comes later than that goes on at once until it is done.
JOIN_PATIENCE = 3.0
_CLIENT_IS_DUE = "the client has not configured its session for this worker yet"
#: The developer is told this many seconds before a paused request is continued.
_PAUSE_WARNING = 30.0


class Membership(Run):
    """The debugging of this worker, which the gatekeeper lends its port.

    :param debugger: whose run this is.
    :param window: the window.
    :param control: the control socket.
    :param tells_of_window: the gatekeeper can't read the window's switch, and hears of changes from its workers.
    """

    def __init__(self, debugger: Debugger, window: Window, control: Path, *, tells_of_window: bool = False) -> None:
        super().__init__(debugger, window)
        #: ``on``, ``off``, or ``ignored`` where the client has no session for this worker and is not waited for.
        self.client = "off"
        self._path = control
        self._tells_of_window = tells_of_window
        #: What the gatekeeper was told. An earlier process of the server may have started it with an earlier end.
        self._known_end: datetime | None = None
        self._max_pause = debugger.max_pause
        self._control: ControlConnection | None = None
        self._changed = threading.Condition()
        self._joining = False
        #: Until when requests wait for what is just done to join, on the monotonic clock.
        self._patient_until = 0.0
        #: What is just done, for whoever goes on meanwhile.
        self._doing = ""
        #: Requests that wait for the client to configure its session.
        self._waiting = 0
        self._outbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._waker: Waker | None = None
        self._warned: set[float] = set()
        self._explained: set[str] = set()

    def connect(self, connection: ControlConnection) -> None:
        self._waker = Waker()
        self.client = connection.received
        self._control = connection

    def disconnect(self) -> None:
        """Let go of the gatekeeper, and of every request that waits for it."""
        with self._changed:
            self.client = "off"
            self._changed.notify_all()
        if self._control is not None:
            window = self._debugger.watch.window
            if self._tells_of_window and (window is None or window.token != self.window.token):
                with suppress(OSError):
                    self._control.send({"over": "The window was closed."})
            self._control.close()
        if self._waker is not None:
            self._waker.close()

    def forget_in_child(self) -> None:
        """In a forked child: else the gatekeeper would not notice the end of this worker before that of the child."""
        super().forget_in_child()
        self.client = "off"
        self._changed = threading.Condition()
        self._outbox = queue.SimpleQueue()
        if self._control is not None:
            self._control.close()
        if self._waker is not None:
            self._waker.forget_in_child()

    # On a request's thread

    def join(self, request: str) -> None:
        """Bring pydevd to the gatekeeper, and wait until the client has configured its session for this worker."""
        with self._changed:
            if not self._joining and (self.tracing is None or not self.tracing.alive):
                self._joining = True
                self._begin_to("this worker is still loading the debugger")
                self._post({"join": request})
            self._waiting += 1
            try:
                while not self._is_settled() and (left := self._patient_until - time.monotonic()) > 0:
                    self._changed.wait(left)
            finally:
                self._waiting -= 1

    def _begin_to(self, doing: str) -> None:
        """From now on requests wait for something else."""
        self._doing = doing
        self._patient_until = time.monotonic() + JOIN_PATIENCE
        self._changed.notify_all()

    def _is_settled(self) -> bool:
        tracing = self.tracing
        return self.client != "on" or self.failure is not None or (tracing is not None and tracing.attached)

    @property
    def why_not_attached(self) -> str | None:
        """Why a matching request is not debugged though there is a client; ``None`` if there is none."""
        if self.client == "off":
            return None
        if self.client == "ignored":
            return "the client has no session for this worker"
        return self.failure or self._doing

    # On the window's thread

    def wait(self, seconds: float) -> bool:
        """Speak with the gatekeeper for up to ``seconds``; returns whether the run is over."""
        connection, waker = self._control, self._waker
        if connection is None or waker is None:
            return super().wait(seconds)
        try:
            poll = select.poll()
            poll.register(connection.fileno(), select.POLLIN)
            poll.register(waker.fileno(), select.POLLIN)
            ready = [descriptor for descriptor, _ in poll.poll(seconds * 1000)]
            if waker.fileno() in ready:
                waker.reset()
            self._send_outbox(connection)
            if connection.fileno() in ready:
                for message in connection.receive(0):
                    self._take(message)
                self._send_outbox(connection)
                if self.client == "on":
                    # The first matching request then finds debugpy imported, the slower half of a join.
                    Tracing.prepare()
        except (OSError, EOFError, ControlError):
            return True  # The gatekeeper is gone, and with it the debugging.
        return self.is_cancelled

    def wake(self) -> None:
        if self._waker is not None:
            self._waker.wake()

    def _post(self, message: dict[str, Any]) -> None:
        self._outbox.put(message)
        self.wake()

    def say(self, sentence: str) -> None:
        self._post({"console": sentence})

    def explain(self, reason: str) -> None:
        if self.client == "on" and reason not in self._explained:
            self._explained.add(reason)
            self.say(f"Your requests are not paused. {reason}")

    def _send_outbox(self, connection: ControlConnection) -> None:
        with suppress(queue.Empty):
            while True:
                message = self._outbox.get_nowait()
                connection.send(message)
                if "join" in message:
                    self._join()

    def _join(self) -> None:
        """Start pydevd over a connection to the gatekeeper."""
        self._drop_dead_debugger()
        tracing = Tracing(self)
        try:
            # Before this worker announces itself: from then on the client is waited for, which can't hurry the import.
            tracing.load()
            with self._changed:
                self._begin_to(_CLIENT_IS_DUE)
            connection = ControlConnection(self._path)
            try:
                connection.send({"debuggee": {"pid": os.getpid()}})
                tracing.start_over(connection.detach())
            except BaseException:
                connection.close()
                raise
            self.take(tracing)
            if self.server.warning is not None:
                self.say(self.server.warning)
        except Exception as error:
            self.failed(error)
        with self._changed:
            self._joining = False
            self._changed.notify_all()

    def _drop_dead_debugger(self) -> None:
        """pydevd gives up when its connection ends; the next matching request brings a new one."""
        tracing = self.tracing
        if tracing is not None and not tracing.alive:
            self.tracing = None
            with suppress(Exception):
                tracing.stop()

    def _take(self, message: dict[str, Any]) -> None:
        if "client" in message:
            with self._changed:
                self.client = str(message["client"])
                self._begin_to(_CLIENT_IS_DUE)
            self._explained.clear()
            self._post({"seen": self.client})
        elif "audit" in message:
            record = message["audit"]
            self._audit.record(
                str(record["event"]), str(record["sentence"]), level=int(record["level"]), **dict(record["fields"])
            )
        elif "closed" in message:
            self.cancel_soon()

    def look_after_requests(self) -> bool:
        """Look after the requests that are paused or wait for the client; returns whether to go on."""
        self._drop_dead_debugger()
        self._tell_of_moved_end()
        pauses = self.tracing.pauses if self.tracing is not None else []
        if self.holds_up_the_end:
            why = "has lost its parent process" if self.is_orphan else "has to end"
            self.say(f"worker {os.getpid()} {why}, so its requests run on.")
            if self._control is not None:
                with suppress(OSError):
                    self._send_outbox(self._control)
            return False
        if (pauses or self._waiting) and self.server.keep_alive is not None:
            with suppress(Exception):
                self.server.keep_alive()
        self._warn_of_the_end(pauses)
        return True

    def _tell_of_moved_end(self) -> None:
        window = self._debugger.watch.window
        if self._tells_of_window and window is not None and window.expires_at != self._known_end:
            self._known_end = window.expires_at
            self._post({"window": dump_window(window)})

    def _warn_of_the_end(self, pauses: list[Pause]) -> None:
        for pause in pauses:
            until = self.end_of(pause)
            left, is_killed = until - time.monotonic(), until < pause.since + self._max_pause.total_seconds()
            if until - pause.since > _PAUSE_WARNING >= left and pause.since not in self._warned:
                self._warned.add(pause.since)
                why = f"{self.server.name} would kill its worker" if is_killed else "max_pause"
                self.say(f"{pause.request} is continued in {max(0, round(left))} s ({why}).")

    # TracingListener

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
            self.say(f"{pause.request} was continued after {format_duration(self._max_pause)} (max_pause).")
