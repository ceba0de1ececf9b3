"""One developer's session: what its client asks, and what it is told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

from stagedoor.access.decision import EVERYBODY, Admitted
from stagedoor.dap import judging, translation, wire
from stagedoor.dap.commands import FAREWELLS, Phase
from stagedoor.dap.ids import IdTable
from stagedoor.dap.paths import PathMappings
from stagedoor.dap.translation import Concern, Outward
from stagedoor.dap.wire import Message

from .answers import Answers
from .asking import Asking
from .client import Client
from .company import Company
from .deeds import Deeds
from .files import Files
from .requests import Requests
from .tally import PER_NUMBER
from .wanted import Wanted
from .workers import Worker


class Session:
    """A developer's session.

    :param key: what the workers call it.
    :param admitted: whose it is.
    :param client: its connection.
    :param attach: its ``attach``, which is answered when it has configured its breakpoints and the workers know of it.
    :param allowed: what of that goes on.
    :param company: everybody else.
    """

    def __init__(
        self,
        key: str,
        admitted: Admitted,
        client: Client,
        attach: Message,
        allowed: judging.AnsweredHere,
        company: Company,
    ) -> None:
        self.key = key
        self.owner, self.claims = admitted.owner, admitted.claims
        self.client = client
        self.since = datetime.now(UTC).strftime("%H:%M:%S UTC")
        self._attach = attach
        self._company = company
        self._phase = Phase.ATTACHED
        #: Whether the workers are told of it.
        self.is_known = False
        self._is_welcome = False
        self._held_back: list[Message] = []
        self._held_back_size = 0
        self._ids = IdTable()
        self._paths = self._mappings()
        self.requests = Requests(self._ids, self._send)
        loop = asyncio.get_running_loop()
        self._deeds = Deeds(
            company.audit, self.owner, self.who, company.token, clock=loop.time, later=loop.call_later
        )  # fmt: skip
        self.wanted = Wanted(
            key, allowed.arguments, self._ids, self._paths, self._send, self._deeds.instrumented
        )  # fmt: skip
        self._files = Files(self._ids, self._paths)
        for gauge in (
            lambda: len(self._ids) * PER_NUMBER,
            lambda: self.wanted.size,
            lambda: self._files.size,
            lambda: self._held_back_size,
        ):
            client.tally.measure(gauge)
        # Not at once: whoever has found out is in the middle of something.
        client.tally.exceeded = self._too_much
        self._asking = Asking(client, company, self.requests, self._ids, lambda: self._phase == Phase.OVER)
        self._answers = Answers(
            client, company, self.wanted, self.requests, self._files, self._asking, self._deeds, lambda: self.configured
        )  # fmt: skip
        client.send(wire.event("initialized"))
        loop.call_later(company.patience.handshake, self._lose_patience)

    @property
    def configured(self) -> bool:
        """Whether its client is attached."""
        return self._phase == Phase.CONFIGURED

    @property
    def who(self) -> str:
        """Whose it is, for people."""
        return "everybody's session" if self.owner == EVERYBODY else self.owner

    def status(self) -> dict[str, Any]:
        """What ``status`` tells of it: JSON-ready."""
        return {
            "owner": self.owner,
            "address": self.client.address,
            "since": self.since,
            "requests": self.requests.status(),
        }

    # What its client says

    def request(self, message: Message) -> None:
        """A request of the client's."""
        command = message["command"]
        if command in FAREWELLS:
            self._company.release(self)
            self.client.part()
            self.client.send(wire.response(message))
            self.client.close()
            return
        if not self.client.tally.check():
            return
        verdict = judging.judged(message, self._phase)
        if isinstance(verdict, judging.Refuse):
            self._refuse(message, verdict)
            return
        concern = translation.mapped_arguments(verdict.row, verdict.arguments, self._ids.meant, self._paths.to_server)
        if isinstance(concern, judging.Refuse):
            self._asking.fail(message, concern.sentence, show_user=concern.show_user)
        elif command == "configurationDone":
            self._configure(message)
        elif command in self._answers.of:
            self._answers.of[command](message, concern)
        elif isinstance(verdict, judging.AnsweredHere):
            self.client.send(wire.response(message, verdict.body))
        else:
            self._forward(message, verdict, concern)

    def gone(self) -> None:
        """The client has closed its connection without a farewell."""
        self._company.release(self)

    def _configure(self, message: Message) -> None:
        self._phase = Phase.CONFIGURED
        self.client.send(wire.response(message))
        self._company.hold(self)

    def _lose_patience(self) -> None:
        if self._phase == Phase.ATTACHED and self.client.session is self:
            self._company.release(self)
            patience = self._company.patience.handshake
            sentence = f'"configurationDone" did not come within {patience:g} s of "attach".'
            self.client.turn_away(self._attach, sentence)

    def _forward(self, message: Message, verdict: judging.GoesOn, concern: Concern) -> None:
        worker = self._asking.paused_in(message, concern)
        if worker is not None:
            self._deeds.done(message["command"], concern.arguments, self.requests.of(worker.key, concern.request))
            outward = self._outward(worker.key, concern.request)
            mapped = partial(translation.mapped_answer, verdict.row, outward=outward)
            self._asking.ask(message, worker.key, concern.request, verdict.command, concern.arguments, mapped)

    def _refuse(self, message: Message, refused: judging.Refuse) -> None:
        self.client.send(wire.error_response(message, refused.sentence, show_user=refused.show_user))

    # What it is told

    def say(self, sentence: str, *, important: bool = False) -> None:
        """Write a line to the developer's debug console."""
        self.client.say(f"Stagedoor: {sentence}", "important" if important else "console")

    def shown(self, path: str) -> str:
        """What its client calls a file of this server's."""
        return self._paths.to_client(path)

    def welcome(self, sentence: str) -> None:
        """Answer its ``attach``: from now on its requests stop."""
        if not self._is_welcome:
            self._is_welcome = True
            self.client.send(wire.response(self._attach))
            self.say(sentence)
            for doubt in self._paths.doubts:
                self.say(doubt)
            for message in self._held_back:
                self.client.send(message)
            self._held_back.clear()
            self._held_back_size = 0

    def event(self, worker: Worker, number: int, name: str, body: dict[str, Any], place: str = "") -> None:
        """One of its requests says something.

        :param place: where it is paused, if it says that.
        """
        if name == "thread":
            return  # The session says by itself when a request begins and ends.
        if name == "continued" and not self.requests.is_paused(worker.key, number):
            return  # pydevd says it twice of a jump.
        if name == "stopped" and type(body.get("threadId")) is int:
            self.requests.stopped(worker, number, body["threadId"], place)
        event = translation.mapped_event(wire.event(name, body), self._outward(worker.key, number))
        if event is not None:
            self._send(event)
        if name == "continued":
            self.requests.runs_on(worker.key, number)

    def module(self, worker: Worker, body: dict[str, Any]) -> None:
        """A worker has shown a module; sessions hear of each once, however many workers have it."""
        if (event := self._files.module(body)) is not None:
            self._send(event)

    def parted(self, worker: Worker, *, tell: bool) -> None:
        """A worker's debugger has gone.

        :param tell: whether the developer hears of the pauses that have ended with it.
        """
        for request in self.requests.paused if tell else ():
            if request.worker is worker:
                self.say(f"{request.name} is no longer paused: its worker's debugger has ended.", important=True)
        self.requests.parted(worker.key)
        self._asking.parted(worker.key)
        self.wanted.parted(worker.key)

    def moved(self) -> None:
        """The workers run in another directory."""
        self._paths = self._files.paths = self._mappings()
        changed = self.wanted.moved(self._paths)
        if self.configured:
            self._company.fleet.set_breakpoints(changed, self.client.tally)

    def over(self) -> None:
        """It has ended."""
        self._phase = Phase.OVER
        self._deeds.tell_unrecorded()

    def _too_much(self) -> None:
        asyncio.get_running_loop().call_soon(self._end_for_too_much)

    def _end_for_too_much(self) -> None:
        if self.client.session is self:
            self.client.lost = f"more than {self.client.tally.limit >> 20} MiB would have been kept for it"
            self._company.release(self)
            self.client.cut_off(
                f"Stagedoor: this session was ended: {self.client.lost}, of messages that its client or a worker does not"
                " read or answer, and of what it has set. Your requests run on. Attach again."
            )

    def _mappings(self) -> PathMappings:
        return PathMappings.of_attach(self._attach.get("arguments") or {}, self._company.working_directory)

    def _outward(self, worker: str, number: int | None) -> Outward:
        return Outward.of(self._ids, self._paths, worker, number)

    def _send(self, message: Message) -> None:
        # Clients expect no event of a session before its attach is answered, but for "initialized".
        if self._is_welcome and self._phase != Phase.OVER:
            self.client.send(message)
        elif self._phase != Phase.OVER and self.client.tally.check():
            self._held_back.append(message)
            self._held_back_size += len(wire.encode(message, 0))
