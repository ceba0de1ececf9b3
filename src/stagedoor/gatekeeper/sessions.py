"""Who is attached: one session an owner, and what all of them and all workers have to know of each other."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from stagedoor.access.decision import EVERYBODY, Refusal
from stagedoor.access.passes import is_pass_name
from stagedoor.dap.judging import AnsweredHere
from stagedoor.dap.wire import Message
from stagedoor.window.window import format_time

from .client import Client
from .events import Events
from .expiry import Expiry, format_left
from .fleet import Fleet
from .joined import Joined
from .patience import Patience
from .peers import Peers
from .reporting import ForwardedAudit
from .session import Session
from .wanted import Wanted
from .workers import Worker


class Sessions:
    """The sessions of one window, and the debuggers that they have in common.

    :param peers: who may attach, and as whom.
    :param expiry: the window.
    :param workers: the workers, by process id.
    :param audit: where clients are recorded.
    :param patience: how long clients and debuggers are waited for.
    :param start: has something done meanwhile.
    """

    def __init__(
        self,
        peers: Peers,
        expiry: Expiry,
        workers: Mapping[int, Worker],
        audit: ForwardedAudit,
        patience: Patience,
        start: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self.start = start
        self.patience = patience
        #: Where the workers run: what a relative path of a client's is relative to.
        self.working_directory = os.getcwd()
        self._all: dict[str, Session] = {}
        self._keys = itertools.count(1)
        #: Of what the workers know of the sessions.
        self._revision = 0
        self._free_since = time.monotonic()
        #: Whether the developers were told that there is no worker, and are to hear of the next one.
        self._is_deserted = False
        self._peers = peers
        self._expiry = expiry
        self._workers = workers
        self.audit = audit
        self._events = Events(self._all)
        self.fleet = Fleet(workers, self, patience)

    @property
    def attached(self) -> list[Session]:
        """Those whose client has configured them, in the order in which they came."""
        return [session for session in self._all.values() if session.configured]

    @property
    def unattended(self) -> float:
        """For how many seconds there has been no session; 0 while there is one. A client that attaches has one, and one
        whose machine is gone has none, as soon as the kernel has found out
        (:func:`~stagedoor.gatekeeper.listener.notice_lost_peer`).
        """
        return 0.0 if self._all else time.monotonic() - self._free_since

    @property
    def told(self) -> dict[str, Any]:
        """What the workers are told of the sessions: whose requests go to which."""
        known = [session for session in self.attached if session.is_known]
        claimed: dict[str, str] = {}
        for session in reversed(known):
            if session.claims is not None:
                claimed[session.claims] = session.key
        owners = claimed | {session.owner: session.key for session in known}
        return {"revision": self._revision, "owners": owners}

    def status(self) -> list[dict[str, Any]]:
        """What ``status`` shows of them: JSON-ready."""
        return [session.status() for session in self.attached]

    def say(self, sentence: str, session: str | None = None, *, important: bool = False) -> None:
        """Write a line to the debug console of one session, or of all.

        :param session: its key.
        :param important: it must be seen now: an IDE shows a notification.
        """
        for each in self.attached if session is None else filter(None, [self._all.get(session)]):
            each.say(sentence, important=important)

    def ends_in(self, left: str) -> None:
        """The window ends soon. That must be seen by those who have something paused.

        :param left: for people.
        """
        for each in self.attached:
            if number := len(each.requests.paused):
                then = (
                    "your paused request then runs on" if number == 1 else f"your {number} paused requests then run on"
                )
                each.say(f"The window ends in {left}; {then}.", important=True)
            else:
                each.say(f"The window ends in {left}.")

    # Clients

    def attach(self, client: Client, message: Message, allowed: AnsweredHere) -> None:
        """A client asks to attach."""
        admitted = self._peers.decide(client.address, allowed.token)
        if isinstance(admitted, Refusal):
            client.turn_away(message, f"Stagedoor refuses to attach: {admitted.sentence}.")
        elif (refused := self._why_busy(admitted.owner)) is not None:
            self.audit.record("refused", refused, address=client.address, reason="busy")
            client.turn_away(message, f"Stagedoor is busy: {refused}")
        else:
            key = f"s{next(self._keys)}"
            session = Session(key, admitted, client, message, allowed, self)
            self._all[key] = client.session = session

    def _why_busy(self, owner: str) -> str | None:
        holder = next((session for session in self._all.values() if session.owner == owner), None)
        if holder is not None:
            return (
                f"{holder.who} is attached since {holder.since} from {holder.client.address}. Either that client"
                " disconnects, or you attach with a pass of your own (`stagedoor pass NAME` on the server prints one)."
            )
        if len(self._all) >= self.patience.sessions:
            return (
                f"{len(self._all)} developers are attached, and a window has no more than that. One has to disconnect."
            )
        return None

    def hold(self, session: Session) -> None:
        """A session is configured."""
        self.fleet.take_in(session.wanted)
        self.start(self._welcome(session))

    async def _welcome(self, session: Session) -> None:
        """Let the workers treat its requests as its own as soon as they have its breakpoints, and answer its ``attach`` as
        soon as they do: a request that comes right after that must find its worker informed.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self.patience.seen):
                await self.fleet.settled()
        if self._all.get(session.key) is not session:
            return
        session.is_known = True
        self._tell_workers()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.patience.seen):
                await self.fleet.has_seen(self._revision)
        if self._all.get(session.key) is not session:
            return
        window = self._expiry.window
        self.audit.record(
            "attached", f"{session.who} has attached from {session.client.address}",
            address=session.client.address, developer=session.owner,
        )  # fmt: skip
        left = format_left(self._expiry.remaining())
        session.welcome(
            f"window opened by {window.opened_by}, until {format_time(window.expires_at)} ({left} left)."
            f" {self._whose_requests(session)}; waiting for the first."
        )
        others = [each for each in self.attached if each is not session]
        if others:
            session.say("also attached: " + ", ".join(f"{each.who} (since {each.since})" for each in others) + ".")
        first = self.attached[0]  # The session itself, if nobody came before it.
        if differing := _differing(session.wanted.settings, first.wanted.settings):
            session.say(
                f"{', '.join(differing)} {'is' if len(differing) == 1 else 'are'} as {first.who} has set it, who came"
                " first: a worker has one debugger for everybody."
            )
        for each in others:
            each.say(f"{session.who} has attached.")

    def _whose_requests(self, session: Session) -> str:
        if session.owner == EVERYBODY:
            # Which requests match the workers know: with select="token" those from anywhere.
            return f"All that match and are no other developer's are debugged (allowed addresses: {self._peers.allow})"
        if not is_pass_name(session.owner):
            return f"Requests from {session.owner} without a pass are debugged"
        claimed = f", and those from {session.claims} without one," if session.claims is not None else ""
        return f"Requests with the pass of {session.owner}{claimed} are debugged"

    def release(self, session: Session, *, tell: bool = True) -> None:
        """A session is over: its paused requests run on.

        :param tell: whether the others hear of it.
        """
        if self._all.pop(session.key, None) is None:
            return
        was_configured = session.configured
        session.over()
        if not self._all:
            self._free_since, self._is_deserted = time.monotonic(), False
        if not was_configured:
            return
        self._tell_workers()
        self.fleet.let_go(session.wanted, session.client.tally)
        address = session.client.address
        lost = session.client.lost
        sentence = f"{session.who} has detached" if lost is None else f"{session.who} was cut off, because {lost}"
        self.audit.record("detached", sentence, address=address, developer=session.owner)
        if tell:
            self.say(f"{sentence}.")

    def end(self, why: str) -> None:
        """The window is over."""
        for session in list(self._all.values()):
            session.say(f"{why} Everything runs on as before.", important=True)
            self.release(session, tell=False)
            session.client.part()

    # What one session needs of the others

    @property
    def workers(self) -> list[Worker]:
        return list(self._workers.values())

    def until(self) -> str:
        """When the window ends, for people."""
        return format_time(self._expiry.window.expires_at)

    def token(self) -> str:
        """The window's token."""
        return self._expiry.token

    # Workers, and what their debuggers say

    @property
    def wanted(self) -> list[Wanted]:
        """What each session wants of the debuggers, in the order in which they came."""
        return [session.wanted for session in self.attached]

    def heard(self, worker: Worker, joined: Joined, event: Message) -> None:
        """A debugger says something by itself."""
        self._events.take(worker, joined, event)

    def slow(self, worker: Worker, path: str) -> None:
        """A debugger takes long for the breakpoints of a file: those hear it whose these are."""
        for session in self.attached:
            if session.wanted.in_file(path):
                session.say(
                    f"worker {worker.pid} is still setting breakpoints in {session.shown(path)}. Its requests run on"
                    " meanwhile, and may not stop there yet."
                )

    def parted(self, worker: Worker) -> None:
        """A worker's debugger has gone."""
        paused = any(request.worker is worker for each in self.attached for request in each.requests.paused)
        # At the end of the window workers may go first, and that is said instead.
        is_news = paused and self._expiry.look() is None
        for session in self.attached:
            session.parted(worker, tell=is_news)

    def _tell_workers(self) -> None:
        self._revision += 1
        for worker in self._workers.values():
            worker.send({"sessions": self.told})

    def arrived(self, worker: Worker) -> None:
        """A worker has said hello."""
        self.audit.hand_over(worker)
        if self._is_deserted:
            self._is_deserted = False
            self.say(f"worker {worker.pid} is there, the first one again: breakpoints are set as it joins.")

    def lost(self, worker: Worker, *, tell: bool) -> None:
        """A worker has ended, or has let go of the gatekeeper.

        :param tell: whether the developers hear of it.
        """
        if tell and worker.joined_at is not None:
            self.say(f"worker {worker.pid} has ended.")
        if worker.joined is not None:
            self.fleet.parted(worker, worker.joined.debuggee)
        worker.close()
        if tell and not self._workers and self.attached:
            self._is_deserted = True
            stays = f"This session stays until {self.until()}, the window's end"
            if not self._expiry.reads_switch:
                stays += (
                    "; but only workers can tell whether it was closed meanwhile, so it ends sooner if none comes within"
                    f" {self.patience.orphaned:g} s"
                )
            self.say(f"no worker is left: the server restarts, or has ended. {stays}.")

    def works_in(self, directory: str) -> None:
        """The workers run in that directory."""
        if directory != self.working_directory:
            self.working_directory = directory
            for session in self._all.values():
                session.moved()


def _differing(settings: Mapping[str, Any], others: Mapping[str, Any]) -> list[str]:
    """The keys of two ``attach`` requests that concern the whole process and are not the same."""
    return sorted(key for key in {*settings, *others} if settings.get(key) != others.get(key))
