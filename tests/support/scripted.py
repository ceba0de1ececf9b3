"""A gatekeeper without an application: it runs on a thread of the test's process, where its patience can be shortened,
and the test plays the worker.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import socket
import sys
import tempfile
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.connection import ControlConnection
from stagedoor.control.protocol import ControlMessage
from stagedoor.dap import wire
from stagedoor.dap.client import DapClient
from stagedoor.errors import DebuggerError
from stagedoor.gatekeeper.patience import FOREGROUND, Patience
from stagedoor.gatekeeper.process import Gatekeeper
from stagedoor.window.window import Window, new_window
from support.servers import ALLOWED, free_port
from support.waiting import wait_for

MAX_WINDOW = timedelta(hours=8)


def some_window(for_: timedelta = timedelta(minutes=10)) -> Window:
    return new_window(for_, opened_by="the tests", max_window=MAX_WINDOW)


def some_config(control: Path, **changes: Any) -> GatekeeperConfig:
    """The settings of a gatekeeper on a free port, of a switch that only workers read."""
    usual: dict[str, Any] = {
        "bind": f"127.0.0.1:{free_port()}",
        "allow": (ALLOWED,),
        "require_token": False,
        "max_window": MAX_WINDOW.total_seconds(),
        "switch": "the tests' switch",
        "switch_path": None,
        "control": str(control),
    }
    return GatekeeperConfig(**(usual | changes))


def console(session: DapClient, *categories: str) -> list[str]:
    """What Stagedoor has said so far, in these categories; by default in both."""
    outputs = [event["body"] for event in session.events if event["event"] == "output"]
    wanted = categories or ("console", "important")
    return [body["output"].rstrip("\n") for body in outputs if body["category"] in wanted]


def wait_console(session: DapClient, part: str) -> str:
    """Wait for a line of the debug console; returns it."""
    wait_for(lambda: any(part in line for line in console(session)), f"{part!r} in {console(session)}", timeout=5)
    return next(line for line in console(session) if part in line)


class RunningGatekeeper:
    """A gatekeeper, listening.

    :param window: its window.
    :param patience: how long it waits for whom; for a worker for good, unless told otherwise.
    :param host: where it listens, on a free port.
    :param settings: of :class:`~stagedoor.control.config.GatekeeperConfig`, instead of the tests' usual ones.
    """

    def __init__(
        self,
        window: Window | None = None,
        *,
        patience: Patience = FOREGROUND,
        host: str = "127.0.0.1",
        **settings: Any,
    ) -> None:
        # The path of a Unix socket holds about 100 bytes, fewer than those of pytest's own folders may need.
        self.folder = Path(tempfile.mkdtemp(prefix="stagedoor-tests-"))
        self.window = window or some_window()
        self._settings = {"token_shown": "the test has it"} | settings
        #: Why it has ended.
        self.why = ""
        self._clients: list[DapClient] = []
        self._workers: list[ScriptedWorker] = []
        self._gatekeeper = self._listening(host, patience)
        self._loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name="gatekeeper")
        self.thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _listening(self, host: str, patience: Patience, attempts: int = 5) -> Gatekeeper:
        self.port = free_port(host)
        self.config = some_config(self.folder / "control", **({"bind": f"{host}:{self.port}"} | self._settings))
        gatekeeper = Gatekeeper(self.config, self.window, patience=patience)
        try:
            gatekeeper.listen()
        except DebuggerError:  # Somebody else has the port by now.
            if attempts == 0:
                raise
            return self._listening(host, patience, attempts - 1)
        return gatekeeper

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            self.why = runner.run(self._gatekeeper.run())

    @property
    def address(self) -> tuple[str, int] | str:
        path = self.config.bind.removeprefix("unix:")
        return ("127.0.0.1", self.port) if path == self.config.bind else path

    def connect(self, source: str = ALLOWED) -> DapClient:
        """A connection to the debug port."""
        source_address = (source, 0) if isinstance(self.address, tuple) else None
        client = DapClient(self.address, timeout=5, source_address=source_address)
        self._clients.append(client)
        return client

    def attach(self, source: str = ALLOWED, **arguments: Any) -> DapClient:
        """A session; with the window's token, unless told otherwise."""
        client = self.connect(source)
        arguments.setdefault("stagedoorToken", self.window.token)
        client.attach(arguments=arguments)
        return client

    def worker(self, **keywords: Any) -> ScriptedWorker:
        """This process says hello."""
        worker = ScriptedWorker(self, **keywords)
        self._workers.append(worker)
        return worker

    def ask(self, message: ControlMessage) -> ControlMessage:
        """What a command gets on the control socket."""
        connection = ControlConnection(Path(self.config.control))
        try:
            return connection.ask(message, timeout=2)
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        return dict(self.ask({"status": {}})["status"])

    def ended(self, timeout: float = 5.0) -> str:
        """Wait for its end; returns why it came."""
        self.thread.join(timeout)
        assert not self.thread.is_alive(), f"the gatekeeper has not ended within {timeout:g} s"
        return self.why

    def stop(self) -> None:
        for client in self._clients:
            client.close()  # Else it would be waited for.
        if self.thread.is_alive():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._gatekeeper.end, "The test is over.")
        self.thread.join(5)
        for worker in self._workers:
            worker.close()
        shutil.rmtree(self.folder)
        assert not self.thread.is_alive(), "the gatekeeper does not end"


