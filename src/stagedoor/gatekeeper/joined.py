"""A worker's debugger that has joined: set up for all sessions, and kept as they want it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from stagedoor.dap.commands import FORCED_DISCONNECT
from stagedoor.dap.wire import Message

from . import breakpoints
from .breakpoints import Breakpoint
from .debuggee import Answered, Debuggee, DebuggeeGone
from .patience import Patience
from .tally import Tally
from .wanted import Wanted

#: What of a client's ``initialize`` pydevd reads.
_INITIALIZE = {
    "clientID": "stagedoor",
    "adapterID": "debugpy",
    "pathFormat": "path",
    "linesStartAt1": True,
    "columnsStartAt1": True,
    "supportsVariableType": True,
    "supportsVariablePaging": True,
}


class Overtaken(Exception):
    """What was to be set up is being set up by another already, or everybody has left meanwhile."""


class Joined:
    """The debugger of one worker.

    :param key: the worker's.
    :param debuggee: its connection.
    :param wanted: gives what the sessions want that it is for, the first of which decides what concerns the whole process.
    :param patience: how long it may take for an answer.
    """

    def __init__(
        self, key: str, debuggee: Debuggee, wanted: Callable[[], Sequence[Wanted]], patience: Patience
    ) -> None:
        self.key = key
        self.debuggee = debuggee
        #: Whether it is set up, so that requests stop.
        self.configured = False
        self._wanted = wanted
        self._patience = patience
        #: Whether it has been told what the sessions want, or is just being told.
        self.is_set_up = False
        #: Counts how often it was set up and left.
        self._turn = 0
        self._files: set[str] = set()
        #: The files whose breakpoints it is just setting, and whether they have changed since. Each is told once more when
        #: it has answered: one that is slow, or stuck, is not sent every change.
        self._setting: dict[str, bool] = {}
        #: Called with a file of which setting the breakpoints takes long.
        self.on_slow: Callable[[str], None] = lambda path: None
        self._slow: asyncio.TimerHandle | None = None
        self._unanswered: set[asyncio.Future[None]] = set()

    async def set_up(self, sessions: Sequence[Wanted]) -> str | None:
        """Configure it for these sessions; returns why that failed, a sentence.

        All is sent at once: pydevd reads one request after the other.

        :raises Overtaken: if what becomes of it is no news.
        """
        if self.is_set_up or not sessions:  # Whoever it was for may have left before it came to that.
            raise Overtaken
        self.is_set_up = True
        self._turn = turn = self._turn + 1
        failed = await self._set_up(sessions)
        if self._turn != turn:
            raise Overtaken
        self.configured = failed is None
        return failed

    async def _set_up(self, sessions: Sequence[Wanted]) -> str | None:
        first = sessions[0]
        steps = [self.debuggee.ask("initialize", _INITIALIZE), self.debuggee.ask("attach", first.settings)]
        self._set_everything(sessions)
        setting = set(self._unanswered)
        steps.append(self.debuggee.ask("configurationDone", {}))
        *first_steps, last = steps
        if (failed := await self._failed(first_steps)) is not None:
            return failed
        try:
            # Which may take pydevd long, and is no fault of its. Not settled(): somebody may go on changing things.
            async with asyncio.timeout(self._patience.setting):
                await asyncio.wait(setting)
        except TimeoutError:
            return f"it has not set its breakpoints within {self._patience.setting:g} s"
        return await self._failed([last])

    async def _failed(self, steps: list[asyncio.Future[Message]]) -> str | None:
        try:
            async with asyncio.timeout(self._patience.answer):
                for step in steps:
                    answer = await step
                    if not answer["success"]:
                        return f"it answered {answer['command']} with: {answer.get('message')}"
        except DebuggeeGone:
            return "it has ended"
        except TimeoutError:
            return f"it did not answer within {self._patience.answer:g} s"
        return None

    def _set_everything(self, sessions: Sequence[Wanted]) -> None:
        for path in dict.fromkeys(path for session in sessions for path in session.files()):
            self.set_breakpoints(sessions, path)
        self.set_functions(sessions)
        self.set_filters(sessions)

    def set_breakpoints(self, sessions: Sequence[Wanted], path: str, tally: Tally | None = None) -> None:
        """Let it have the breakpoints of one file as they are now.

        :param tally: of the session that has changed them.
        """
        whose = [each for session in sessions for each in session.in_file(path)]
        if not self.is_set_up or (not whose and path not in self._files):
            return
        if path in self._setting:
            self._setting[path] = True
            return
        setting = self._setting
        setting[path] = False
        self._files.add(path)
        if not whose:
            self._files.discard(path)
        arguments = {"source": {"path": path}, "breakpoints": breakpoints.for_worker(whose)}

        def done() -> None:
            has_changed = setting.pop(path)
            if setting is self._setting:
                self._watch()
                if has_changed:
                    self.set_breakpoints(self._wanted(), path)

        self._set("setBreakpoints", arguments, [[each] for each in whose], sessions, tally, done)
        if self._slow is None:
            self._watch()

    def _watch(self) -> None:
        """See to it that it is said if the first of what it is setting takes long: it does one after the other."""
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        if path := next(iter(self._setting), None):
            self._slow = asyncio.get_running_loop().call_later(self._patience.slow, self._is_slow, path)

    def _is_slow(self, path: str) -> None:
        if not self.debuggee.is_gone:
            self.on_slow(path)

    def set_functions(self, sessions: Sequence[Wanted], tally: Tally | None = None) -> None:
        """The same for breakpoints on functions."""
        entries, whose = breakpoints.functions_for_worker(each for session in sessions for each in session.functions)
        self._set("setFunctionBreakpoints", {"breakpoints": entries}, whose, sessions, tally)

    def set_filters(self, sessions: Sequence[Wanted], tally: Tally | None = None) -> None:
        """The same for the errors on which requests stop: those that anybody asks for, and who asks for which."""
        if not self.is_set_up:
            return
        whose = {session.key: {"filters": session.filters} for session in sessions}
        self._send("stagedoorFilters", {"sessions": whose}, tally=tally)
        filters = sorted({name for session in sessions for name in session.filters})
        self._send("setExceptionBreakpoints", {"filters": filters}, tally=tally)

    def leave(self, key: str) -> None:
        """A session has gone: its requests run on."""
        if self.is_set_up:
            self._send("stagedoorLeave", {"session": key})

    def disconnect(self) -> None:
        """Nobody is attached any more: what is paused runs on. One that does not answer is given up."""
        if not self.is_set_up:
            return
        self.is_set_up = self.configured = False
        self._turn += 1
        self._files.clear()
        self._setting = {}
        self._watch()
        answer = self.debuggee.ask("disconnect", FORCED_DISCONNECT)

        def give_up() -> None:
            if not answer.done():
                self.debuggee.close()

        asyncio.get_running_loop().call_later(self._patience.answer, give_up)

    async def settled(self) -> None:
        """Wait until it has answered everything that it was told."""
        while self._unanswered:
            await asyncio.wait(set(self._unanswered))

    def request(self, command: str, arguments: Any, answered: Answered, tally: Tally | None = None) -> None:
        """A session's own request."""
        self.debuggee.request(command, arguments, answered, tally=tally, own=True)

    def _set(
        self,
        command: str,
        arguments: Any,
        whose: list[list[Breakpoint]],
        sessions: Sequence[Wanted],
        tally: Tally | None,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        if not self.is_set_up:
            return

        def taken(answer: Message) -> None:
            answers = (answer.get("body") or {}).get("breakpoints")
            of = {session.key: session for session in sessions}
            for group, said in zip(whose, answers if isinstance(answers, list) else (), strict=False):
                for each in group if isinstance(said, dict) else ():
                    of[each.session].confirm(self.key, each, said)

        self._send(command, arguments, taken, done, tally)

    def _send(
        self,
        command: str,
        arguments: Any,
        taken: Callable[[Message], None] | None = None,
        done: Callable[[], None] = lambda: None,
        tally: Tally | None = None,
    ) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unanswered.add(future)

        def answered(message: Message | None) -> None:
            # At once, and not when the loop comes to it: the next message may be a stop at one of them.
            if message is not None and message["success"] and taken is not None:
                taken(message)
            done()
            self._unanswered.discard(future)
            if not future.done():
                future.set_result(None)

        self.debuggee.request(command, arguments, answered, tally=tally)
