"""The gatekeeper itself: the port, who is let in, who holds the session, the deadline, and the control socket."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stagedoor import control
from stagedoor.admission import UNIX_PEER, Refusal, refusal
from stagedoor.allowlist import Allowlist, normalized
from stagedoor.bind import Bind, parse_bind
from stagedoor.dap import Message
from stagedoor.dap_policy import Pass
from stagedoor.errors import SwitchError
from stagedoor.gatekeeper_config import GatekeeperConfig, load_window, window_id
from stagedoor.switches import FileSwitch
from stagedoor.window import Deadline, Window, format_duration, format_time

from .child import Child
from .client import Client
from .debuggee import Debuggee
from .root import Root
from .workers import Worker

#: Seconds between two looks at the switch and the deadline.
TICK = 0.2
#: Seconds that a client's attach waits for the workers to know of it, at most.
_SEEN_PATIENCE = 0.5
#: Seconds without any worker after which the gatekeeper ends.
IDLE = 10.0
#: Connections to the debug port that are open at the same time, at most.
CONNECTION_CAP = 64
#: The developer is warned this many seconds before the end.
WARNINGS = (300.0, 60.0)


class Gatekeeper:
    """One gatekeeper, for one window.

    :param config: what it was started with.
    :param idle: end when no worker has been left for so many seconds; ``None``: stay.
    :raises ConfigurationError: if it is wrong.
    :raises ValueError: if it holds no window.
    """

    def __init__(self, config: GatekeeperConfig, *, idle: float | None = IDLE) -> None:
        self.bind: Bind = parse_bind(config.bind)
        self.root: Root | None = None
        self._config = config
        self._idle = idle
        self._allow = Allowlist(config.allow)
        self._switch = None
        if config.switch_path is not None:
            self._switch = FileSwitch(config.switch_path, max_window=config.longest)
        self._deadline = Deadline(load_window(config.window))
        self._workers: dict[int, Worker] = {}
        self._clients: set[Client] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._refused: deque[dict[str, Any]] = deque(maxlen=20)
        self._held_since = ""
        self._warned: set[float] = set()
        self._alone_since = time.monotonic()
        self._over = asyncio.Event()
        self._why = ""

    @property
    def window(self) -> Window:
        return self._deadline.window

    def listen(self) -> None:
        """Open the debug port and the control socket.

        :raises OSError: if the debug port can't be had.
        """
        self._control_path = Path(self._config.control)
        self._port = _listen_unix(Path(self.bind.path)) if self.bind.path else _listen_tcp(self.bind)
        try:
            self._control = _listen_unix(self._control_path)
        except BaseException:
            self._port.close()
            raise

    async def run(self) -> str:
        """Serve until the end; returns why it came."""
        self._start(self._accept(self._port, self._serve_client))
        self._start(self._accept(self._control, self._serve_control))
        self._start(self._watch())
        await self._over.wait()
        # First of all nobody new comes in, and whoever opens the next window finds the places free.
        self._port.close()
        self._control.close()
        for path in (self._control_path, Path(self.bind.path) if self.bind.path else None):
            if path is not None:
                path.unlink(missing_ok=True)
        self._audit("closed", f"the gatekeeper on {self.bind} ends: {self._why}")
        if self.root is not None:
            self.root.client.say(f"Stagedoor: {self._why} Everything runs on as before.")
            self.release(self.root)
        for client in list(self._clients):
            client.close()
        for worker in list(self._workers.values()):
            worker.send({"closed": self._why})
            worker.close()
        await asyncio.sleep(0)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self._why

    def end(self, why: str) -> None:
        """Begin the end."""
        if not self._over.is_set():
            self._why = why
            self._over.set()

    # Sessions

    def attach(self, client: Client, message: Message, allowed: Pass) -> None:
        """A client asks to attach: the root session, or the session of one worker."""
        refused = self._refusal(client.address, allowed.token)
        if refused is not None:
            self._refuse(client.address, refused)
            client.refuse(message, f"Stagedoor refuses to attach: {refused.sentence}.")
            client.close()
        elif allowed.sub_process_id is not None:
            self._attach_child(client, message, allowed)
        elif self.root is not None:
            holder = f"{self.root.client.address} since {self._held_since}"
            self._audit("refused", f"a second client, {client.address}: the session is held by {holder}")
            client.refuse(message, f"Stagedoor is busy: the session is held by {holder}. It has to disconnect first.")
            client.close()
        else:
            self._held_since = datetime.now(UTC).strftime("%H:%M:%S UTC")
            self.root = client.session = Root(self, client, message)

    def _attach_child(self, client: Client, message: Message, allowed: Pass) -> None:
        worker = self._workers.get(allowed.sub_process_id or 0)
        if self.root is None or self.root.client.address != client.address:
            client.refuse(message, f"No session of {client.address} holds this window. Attach without subProcessId first.")
            client.close()
        elif worker is None or worker.debuggee is None:
            client.refuse(message, f"There is no worker {allowed.sub_process_id} to attach to (any more).")
            client.close()
        elif worker.child is not None:
            client.refuse(message, f"You already have a session with worker {worker.pid}.")
            client.close()
        else:
            worker.ignored = False
            client.session = Child(self, client, worker, message, allowed)

    def hold(self, root: Root) -> None:
        """The root session is configured: the workers are told, and those that have joined are announced."""
        for worker in self._workers.values():
            worker.ignored = False
            worker.seen = ""
            worker.send({"client": "on"})
        self._start(self._welcome(root))

    async def _welcome(self, root: Root) -> None:
        # A request that comes right after the attach must find its worker informed.
        patience = time.monotonic() + _SEEN_PATIENCE
        while any(worker.seen != "on" for worker in self._workers.values()) and time.monotonic() < patience:
            await asyncio.sleep(0.002)
        if self.root is not root:
            return
        root.welcome()
        seconds = max(0.0, self._deadline.remaining())
        window = self.window
        self._audit("attached", f"{root.client.address} has attached", address=root.client.address)
        root.client.say(
            f"Stagedoor: window opened by {window.opened_by}, until {format_time(window.expires_at)}"
            f" ({_left(seconds)} left). Requests from {self._allow} are debugged; waiting for the first."
        )
        for worker in self._workers.values():
            if worker.debuggee is not None and worker.child is None:
                root.announce(worker)

    def release(self, root: Root) -> None:
        """The root session is over, and with it all others: paused requests run on."""
        if self.root is not root:
            return
        self.root = None
        self._audit("detached", f"{root.client.address} has detached", address=root.client.address)
        for worker in self._workers.values():
            worker.send({"client": "off"})
            if worker.child is not None:
                worker.child.end(None)
        root.client.send({"type": "event", "event": "terminated"})
        root.client.close()

    def ignore(self, worker: Worker, sentence: str) -> None:
        """From now on no request of ``worker`` waits for the client."""
        worker.ignored = True
        worker.send({"client": "ignored"})
        if self.root is not None:
            self.root.client.say(f"Stagedoor: {sentence}")

    # Who is let in

    def _refusal(self, address: str, presented: str | None) -> Refusal | None:
        return refusal(
            address,
            self._allow,
            token=self.window.token,
            presented=presented,
            require_token=self._config.require_token,
            tunnel=self.bind.is_local,
        )

    def _may_speak(self, address: str) -> bool:
        """Whether a byte of this peer's is read: it is allowed, or may still show the token."""
        return self._refusal(address, self.window.token) is None

    def _refuse(self, address: str, refused: Refusal) -> None:
        self._refused.append({"address": address, "reason": refused.code, "at": datetime.now(UTC).strftime("%H:%M:%SZ")})
        self._audit("refused", refused.sentence, level=logging.WARNING, address=address, reason=refused.code)

    async def _serve_client(self, connection: socket.socket, peer: Any) -> None:
        address = UNIX_PEER if self.bind.path else (normalized(peer[0]) or str(peer[0]))
        if not self._may_speak(address) or len(self._clients) >= CONNECTION_CAP:
            connection.close()
            if not self._may_speak(address):
                refused = self._refusal(address, None)
                assert refused is not None
                self._refuse(address, refused)
            return
        if not self.bind.path:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader, writer = await asyncio.open_connection(sock=connection)
        client = Client(self, address, reader, writer)
        self._clients.add(client)
        try:
            await client.serve()
        finally:
            self._clients.discard(client)

    # Workers and commands

    async def _serve_control(self, connection: socket.socket, peer: Any) -> None:
        credentials = control.peer_credentials(connection)
        if credentials is not None and credentials[1] not in (os.geteuid(), 0):
            connection.close()
            return
        reader, writer = await asyncio.open_connection(sock=connection, limit=control.LINE_CAP)
        with suppress(OSError, control.ControlError, ValueError, asyncio.IncompleteReadError, EOFError):
            first = control.decode(await reader.readuntil(b"\n"))
            if isinstance(first.get("hello"), dict):
                pid = credentials[0] if credentials is not None else int(first["hello"].get("pid", 0))
                await self._serve_worker(pid, first["hello"], reader, writer)
            elif "debuggee" in first:
                pid = credentials[0] if credentials is not None else int(first["debuggee"].get("pid", 0))
                await self._serve_debuggee(pid, reader, writer)
            elif "status" in first:
                writer.write(control.encode({"status": self.status()}))
            elif "close" in first:
                writer.write(control.encode({"closed": "the gatekeeper ends"}))
                self.end("The window was closed.")
        writer.close()

    async def _serve_worker(
        self, pid: int, hello: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if hello.get("window") != window_id(self.window):
            writer.write(control.encode({"refused": "another window", "again": True}))
            return
        if hello.get("digest") != self._config.digest:
            why = f"the gatekeeper on {self.bind} was started with other settings (allow, require_token, max_window)"
            writer.write(control.encode({"refused": why}))
            return
        worker = self._workers[pid] = Worker(pid, writer)
        held = self.root is not None and self.root.configured
        worker.send({"welcome": {"client": "on" if held else "off"}})
        try:
            while line := await reader.readline():
                message = control.decode(line)
                worker.take(message)
                if "join" in message:
                    worker.joined_for = str(message["join"])[:300]
                if "console" in message and self.root is not None:
                    self.root.client.say(f"Stagedoor: {str(message['console'])[:1000]}")
        finally:
            if self._workers.get(pid) is worker:
                del self._workers[pid]
            if worker.child is not None:
                worker.child.end(f"Worker {pid} has ended.")
            worker.close()
            self._alone_since = time.monotonic()

    async def _serve_debuggee(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        worker = self._workers.get(pid)
        if worker is None or worker.debuggee is not None:
            return
        debuggee = worker.debuggee = Debuggee(reader, writer)
        if self.root is not None and self.root.configured:
            self.root.client.say(f"Stagedoor: worker {pid} joined for {worker.joined_for or 'a request'}.")
            self.root.announce(worker)
        await debuggee.serve()
        if worker.debuggee is debuggee:
            worker.debuggee = None
            if worker.child is not None:
                worker.child.end(f"The debugger of worker {pid} has ended.")

    # The end

    async def _watch(self) -> None:
        while True:
            remaining = self._deadline.remaining()
            if remaining <= 0:
                self.end("The window has reached its end.")
                return
            if trouble := self._deadline.clock_trouble():
                self.end(f"Nobody can say any more when the window ends: {trouble}.")
                return
            alone = time.monotonic() - self._alone_since
            if self._idle is not None and not self._workers and alone > self._idle:
                self.end(f"No worker has been left for {self._idle:g} s.")
                return
            if self._switch is not None and (why := self._look(self._switch)):
                self.end(why)
                return
            self._warn(remaining)
            await asyncio.sleep(min(TICK, max(0.0, remaining)))

    def _look(self, switch: FileSwitch) -> str | None:
        try:
            window = switch.read()
        except SwitchError as error:
            return f"The switch can't be trusted: {error}"
        if window is None or window.token != self.window.token:
            return "The window has reached its end." if self._deadline.remaining() <= 0 else "The window was closed."
        if window.expires_at != self.window.expires_at:
            self._deadline = Deadline(window)
            self._warned.clear()
            if self.root is not None:
                self.root.client.say(f"Stagedoor: the window now ends at {format_time(window.expires_at)}.")
        return None

    def _warn(self, remaining: float) -> None:
        length = (self.window.expires_at - self.window.opened_at).total_seconds()
        for warning in WARNINGS:
            if remaining <= warning < length and warning not in self._warned and self.root is not None:
                self._warned.update(earlier for earlier in WARNINGS if earlier >= warning)
                self.root.client.say(f"Stagedoor: the window ends in {_left(remaining)}; paused requests then run on.")

    # Housekeeping

    def status(self) -> dict[str, Any]:
        """What ``stagedoor status`` shows: JSON-ready."""
        root = self.root
        return {
            "pid": os.getpid(),
            "bind": str(self.bind),
            "seconds_left": max(0, round(self._deadline.remaining())),
            "allow": [str(entry) for entry in self._allow],
            "client": {"address": root.client.address, "since": self._held_since} if root is not None else None,
            "workers": [worker.status() for worker in self._workers.values()],
            "refused": list(self._refused),
        }

    def _audit(self, event: str, sentence: str, *, level: int = logging.INFO, **fields: Any) -> None:
        """One worker writes the record: the application's log is where the operator looks."""
        for worker in self._workers.values():
            worker.send({"audit": {"event": event, "sentence": sentence, "level": level, "fields": fields}})
            return

    async def _accept(self, listener: socket.socket, serve: Any) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(TICK)  # Out of descriptors, or the peer was gone at once.
                continue
            connection.setblocking(False)
            self._start(serve(connection, peer))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Fail closed: what is half broken must not guard a door.
            self.end(f"The gatekeeper failed: {type(error).__name__}: {error}.")


def _left(seconds: float) -> str:
    from datetime import timedelta

    return format_duration(timedelta(seconds=round(seconds)))


def _listen_tcp(bind: Bind) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((bind.host, bind.port))
        listener.listen(64)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _listen_unix(path: Path) -> socket.socket:
    with suppress(FileNotFoundError):
        path.unlink()  # Left by one that was killed: the lock says that no other is running.
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(64)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener
