"""The gatekeeper's end of the control socket: workers, their debuggers, and commands. See :mod:`stagedoor.control.protocol`."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from stagedoor.control import place, protocol
from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.place import ControlError
from stagedoor.control.protocol import ControlMessage
from stagedoor.window.document import load_window

from .debuggee import Debuggee
from .expiry import Expiry, why_unneeded
from .patience import Patience
from .sessions import Sessions
from .workers import Worker

_OTHER_SETTINGS = "with other settings (allow, require_token, max_window, audit_expressions)"
_OLD_SETTINGS = (
    "Restart the workers that have the old settings: once they are gone, this one is replaced. Two applications need a"
    " debug port and a switch each (STAGEDOOR_BIND, STAGEDOOR_SWITCH)."
)
_FOREGROUND_SETTINGS = (
    "Restart `stagedoor gatekeeper --foreground` with the application's settings (STAGEDOOR_ALLOW ...)."
)

#: What ends a connection, and nothing else.
_BROKEN = (OSError, EOFError, ValueError, TypeError, KeyError, asyncio.LimitOverrunError, ControlError)


class _Peer(NamedTuple):
    """Who is at the other end of a connection.

    :param credentials: its process and user, from the kernel; ``None`` where that does not tell.
    """

    credentials: tuple[int, int] | None
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def pid(self, said: ControlMessage) -> int:
        """Its process id. Where the kernel does not tell who it is, it is believed: the socket is this user's alone. The
        number of a process in another container is 0 to the kernel here.
        """
        return (self.credentials[0] if self.credentials is not None else 0) or int(said["pid"])


class ControlServer:
    """Serves the connections to the control socket.

    :param config: what the gatekeeper was started with.
    :param expiry: the window.
    :param sessions: who is told of workers.
    :param workers: the workers by process id, kept up to date here.
    :param status: what a command that asks for the status gets.
    :param end: called with the reason, a sentence, when the window is over.
    :param patience: how long peers are waited for. A gatekeeper that waits for good is not replaced: of another one workers
        that it does not fit may end it while it has none, and start one that does.
    """

    def __init__(
        self,
        config: GatekeeperConfig,
        expiry: Expiry,
        sessions: Sessions,
        workers: dict[int, Worker],
        status: Callable[[], dict[str, Any]],
        end: Callable[[str], None],
        patience: Patience,
    ) -> None:
        self._config = config
        self._expiry = expiry
        self._sessions = sessions
        self._workers = workers
        self._status = status
        self._end = end
        self._patience = patience
        self._alone_since = time.monotonic()
        self._had_workers = False
        #: By what the first line of a connection says that it is for. It names one of these.
        self._purposes: dict[str, Callable[[Any, _Peer], Awaitable[None]]] = {
            "hello": self._serve_worker,
            "debuggee": self._serve_debuggee,
            "status": self._serve_status,
            "close": self._serve_close,
        }

    def why_unneeded(self) -> str | None:
        """Why nobody needs this gatekeeper any more, a sentence; ``None`` while somebody does."""
        return why_unneeded(
            self._patience,
            alone=0.0 if self._workers else time.monotonic() - self._alone_since,
            unattended=self._sessions.unattended,
            had_workers=self._had_workers,
            reads_switch=self._expiry.reads_switch,
        )

    async def serve(self, connection: socket.socket) -> None:
        """Serve one connection, if it is this user's."""
        credentials = place.peer_credentials(connection)
        if place.is_foreign(credentials):
            connection.close()
            return
        reader, writer = await asyncio.open_connection(sock=connection, limit=protocol.LINE_CAP)
        try:
            async with asyncio.timeout(self._patience.first_line):
                first = protocol.decode(await reader.readuntil(b"\n"))
            await self._answer(first, _Peer(credentials, reader, writer))
        except _BROKEN:
            pass
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(self._patience.control_farewell):
                    await writer.wait_closed()
            # A worker that was stopped reads nothing: what waits for it must not keep this process.
            writer.transport.abort()

    async def _answer(self, first: ControlMessage, peer: _Peer) -> None:
        named = [purpose for purpose in self._purposes if purpose in first]
        if len(named) > 1:
            why = f"the first line is for one purpose, and this one names {' and '.join(named)}"
            peer.writer.write(protocol.encode({"refused": why}))
        elif named:
            await self._purposes[named[0]](first[named[0]], peer)

    async def _serve_status(self, asked: Any, peer: _Peer) -> None:
        peer.writer.write(protocol.encode({"status": self._status()}))

    async def _serve_close(self, asked: Any, peer: _Peer) -> None:
        peer.writer.write(protocol.encode({"closed": "the gatekeeper ends"}))
        self._end("The window was closed.")

    async def _serve_worker(self, hello: Any, peer: _Peer) -> None:
        pid, reader, writer = peer.pid(hello), peer.reader, peer.writer
        refused = self._refusal(hello) or await self._refusal_of_second(pid)
        if refused is not None:
            writer.write(protocol.encode(refused))
            return
        worker = self._workers[pid] = Worker(pid, writer)
        told = self._sessions.told
        worker.seen = told["revision"]
        worker.send({"welcome": {"sessions": told}})
        self._had_workers = True
        if isinstance(directory := hello.get("cwd"), str):
            self._sessions.works_in(directory)
        self._sessions.arrived(worker)
        try:
            while line := await reader.readline():
                self._take(worker, protocol.decode(line))
        finally:
            if self._workers.get(pid) is worker:
                del self._workers[pid]
                self._alone_since = time.monotonic()
            # Workers look at the switch too, and leave when the window is over: then that is what is to be told.
            why = self._expiry.look()
            self._sessions.lost(worker, tell=why is None)
            if why is not None:
                self._end(why)

    def _refusal(self, hello: ControlMessage) -> ControlMessage | None:
        if hello["window"] != self._config.window_id(self._expiry.window):
            other = "in another window"
            refused: ControlMessage = {"refused": "it serves another window", "again": True}
        elif hello["digest"] != self._config.digest:
            why = f"the one on {self._config.bind} was started {_OTHER_SETTINGS}"
            # What helps only where this one is not replaced: see below.
            remedy = _OLD_SETTINGS if self._patience.idle is not None else _FOREGROUND_SETTINGS
            refused = {"refused": why, "remedy": remedy}
            other = _OTHER_SETTINGS
        else:
            return None
        if not self._workers and self._patience.idle is not None:
            # The server was restarted, with other settings or another window in its environment. Whoever is attached is
            # told so: he was let in by other settings than those of these workers.
            self._end(f"The server was restarted {other}, and its workers start another gatekeeper: attach again.")
            refused["again"] = True
        return refused

    async def _refusal_of_second(self, pid: int) -> ControlMessage | None:
        deadline = time.monotonic() + self._patience.predecessor
        while pid in self._workers:
            if time.monotonic() > deadline:
                return {
                    "refused": f"process {pid} has joined it already, for another StageDoor with the same settings",
                    "remedy": "Wrap the outermost application only.",
                }
            await asyncio.sleep(0.02)
        return None

    def _take(self, worker: Worker, message: ControlMessage) -> None:
        worker.take(message)
        if "console" in message:
            session = message.get("session")
            self._sessions.say(
                str(message["console"])[:1000],
                str(session) if session is not None else None,
                important=bool(message.get("important")),
            )
        elif "window" in message:
            window = load_window(message["window"])
            is_same = self._config.window_id(window) == self._config.window_id(self._expiry.window)
            if is_same and window.expires_at - window.opened_at <= self._config.longest:
                self._expiry.move_end(window)
        elif "over" in message:
            self._end(str(message["over"])[:1000])

    async def _serve_debuggee(self, announced: Any, peer: _Peer) -> None:
        worker = self._workers.get(peer.pid(announced))
        if worker is not None:
            debuggee = Debuggee(peer.reader, peer.writer)
            self._sessions.fleet.joined(worker, debuggee)
            why = None
            try:
                why = await debuggee.serve()
            finally:
                self._sessions.fleet.parted(worker, debuggee, why)