class ScriptedWorker:
    """The test in the place of a worker: it has said hello, and collects what it is told.

    :param deaf: it does not confirm what it is told of the client.
    :param hello: what its hello says instead of what is right.
    """

    def __init__(self, gatekeeper: RunningGatekeeper, *, deaf: bool = False, **hello: Any) -> None:
        self._deaf = deaf
        config = gatekeeper.config
        self.pid = os.getpid()
        self.told: list[ControlMessage] = []
        self._control = Path(config.control)
        self._changed = threading.Condition()
        self._over = False
        self._debuggers: list[ScriptedDebugger] = []
        self._connection = ControlConnection(self._control)
        usual = {"digest": config.digest, "window": config.window_id(gatekeeper.window), "pid": self.pid}
        self.answer = self._connection.ask({"hello": usual | hello}, timeout=2)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def say(self, message: ControlMessage) -> None:
        self._connection.send(message)

    def wait_told(self, wanted: Callable[[ControlMessage], bool], what: str, timeout: float = 5.0) -> ControlMessage:
        """Wait for a message; returns the first that is ``wanted``."""

        def find() -> ControlMessage | None:
            return next((message for message in self.told if wanted(message)), None)

        with self._changed:
            assert self._changed.wait_for(find, timeout), f"waited for {what}, but was told {self.told}"
            return find() or {}

    def audit(self) -> list[str]:
        """The records that it was given to write so far."""
        records = [message["audit"] for message in list(self.told) if "audit" in message]
        return [f"{record['event']}: {record['sentence']}" for record in records]

    def wait_over(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._over, 5), "the gatekeeper has not hung up"

    def bring_debugger(self, request: str = "GET /view", **script: Any) -> ScriptedDebugger:
        """Join for ``request``."""
        self.say({"join": request})
        debugger = ScriptedDebugger(self._control, **script)
        self._debuggers.append(debugger)
        return debugger

    def _listen(self) -> None:
        with suppress(EOFError, OSError, ValueError):
            while True:
                for message in self._connection.receive(60):
                    with self._changed:
                        self.told.append(message)
                        self._changed.notify_all()
                    if "sessions" in message and not self._deaf:
                        with suppress(OSError):  # It has hung up since.
                            self.say({"seen": message["sessions"]["revision"]})
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def close(self) -> None:
        for debugger in self._debuggers:
            debugger.close()
        # Closing a socket does not wake a thread that waits for it.
        with suppress(OSError):
            self._connection.detach().shutdown(2)
        self._thread.join(5)
        self._connection.close()


