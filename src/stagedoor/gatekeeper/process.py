"""The gatekeeper itself: its parts, and its end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from stagedoor.access.allowlist import Allowlist
from stagedoor.control.burnt import BurntWindows
from stagedoor.control.config import GatekeeperConfig
from stagedoor.errors import DebuggerError
from stagedoor.settings.bind import parse_bind
from stagedoor.switches import Switch
from stagedoor.window.document import shown
from stagedoor.window.window import Window

from .control_server import ControlServer
from .expiry import Expiry
from .listener import Listener
from .patience import USUAL, Patience
from .peers import Peers
from .port import open_port
from .port_server import PortServer
from .reporting import ForwardedAudit
from .sessions import Sessions
from .workers import Worker


class Gatekeeper:
    """One gatekeeper, for one window.

    :param config: what it was started with.
    :param window: the window.
    :param patience: how long it waits for whom; with ``idle`` it ends too when nobody needs it any more
        (:func:`~stagedoor.gatekeeper.expiry.why_unneeded`).
    :param switch: where the window is looked up again; default: the file switch of ``config``, if it names one.
    :raises ConfigurationError: if it is wrong.
    """

    def __init__(
        self,
        config: GatekeeperConfig,
        window: Window,
        *,
        patience: Patience = USUAL,
        switch: Switch | None = None,
    ) -> None:
        self._bind = parse_bind(config.bind)
        self._control_path = Path(config.control)
        self._burnt = BurntWindows(config)
        self._workers: dict[int, Worker] = {}
        self._audit = ForwardedAudit(self._workers, texts=config.audit_expressions)
        self._expiry = Expiry(
            window,
            switch or config.file_switch(),
            lambda sentence: self._sessions.say(sentence),
            lambda left: self._sessions.ends_in(left),
            patience,
        )
        self._peers = Peers(
            Allowlist(config.allow),
            lambda: self._expiry.token,
            require_token=config.require_token,
            audit=self._audit,
            shown=config.token_shown,
        )
        self._sessions = Sessions(
            self._peers, self._expiry, self._workers, self._audit, patience,
            lambda work: self._serve(work, "What was begun for a session"),
        )  # fmt: skip
        self._port_server = PortServer(self._peers, self._sessions, self._bind.port, patience)
        self._control_server = ControlServer(
            config, self._expiry, self._sessions, self._workers, self.status, self.end, patience
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._why = ""

    def listen(self) -> None:
        """Open the debug port and the control socket.

        :raises TokenBurnt: if somebody else may have the window's token.
        :raises DebuggerError: if one of them can't be had.
        """
        self._port = open_port(self._bind, self._burnt, self._expiry.window)
        try:
            self._control = Listener.unix(self._control_path)
        except OSError as error:
            self._port.close()
            raise DebuggerError(f"The control socket can't be opened: {error.strerror}.") from error

    async def run(self) -> str:
        """Serve until the end; returns why it came, a sentence."""
        self._start(self._watch())
        self._start(self._port.accept(lambda connection, peer: self._serve(self._port_server.serve(connection, peer))))
        self._start(self._control.accept(lambda connection, _: self._serve(self._control_server.serve(connection))))
        await self._over.wait()
        # First of all nobody new comes in, and whoever opens the next window finds the places free.
        self._control.close()
        self._port.close()
        self._audit.record("ended", f"the gatekeeper on {self._bind} ends: {self._why}")
        self._sessions.end(self._why)
        for worker in self._workers.values():
            worker.send({"closed": self._why})
            worker.close()
        await self._port_server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self._why

    def end(self, why: str) -> None:
        """Begin the end.

        :param why: a sentence.
        """
        if not self._over.is_set():
            self._why = why
            self._over.set()

    def status(self) -> dict[str, Any]:
        """What ``stagedoor status`` shows: JSON-ready."""
        window = shown(self._expiry.window)
        return {
            "pid": os.getpid(),
            "bind": str(self._bind),
            "opened_by": window["opened_by"],
            "expires_at": window["expires_at"],
            "seconds_left": round(self._expiry.remaining()),
            "allow": list(self._peers.allow),
            "sessions": self._sessions.status(),
            "workers": [worker.status() for worker in self._workers.values()],
            "refused": self._peers.refused,
        }

    async def _watch(self) -> None:
        self.end(await self._expiry.watch(self._control_server.why_unneeded))

    def _serve(self, work: Coroutine[Any, Any, None], what: str = "A connection to the gatekeeper") -> None:
        """Serve a connection, or do what else it needs, as a task of its own, whose trouble is nobody else's."""

        async def serve() -> None:
            try:
                await work
            except Exception as error:
                self._audit.failed("connection", f"{what} failed: {error!r}.")

        self._start(serve())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Fail closed: what is half broken must not decide on peers.
            self.end(f"The gatekeeper failed: {type(error).__name__}: {error}.")
