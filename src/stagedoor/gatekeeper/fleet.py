"""The workers' debuggers, and what all sessions want of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from stagedoor.dap.wire import Message

from .debuggee import Debuggee
from .joined import Joined, Overtaken
from .patience import Patience
from .tally import Tally
from .wanted import Wanted
from .workers import Worker


class Attached(Protocol):
    """The sessions that are attached, as the debuggers have to know them."""

    @property
    def wanted(self) -> list[Wanted]:
        """What each of them wants, in the order in which they came."""

    def heard(self, worker: Worker, joined: Joined, event: Message) -> None:
        """A debugger says something by itself."""

    def parted(self, worker: Worker) -> None:
        """A worker's debugger has gone."""

    def slow(self, worker: Worker, path: str) -> None:
        """A debugger takes long for the breakpoints of a file."""

    def say(self, sentence: str) -> None:
        """Write a line to every debug console."""

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done meanwhile."""


class Fleet:
    """The debuggers of all workers.

    :param workers: the workers, by process id.
    :param attached: the sessions.
    :param patience: how long debuggers are waited for.
    """

    def __init__(self, workers: Mapping[int, Worker], attached: Attached, patience: Patience) -> None:
        self._workers = workers
        self._attached = attached
        self._patience = patience

    # What the sessions want

    def take_in(self, wanted: Wanted) -> None:
        """There is one more session."""
        for worker in self._workers.values():
            if worker.joined is None:
                continue
            if worker.joined.is_set_up:
                self._bring_up_to_date(worker.joined, wanted)
            else:
                self._attached.start(self._set_up(worker, worker.joined))

    def let_go(self, wanted: Wanted, tally: Tally) -> None:
        """One of them has gone.

        :param tally: its own.
        """
        for joined in self._joined():
            joined.debuggee.forget(tally)
            joined.leave(wanted.key)
            self._bring_up_to_date(joined, wanted)
            if not self._attached.wanted:
                joined.disconnect()

    def set_breakpoints(self, paths: Iterable[str], tally: Tally) -> list[Awaitable[None]]:
        """Somebody has other breakpoints in these files; returns what is to be waited for.

        :param tally: of that session.
        """
        for joined in self._joined():
            for path in paths:
                joined.set_breakpoints(self._attached.wanted, path, tally)
        return [joined.settled() for joined in self._joined()]

    def set_functions(self, tally: Tally) -> list[Awaitable[None]]:
        """The same for breakpoints on functions."""
        for joined in self._joined():
            joined.set_functions(self._attached.wanted, tally)
        return [joined.settled() for joined in self._joined()]

    def set_filters(self, tally: Tally) -> list[Awaitable[None]]:
        """The same for errors."""
        for joined in self._joined():
            joined.set_filters(self._attached.wanted, tally)
        return [joined.settled() for joined in self._joined()]

    async def settled(self) -> None:
        """Wait until every debugger is up to date."""
        for joined in self._joined():
            await joined.settled()

    async def has_seen(self, revision: int) -> None:
        """Wait until every worker treats requests as it was told in this revision."""
        for worker in list(self._workers.values()):
            await worker.has_seen(revision)

    def _bring_up_to_date(self, joined: Joined, wanted: Wanted) -> None:
        for path in wanted.files():
            joined.set_breakpoints(self._attached.wanted, path)
        if wanted.functions:
            joined.set_functions(self._attached.wanted)
        joined.set_filters(self._attached.wanted)

    def _joined(self) -> list[Joined]:
        return [worker.joined for worker in self._workers.values() if worker.joined is not None]

    # Workers

    def joined(self, worker: Worker, debuggee: Debuggee) -> None:
        """A worker has brought its debugger."""
        if worker.joined is not None:
            self.parted(worker, worker.joined.debuggee)
        joined = worker.joined = Joined(worker.key, debuggee, lambda: self._attached.wanted, self._patience)
        joined.on_slow = lambda path: self._attached.slow(worker, path)
        worker.joined_at = time.monotonic()
        debuggee.on_event = lambda event: self._attached.heard(worker, joined, event)
        if self._attached.wanted:
            self._attached.start(self._set_up(worker, joined))

    async def _set_up(self, worker: Worker, joined: Joined) -> None:
        if not self._attached.wanted:  # Since a moment.
            return
        try:
            failed = await joined.set_up(self._attached.wanted)
        except Overtaken:
            return
        if worker.joined is not joined or not self._attached.wanted:
            return
        if failed is None:
            self._attached.say(f"worker {worker.pid} joined for {worker.joined_for}: breakpoints are set there.")
        else:
            self._attached.say(
                f"the debugger of worker {worker.pid} could not be set up: {failed}. The next request tries again."
            )
            joined.debuggee.close()

    def parted(self, worker: Worker, debuggee: Debuggee, why: str | None = None) -> None:
        """A worker's debugger has ended.

        :param why: why it was given up, a sentence; ``None`` if it ended by itself.
        """
        debuggee.close()
        if worker.joined is not None and worker.joined.debuggee is debuggee:
            worker.joined = None
            self._attached.parted(worker)
            if why is not None:
                self._attached.say(f"the debugger of worker {worker.pid} has ended. {why}")
