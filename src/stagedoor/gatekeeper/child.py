"""A child session: a client's connection to one worker's pydevd, as debugpy's own adapter would make it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from stagedoor import dap, dap_policy
from stagedoor.dap import Message

from .client import Client
from .debuggee import Debuggee, DebuggeeGone

if TYPE_CHECKING:
    from .process import Gatekeeper
    from .workers import Worker


class Child:
    """The session of one worker.

    pydevd answers ``attach`` at once and sends events from then on; a client expects the answer after
    ``configurationDone`` and no event before it. debugpy's adapter holds both back, and so does this.

    :param client: its connection.
    :param worker: the worker, which has a debuggee and no other session.
    :param attach: the client's ``attach`` request.
    :param allowed: the same as the policy lets it through.
    """

    def __init__(
        self, gatekeeper: Gatekeeper, client: Client, worker: Worker, attach: Message, allowed: dap_policy.Pass
    ) -> None:
        assert worker.debuggee is not None
        self.client = client
        self.worker = worker
        self.configured = False
        self._gatekeeper = gatekeeper
        self._attach = attach
        self._debuggee: Debuggee = worker.debuggee
        self._held_back: list[Message] | None = []
        self._ended = False
        worker.child = self
        self._debuggee.on_event = self._event
        self._starting = asyncio.ensure_future(self._start(allowed.message.get("arguments") or {}))

    async def _start(self, arguments: dict[str, Any]) -> None:
        try:
            await self._debuggee.request("initialize", self.client.initialize_arguments)
            answer = await self._debuggee.request("attach", arguments)
        except DebuggeeGone:
            self.end(f"Worker {self.worker.pid} ended while you attached to it.")
            return
        if not answer["success"]:
            self.client.refuse(self._attach, str(answer.get("message")))
            self.end(None)
        else:
            self.client.send(dap.event("initialized"))

    def request(self, message: Message) -> None:
        if message["command"] in ("disconnect", "terminate"):
            self.client.send(dap.response(message))
            self._gatekeeper.ignore(self.worker, f"You have left worker {self.worker.pid}; its requests run on.")
            self.end(None)
            return
        verdict = dap_policy.from_client(message)
        if isinstance(verdict, dap_policy.Refuse):
            self.client.send(dap.error_response(message, verdict.sentence, show_user=verdict.show_user))
            return
        if message["command"] == "initialize" or message["command"] == "attach":
            self.client.refuse(message, "Session is already started")
            return
        done = message["command"] == "configurationDone"
        if done and self.configured:
            self.client.refuse(message, '"configurationDone" is allowed once, after "attach".')
            return
        self.configured = self.configured or done
        answer = self._debuggee.request(verdict.message["command"], verdict.message.get("arguments"))
        answer.add_done_callback(lambda future: self._answer(message, future))

    def _answer(self, request: Message, future: asyncio.Future[Message]) -> None:
        if self._ended or future.cancelled():
            return
        if future.exception() is not None:
            self.client.refuse(request, f"Worker {self.worker.pid} has ended.")
            return
        answer = {name: value for name, value in future.result().items() if name != "seq"}
        # The policy may have sent another command than the client's.
        self.client.send(answer | {"request_seq": request["seq"], "command": request["command"]})
        if request["command"] == "configurationDone":
            self.client.send(dap.response(self._attach))
            held_back, self._held_back = self._held_back or [], None
            for event in held_back:
                self.client.send(event)

    def _event(self, message: Message) -> None:
        passed = dap_policy.from_debugger(message)
        if passed is None or message["event"] in ("initialized", "terminated"):
            return
        event = {name: value for name, value in passed.items() if name != "seq"}
        if self._held_back is not None:
            self._held_back.append(event)
        else:
            self.client.send(event)

    def gone(self) -> None:
        if not self._ended:
            self._gatekeeper.ignore(self.worker, f"Your session with worker {self.worker.pid} ended; its requests run on.")
            self.end(None)

    def end(self, why: str | None) -> None:
        """End the session: the worker's requests run on, and the client is told ``why``, if there is something to tell."""
        if self._ended:
            return
        self._ended = True
        self._starting.cancel()
        self._debuggee.on_event = None
        self._debuggee.request("disconnect", {"terminateDebuggee": False})
        if self.worker.child is self:
            self.worker.child = None
        if why is not None:
            self.client.say(why)
        self.client.send(dap.event("terminated"))
        self.client.close()
