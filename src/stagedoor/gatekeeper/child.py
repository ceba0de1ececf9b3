"""A child session: a client's connection to one worker's pydevd, as debugpy's own adapter would make it."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from stagedoor.dap import policy, wire
from stagedoor.dap.wire import Message

from .client import ONLY_ONCE, Client
from .debuggee import Debuggee, DebuggeeGone
from .patience import Patience
from .workers import Worker


class Keeper(Protocol):
    """Who keeps the sessions, as one of them sees it."""

    patience: Patience

    def disconnect(self, debuggee: Debuggee) -> None:
        """Leave a debugger: what it has paused runs on."""

    def ignore(self, worker: Worker, sentence: str) -> None:
        """From now on no request of ``worker`` waits for the client."""

    def configured(self, worker: Worker) -> None:
        """The client has configured its session for ``worker``."""


class Child:
    """The session of one worker.

    pydevd answers ``attach`` at once and sends events from then on; a client expects the answer after
    ``configurationDone`` and no event before it. debugpy's adapter holds both back, and so does this.

    :param sessions: whose it is.
    :param client: its connection.
    :param worker: the worker, which has a debuggee and no other session.
    :param attach: the client's ``attach`` request.
    :param allowed: the same as the policy lets it through.
    """

    def __init__(self, sessions: Keeper, client: Client, worker: Worker, attach: Message, allowed: policy.Pass) -> None:
        assert worker.debuggee is not None
        self.client = client
        self.worker = worker
        self.configured = False
        self._sessions = sessions
        self._patience = sessions.patience
        self._attach = attach
        self._debuggee: Debuggee = worker.debuggee
        self._held_back: list[Message] = []
        self._configuring = False
        self._ended = False
        worker.child = self
        self._debuggee.on_event = self._event
        self._steps: set[asyncio.Task[None]] = set()
        self._begin(self._start(allowed.message.get("arguments") or {}))

    def request(self, message: Message) -> None:
        if message["command"] in policy.FAREWELLS:
            self._leave(f"you have left worker {self.worker.pid}, and its requests run on.")
            self.client.send(wire.response(message))
            self.client.close()
            return
        if (allowed := self.client.judged(message)) is None:
            return
        if message["command"] == "configurationDone":
            self._configure(message)
        elif self._debuggee.unanswered >= self._patience.unanswered:
            sentence = f"Worker {self.worker.pid} has {self._patience.unanswered} requests to answer already."
            self.client.refuse(message, sentence)
        else:
            answer = self._debuggee.request(allowed.message["command"], allowed.message.get("arguments"))
            answer.add_done_callback(lambda future: self._answered(message, future))

    def gone(self) -> None:
        self._leave(f"your IDE has dropped its session with worker {self.worker.pid}, whose requests run on.")

    def end(self, why: str | None) -> None:
        """End the session: the worker's requests run on.

        :param why: what the client is told; ``None`` if it knows.
        """
        if self._ended:
            return
        self._ended = True
        for step in self._steps:
            step.cancel()
        self._debuggee.on_event = None
        self._sessions.disconnect(self._debuggee)
        if self.worker.child is self:
            self.worker.child = None
        if why is not None:
            self.client.say(f"Stagedoor: {why}")
        self.client.part()

    def _leave(self, sentence: str) -> None:
        if not self._ended:
            self._sessions.ignore(self.worker, sentence)
            self.end(None)

    async def _start(self, arguments: dict[str, Any]) -> None:
        await self._ask("initialize", self.client.initialize_arguments or {})
        answer = await self._ask("attach", arguments)
        if answer["success"]:
            self.client.send(wire.event("initialized"))
        else:
            self.client.refuse(self._attach, str(answer.get("message")))
            self.end(None)

    def _configure(self, message: Message) -> None:
        if self._configuring:
            self.client.refuse(message, ONLY_ONCE)
        else:
            self._configuring = True
            self._begin(self._finish(message))

    async def _finish(self, message: Message) -> None:
        answer = await self._ask("configurationDone", message.get("arguments") or {})
        self._relay(message, answer)
        if not answer["success"]:
            self.client.refuse(self._attach, str(answer.get("message")))
            self.end(None)
            return
        self.configured = True
        self._sessions.configured(self.worker)
        self.client.send(wire.response(self._attach))
        for event in self._held_back:
            self.client.send(event)
        self._held_back.clear()

    async def _ask(self, command: str, arguments: dict[str, Any]) -> Message:
        async with asyncio.timeout(self._patience.answer):
            return await self._debuggee.request(command, arguments)

    def _begin(self, step: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(step))
        self._steps.add(task)
        task.add_done_callback(self._steps.discard)

    async def _guarded(self, step: Any) -> None:
        try:
            await step
        except DebuggeeGone:
            self._refuse_attach(f"Worker {self.worker.pid} ended while you attached to it.")
        except TimeoutError:
            self._refuse_attach(f"Worker {self.worker.pid} did not answer within {self._patience.answer:g} s.")
            self._debuggee.close()
        except Exception as error:
            self._refuse_attach(f"The gatekeeper failed with {type(error).__name__}: {error}")

    def _refuse_attach(self, sentence: str) -> None:
        self.client.refuse(self._attach, sentence)
        self.end(None)

    def _answered(self, request: Message, future: asyncio.Future[Message]) -> None:
        if self._ended or future.cancelled():
            return
        if future.exception() is not None:
            self.client.refuse(request, f"Worker {self.worker.pid} has ended.")
        else:
            self._relay(request, future.result())

    def _relay(self, request: Message, answer: Message) -> None:
        # The policy may have sent another command than the client's.
        relayed = answer | {"request_seq": request["seq"], "command": request["command"]}
        if not answer["success"]:
            relayed.pop("body", None)  # debugpy's adapter does not pass it on either.
        self.client.send(relayed)

    def _event(self, message: Message) -> None:
        # This session's own ones are sent in their place.
        if not policy.goes_on(message) or message["event"] in ("initialized", "terminated"):
            return
        event = {name: value for name, value in message.items() if name != "seq"}
        if not self.configured:
            self._held_back.append(event)
        else:
            self.client.send(event)