class ScriptedDebugger:
    """The test in the place of a worker's pydevd, which answers everything with success.

    :param mute: commands that it does not answer.
    :param failing: commands that it answers with an error, and which.
    :param bodies: bodies of its answers.
    :param stuck: it reads nothing.
    :param last: the command after which it reads nothing any more.
    """

    def __init__(
        self,
        control: Path,
        *,
        mute: tuple[str, ...] = (),
        failing: dict[str, str] | None = None,
        bodies: dict[str, dict[str, Any]] | None = None,
        stuck: bool = False,
        last: str | None = None,
    ) -> None:
        self._last = last
        self._held: list[wire.Message] = []
        self.received: list[wire.Message] = []
        self._mute, self._failing, self._bodies = mute, failing or {}, bodies or {}
        self._sending = threading.Lock()
        connection = ControlConnection(control)
        connection.send({"debuggee": {"pid": os.getpid()}})
        self._socket = connection.detach()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        if not stuck:
            self._thread.start()

    def wait_full(self) -> None:
        """Wait until as much waits to be read as the kernel holds, and so more than that on the other side."""

        def waiting() -> int:
            return int.from_bytes(fcntl.ioctl(self._socket, termios.FIONREAD, bytes(4)), sys.byteorder)

        seen = [0]

        def is_full() -> bool:
            seen.append(waiting())
            return seen[-1] == seen[-2] > 100_000

        wait_for(is_full, "the socket to be full", every=0.1)

    def commands(self) -> list[str]:
        return [message["command"] for message in list(self.received)]

    def wait_asked(self, command: str) -> wire.Message:
        """Wait for a request; returns its arguments."""
        wait_for(lambda: command in self.commands(), f'a request "{command}", not only {self.commands()}', timeout=5)
        found = next(message for message in self.received if message["command"] == command)
        return dict(found.get("arguments") or {})

    def send_event(self, name: str, body: dict[str, Any] | None = None) -> None:
        self.send_raw(wire.encode(wire.event(name, body), 1))

    def begin(self, number: int, session: str = "s1", label: str = "GET /view", thread: int | None = None) -> None:
        """A request of a session's begins."""
        body = {"request": number, "session": session, "label": label, "thread": thread}
        self.send_event("stagedoorRequest", body)

    def stop(self, number: int, session: str = "s1", thread: int = 1, **body: Any) -> None:
        """A request of a session's is paused."""
        tag = {"request": number, "session": session, "place": "views.py:12"}
        self.send_event("stopped", {"reason": "breakpoint", "threadId": thread, "stagedoor": tag} | body)

    def run_on(self, number: int, session: str = "s1", thread: int = 1) -> None:
        """It runs on."""
        self.send_event("continued", {"threadId": thread, "stagedoor": {"request": number, "session": session}})

    def end(self, number: int) -> None:
        """It is over."""
        self.send_event("stagedoorRequestOver", {"request": number})

    def send_raw(self, data: bytes) -> None:
        with self._sending:
            self._socket.sendall(data)

    def answer(self, command: str, number: int = 0, body: dict[str, Any] | None = None) -> None:
        """Answer one of the requests that it was mute to, by its number among those with that command."""
        message = [message for message in self.received if message["command"] == command][number]
        self.send_raw(wire.encode(wire.response(message, body or {}), 1))

    def unmute(self) -> None:
        """Answer what it was mute to, and all that comes."""
        self._mute = ()
        while self._held:
            self._answer(self._held.pop(0))

    def wait_closed(self) -> None:
        """Wait until the gatekeeper has hung up."""
        self._thread.join(5)
        assert not self._thread.is_alive(), "the gatekeeper has not hung up on the debugger"

    def _serve(self) -> None:
        decoder = wire.Decoder()
        with suppress(OSError):
            while data := self._socket.recv(65536):
                for message in decoder.feed(data):
                    self.received.append(message)
                    self._answer(message)
                    if message["command"] == self._last:
                        return

    def _answer(self, message: wire.Message) -> None:
        command = message["command"]
        if command in self._failing:
            self.send_raw(wire.encode(wire.error_response(message, self._failing[command]), 1))
        elif command not in self._mute:
            self.send_raw(wire.encode(wire.response(message, self._bodies.get(command, {})), 1))
        else:
            self._held.append(message)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(2)
        if self._thread.ident is not None:
            self._thread.join(5)
        self._socket.close()


def replaced(window: Window, for_: timedelta) -> Window:
    """The same window, which ends ``for_`` from now."""
    return replace(window, expires_at=some_window(for_).expires_at)


def flooding(debugger: ScriptedDebugger, megabytes: int) -> None:
    """A request of the first session's prints so much."""
    body = {"category": "stdout", "output": "x" * 100_000, "stagedoor": {"request": 1, "session": "s1"}}
    for _ in range(megabytes * 10):
        debugger.send_event("output", body)


def stuck_client(gatekeeper: RunningGatekeeper) -> socket.socket:
    """A session of a client that has stopped reading."""
    connection = socket.create_connection(("127.0.0.1", gatekeeper.port), 5, (ALLOWED, 0))
    attach = {"stagedoorToken": gatekeeper.window.token}
    for seq, (command, arguments) in enumerate(
        [("initialize", {"adapterID": "debugpy"}), ("attach", attach), ("configurationDone", {})], 1
    ):
        connection.sendall(wire.encode(wire.request(command, arguments), seq))
        if command == "attach":
            wait_for(lambda: b'"initialized"' in connection.recv(65536, socket.MSG_PEEK), "the session to begin")
    wait_for(lambda: connection.recv(65536, socket.MSG_PEEK).count(b'"response"') == 3, "the session to be configured")
    return connection
