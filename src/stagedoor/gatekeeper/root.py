"""The root session: what a client sees first. It has no threads; it announces the workers and talks to the developer."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from stagedoor import dap
from stagedoor.dap import Message

from .client import Client

if TYPE_CHECKING:
    from .process import Gatekeeper
    from .workers import Worker

#: Seconds that a client has to open and configure the session of a worker that was announced to it.
CHILD_PATIENCE = 3.0

_SELECT_WORKER = "This session only announces the workers. Select a paused request below it first."


class Root:
    """The one session that holds the window.

    :param client: its connection.
    :param attach: its ``attach`` request, which is answered when it has configured its breakpoints.
    """

    def __init__(self, gatekeeper: Gatekeeper, client: Client, attach: Message) -> None:
        self.client = client
        self.configured = False
        self._gatekeeper = gatekeeper
        self._attach = attach
        self._breakpoint_ids = itertools.count(1)
        client.send(dap.event("initialized"))

    def request(self, message: Message) -> None:
        command, arguments = message["command"], message.get("arguments") or {}
        if command in ("setBreakpoints", "setFunctionBreakpoints", "setExceptionBreakpoints"):
            self.client.send(dap.response(message, {"breakpoints": self._accepted(arguments)}))
        elif command == "threads":
            self.client.send(dap.response(message, {"threads": []}))
        elif command == "configurationDone":
            self._configure(message)
        elif command in ("disconnect", "terminate"):
            self.client.send(dap.response(message))
            self._gatekeeper.release(self)
        elif command in ("setDebuggerProperty", "modules", "completions"):
            self.client.send(dap.response(message, {"modules": [], "targets": []} if command != "setDebuggerProperty" else None))
        else:
            self.client.send(dap.error_response(message, _SELECT_WORKER, show_user=False))

    def gone(self) -> None:
        self._gatekeeper.release(self)

    def announce(self, worker: Worker) -> None:
        """Ask the client to open a session for ``worker``; it is taken to ignore it if it does not in time."""
        configuration = self._configuration(worker)
        if self.client.opens_sessions:
            self.client.send(dap.request("startDebugging", {"request": "attach", "configuration": configuration}))
        else:
            self.client.send(dap.event("debugpyAttach", configuration | {"request": "attach"}))
        asyncio.get_running_loop().call_later(CHILD_PATIENCE, self._check, worker)

    def _configure(self, message: Message) -> None:
        if self.configured:
            self.client.refuse(message, '"configurationDone" is allowed once, after "attach".')
            return
        self.configured = True
        self.client.send(dap.response(message))
        self._gatekeeper.hold(self)

    def welcome(self) -> None:
        """Answer ``attach``: from now on a matching request of any worker waits for this client."""
        self.client.send(dap.response(self._attach))

    def _accepted(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        """Breakpoints as pydevd answers them; each worker gets them from its own session."""
        wanted = arguments.get("breakpoints") or arguments.get("filters") or []
        if not isinstance(wanted, list):
            return []
        return [
            {"id": next(self._breakpoint_ids), "verified": True}
            | ({"line": entry["line"]} if isinstance(entry, dict) and isinstance(entry.get("line"), int) else {})
            for entry in wanted
        ]

    def _configuration(self, worker: Worker) -> dict[str, Any]:
        """A copy of the client's own ``attach`` arguments, so that it comes back the way it came (as debugpy does it)."""
        arguments = dict(self._attach.get("arguments") or {})
        for key in ("processId", "listen", "preLaunchTask", "postDebugTask", "request", "restart", "args"):
            arguments.pop(key, None)
        host, port = arguments.pop("host", None), arguments.pop("port", None)
        connect = arguments.get("connect")
        connect = dict(connect) if isinstance(connect, dict) else {}
        bind = self._gatekeeper.bind
        connect.setdefault("host", host or (bind.host if bind.port else "127.0.0.1"))
        connect.setdefault("port", port or bind.port or 5678)
        return arguments | {"connect": connect, "name": f"worker {worker.pid}", "subProcessId": worker.pid}

    def _check(self, worker: Worker) -> None:
        if self._gatekeeper.root is self and worker.child is None and not worker.ignored:
            self._gatekeeper.ignore(
                worker,
                f"Your IDE did not open a session for worker {worker.pid} within {CHILD_PATIENCE:g} s, so its requests"
                " are not paused. Stagedoor needs a client that knows startDebugging or debugpyAttach.",
            )
