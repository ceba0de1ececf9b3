"""The root session: what a client sees first. It has no threads, announces the workers and talks to the developer."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Protocol

from stagedoor.dap import policy, wire
from stagedoor.dap.wire import Message
from stagedoor.settings.bind import Bind

from .client import ONLY_ONCE, Client
from .debuggee import Debuggee
from .patience import Patience
from .workers import Worker

_SELECT_WORKER = "This session only announces the workers. Select a paused request below it first."
_BREAKPOINTS = ("setBreakpoints", "setFunctionBreakpoints", "setExceptionBreakpoints")
_EMPTY_ANSWERS: dict[str, dict[str, Any]] = {
    "threads": {"threads": []},
    "modules": {"modules": []},
    "completions": {"targets": []},
    "setDebuggerProperty": {},
}

#: What of the client's own ``attach`` does not come back in the configuration of a child session, as debugpy's own
#: adapter does it (1.8.22, ``notify_of_subprocess``).
_NOT_FOR_CHILDREN = (
    "processId", "listen", "preLaunchTask", "postDebugTask", "request", "restart", "args", "processName", "pythonArgs",
)  # fmt: skip


class RootKeeper(Protocol):
    """Who keeps the sessions, as the root session sees it."""

    bind: Bind
    patience: Patience
    root: Root | None

    def hold(self, root: Root) -> None:
        """The root session is configured."""

    def release(self, root: Root) -> None:
        """The root session is over, and with it all others."""

    def check(self, root: Root, worker: Worker, debuggee: Debuggee | None) -> None:
        """Some time after ``worker`` was announced: has the client opened a session for it?"""


class Root:
    """The one session that holds the window.

    :param sessions: whose it is.
    :param client: its connection.
    :param attach: its ``attach`` request, which is answered when it has configured its breakpoints and the workers know
        of it.
    """

    def __init__(self, sessions: RootKeeper, client: Client, attach: Message) -> None:
        self.client = client
        self.configured = False
        self._sessions = sessions
        self._attach = attach
        self._is_welcome = False
        #: The debuggers that the client was told of, each at most once: a worker can join while it is being welcomed.
        self._announced: set[Debuggee] = set()
        self._breakpoint_ids = itertools.count(1)
        client.send(wire.event("initialized"))
        asyncio.get_running_loop().call_later(sessions.patience.handshake, self._lose_patience)

    def request(self, message: Message) -> None:
        command, arguments = message["command"], message.get("arguments") or {}
        if command in policy.FAREWELLS:
            self._sessions.release(self)
            self.client.part()
            self.client.send(wire.response(message))
            self.client.close()
            return
        if self.client.judged(message) is None:
            return
        if command in _BREAKPOINTS:
            self.client.send(wire.response(message, {"breakpoints": self._accepted(arguments)}))
        elif command in _EMPTY_ANSWERS:
            self.client.send(wire.response(message, _EMPTY_ANSWERS[command]))
        elif command == "configurationDone":
            self._configure(message)
        else:
            self.client.send(wire.error_response(message, _SELECT_WORKER, show_user=False))

    def gone(self) -> None:
        self._sessions.release(self)

    def say(self, sentence: str) -> None:
        """Write a line to the developer's debug console."""
        self.client.say(f"Stagedoor: {sentence}")

    def welcome(self) -> bool:
        """Answer ``attach``, unless that has been done; returns whether. From now on a matching request of any worker
        waits for this client.
        """
        if self._is_welcome:
            return False
        self._is_welcome = True
        self.client.send(wire.response(self._attach))
        return True

    def announce(self, worker: Worker) -> None:
        """Ask the client to open a session for ``worker``, unless it was asked for this debugger of it; it is taken to
        ignore it if it does not in time.
        """
        if worker.debuggee is None or worker.debuggee in self._announced:
            return
        self._announced.add(worker.debuggee)
        configuration = self._configuration(worker)
        if self.client.opens_sessions:
            self.client.send(wire.request("startDebugging", {"request": "attach", "configuration": configuration}))
        else:
            self.client.send(wire.event("debugpyAttach", configuration | {"request": "attach"}))
        patience = self._sessions.patience.child
        asyncio.get_running_loop().call_later(patience, self._sessions.check, self, worker, worker.debuggee)

    def _lose_patience(self) -> None:
        if not self.configured and self._sessions.root is self:
            self._sessions.release(self)
            patience = self._sessions.patience.handshake
            sentence = f'"configurationDone" did not come within {patience:g} s of "attach".'
            self.client.turn_away(self._attach, sentence)

    def _configure(self, message: Message) -> None:
        if self.configured:
            self.client.refuse(message, ONLY_ONCE)
            return
        self.configured = True
        self.client.send(wire.response(message))
        self._sessions.hold(self)

    def _accepted(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        """Breakpoints as pydevd answers them; each worker gets them from its own session."""
        wanted = arguments.get("breakpoints") or arguments.get("filters")
        return [
            {"id": next(self._breakpoint_ids), "verified": True}
            | ({"line": entry["line"]} if isinstance(entry, dict) and "line" in entry else {})
            for entry in (wanted if isinstance(wanted, list) else [])
        ]

    def _configuration(self, worker: Worker) -> dict[str, Any]:
        """A copy of the client's own ``attach`` arguments, so that it comes back the way it came."""
        arguments = dict(self._attach.get("arguments") or {})
        for key in _NOT_FOR_CHILDREN:
            arguments.pop(key, None)
        host, port = arguments.pop("host", None), arguments.pop("port", None)
        connect = arguments.get("connect")
        connect = dict(connect) if isinstance(connect, dict) else {}
        bind = self._sessions.bind
        connect.setdefault("host", host or bind.host or "127.0.0.1")
        connect.setdefault("port", port or bind.port)
        return arguments | {"connect": connect, "name": f"worker {worker.pid}", "subProcessId": worker.pid}
