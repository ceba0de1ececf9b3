"""Who holds the window: the root session, and the child session of each worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from stagedoor.access.decision import Refusal
from stagedoor.dap import wire
from stagedoor.dap.policy import FORCED_DISCONNECT, Pass
from stagedoor.dap.wire import Message
from stagedoor.settings.bind import Bind
from stagedoor.window.window import format_time

from .child import Child
from .client import Client
from .debuggee import Debuggee
from .expiry import Expiry, format_left
from .patience import Patience
from .peers import Peers
from .reporting import ForwardedAudit
from .root import Root
from .workers import Worker, who_is_late


class Sessions:
    """The sessions of one window: at most one root, and one child for each worker that has joined.

    :param bind: the debug port.
    :param peers: who may attach.
    :param expiry: the window.
    :param workers: the workers, by process id.
    :param audit: where clients are recorded.
    :param patience: how long clients and debuggers are waited for.
    """

    def __init__(
        self,
        bind: Bind,
        peers: Peers,
        expiry: Expiry,
        workers: Mapping[int, Worker],
        audit: ForwardedAudit,
        patience: Patience,
    ) -> None:
        self.bind = bind
        self.patience = patience
        self.root: Root | None = None
        self._held_since = ""
        self._free_since = time.monotonic()
        #: Whether the developer was told that there is no worker, and is to hear of the next one.
        self._is_deserted = False
        self._peers = peers
        self._expiry = expiry
        self._workers = workers
        self._audit = audit

    @property
    def is_held(self) -> bool:
        """Whether a client is attached and has configured its session."""
        return self.root is not None and self.root.configured

    @property
    def unattended(self) -> float:
        """For how many seconds nobody has held the window; 0 while somebody does. A client that attaches holds it, and one
        whose machine is gone does not, as soon as the kernel has found out
        (:func:`~stagedoor.gatekeeper.listener.notice_lost_peer`).
        """
        return 0.0 if self.root is not None else time.monotonic() - self._free_since

    @property
    def holder(self) -> dict[str, str] | None:
        """Who holds the window, for ``status``: ``address``, ``since``."""
        return {"address": self.root.client.address, "since": self._held_since} if self.root is not None else None

    def say(self, sentence: str) -> None:
        """Write a line to the debug console of the developer who holds the window, if anybody does."""
        if self.root is not None:
            self.root.say(sentence)

    # Clients

    def attach(self, client: Client, message: Message, allowed: Pass) -> None:
        """A client asks to attach: the root session, or the session of one worker."""
        decision = self._peers.decide(client.address, allowed.token)
        if isinstance(decision, Refusal):
            client.turn_away(message, f"Stagedoor refuses to attach: {decision.sentence}.")
        elif allowed.sub_process_id is not None:
            self._attach_child(client, message, allowed, allowed.sub_process_id)
        elif self.root is not None:
            held = f"the session is held by {self.root.client.address} since {self._held_since}"
            self._audit.record("refused", f"a second client: {held}", address=client.address, reason="busy")
            client.turn_away(
                message,
                f"Stagedoor is busy: {held}. It has to disconnect first, or the window to be closed and opened again.",
            )
        else:
            self._held_since = datetime.now(UTC).strftime("%H:%M:%S UTC")
            self.root = client.session = Root(self, client, message)

    def _attach_child(self, client: Client, message: Message, allowed: Pass, pid: int) -> None:
        worker = self._workers.get(pid)
        if self.root is None or not self.root.configured or self.root.client.address != client.address:
            holder = f"No session of {client.address} holds this window"
            client.turn_away(message, f"{holder}. Attach without subProcessId first.")
        elif worker is None or worker.debuggee is None:
            # It may have ended since it was announced, by max_requests for example: nothing that the developer has to
            # confirm in a dialog. debugpy's own adapter answers like this for the same reason.
            what = f"worker {pid}" if worker is None else f"the debugger of worker {pid}"
            self.say(f"{what} had ended before your IDE opened its session.")
            client.send(wire.response(message))
            client.part()
        elif worker.child is not None:
            client.turn_away(message, f"You already have a session with worker {pid}.")
        else:
            client.session = Child(self, client, worker, message, allowed)

    # Roots

    def hold(self, root: Root) -> None:
        """The root session is configured. It is welcome as soon as the workers know of it: a request that comes right
        after the attach must find its worker informed.
        """
        for worker in self._workers.values():
            worker.ignored = worker.is_late = False
            worker.seen = ""
            worker.send({"client": "on"})
        asyncio.get_running_loop().call_later(self.patience.seen, self._welcome, root)
        self.seen()

    def seen(self) -> None:
        """A worker has confirmed what it was told of the client."""
        root = self.root
        if root is not None and root.configured and all(worker.seen == "on" for worker in self._workers.values()):
            self._welcome(root)

    def _welcome(self, root: Root) -> None:
        if self.root is not root or not root.welcome():
            return
        address, window = root.client.address, self._expiry.window
        self._audit.record("attached", f"{address} has attached", address=address)
        root.say(
            f"window opened by {window.opened_by}, until {format_time(window.expires_at)}"
            f" ({format_left(self._expiry.remaining())} left). Requests from {self._peers.allow} are debugged;"
            " waiting for the first."
        )
        for worker in self._workers.values():
            if worker.debuggee is not None and worker.child is None:
                root.announce(worker)

    def release(self, root: Root) -> None:
        """The root session is over, and with it all others: paused requests run on."""
        if self.root is not root:
            return
        self.root = None
        self._free_since, self._is_deserted = time.monotonic(), False
        address = root.client.address
        self._audit.record("detached", f"{address} has detached", address=address)
        for worker in self._workers.values():
            worker.send({"client": "off"})
            if worker.child is not None:
                worker.child.end(None)

    def end(self, why: str) -> None:
        """The window is over."""
        root = self.root
        if root is not None:
            root.say(f"{why} Everything runs on as before.")
            self.release(root)
            root.client.part()

    # Workers

    def arrived(self, worker: Worker) -> None:
        """A worker has said hello."""
        self._audit.hand_over(worker)
        if self._is_deserted:
            self._is_deserted = False
            self.say(f"worker {worker.pid} is there, the first one again: breakpoints are set as it joins.")

    def joined(self, worker: Worker, debuggee: Debuggee) -> None:
        """A worker has brought its debugger."""
        if worker.debuggee is not None:
            self.parted(worker, worker.debuggee)
        worker.debuggee = debuggee
        worker.joined_at = time.monotonic()
        if self.root is not None and self.root.configured:
            self.root.say(f"worker {worker.pid} joined for {worker.joined_for}.")
            self.root.announce(worker)

    def parted(self, worker: Worker, debuggee: Debuggee, why: str | None = None) -> None:
        """A worker's debugger has ended.

        :param why: why it was given up, a sentence; ``None`` if it ended by itself.
        """
        debuggee.close()
        if worker.debuggee is debuggee:
            worker.debuggee = None
            if worker.child is not None:
                reason = f" {why}" if why is not None else ""
                worker.child.end(f"the debugger of worker {worker.pid} has ended.{reason}")
            # It was late for this one. The next matching request brings another.
            self.expect_again(worker)

    def lost(self, worker: Worker, *, tell: bool) -> None:
        """A worker has ended, or has let go of the gatekeeper.

        :param tell: whether the developer hears of it.
        """
        if tell and worker.joined_at is not None:
            self.say(f"worker {worker.pid} has ended.")
        if worker.child is not None:
            worker.child.end(f"worker {worker.pid} has ended." if tell else None)
        worker.close()
        self.seen()
        if tell and not self._workers and self.is_held:
            self._is_deserted = True
            until = format_time(self._expiry.window.expires_at)
            stays = f"This session stays until {until}, the window's end"
            if not self._expiry.reads_switch:
                stays += (
                    "; but only workers can tell whether it was closed meanwhile, so it ends sooner if none comes within"
                    f" {self.patience.orphaned:g} s"
                )
            self.say(f"no worker is left: the server restarts, or has ended. {stays}.")

    def ignore(self, worker: Worker, sentence: str, *, is_late: bool = False) -> None:
        """From now on no request of ``worker`` waits for the client.

        :param is_late: only until the client has come, or this debugger of the worker's has ended.
        """
        worker.ignored, worker.is_late = True, is_late
        worker.send({"client": "ignored"})
        self.say(sentence)

    def configured(self, worker: Worker) -> None:
        """The client has configured its session for ``worker``, perhaps later than its requests have waited."""
        worker.is_late = worker.is_late or worker.ignored
        self.expect_again(worker)

    def expect_again(self, worker: Worker) -> None:
        """The requests of ``worker`` wait for the client again, if they don't because one of the two was late."""
        if worker.is_late:
            worker.ignored = worker.is_late = False
            worker.send({"client": "on"})

    def check(self, root: Root, worker: Worker, debuggee: Debuggee | None) -> None:
        """Some time after ``worker`` was announced: has the client opened a session for it?"""
        is_open = worker.child is not None and worker.child.configured
        is_current = self.root is root and debuggee is not None and worker.debuggee is debuggee
        if is_current and not is_open and not worker.ignored:
            who = who_is_late(worker, self.patience.child, opens_sessions=root.client.opens_sessions)
            self.ignore(worker, who, is_late=True)

    def disconnect(self, debuggee: Debuggee) -> None:
        """Leave a debugger: what it has paused runs on. One that does not answer is given up."""
        answer = debuggee.request("disconnect", FORCED_DISCONNECT)

        def give_up() -> None:
            if not answer.done():
                debuggee.close()

        asyncio.get_running_loop().call_later(self.patience.answer, give_up)
