"""What a session's client asks that is answered here, and not by one worker's debugger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from stagedoor.dap import wire
from stagedoor.dap.translation import Concern
from stagedoor.dap.wire import Message

from .asking import Asking
from .client import Client
from .company import Company
from .deeds import Deeds
from .files import Files, SourceRefused
from .requests import Requests
from .tally import PER_BREAKPOINT, PER_REQUEST
from .wanted import Wanted

_NOBODY_JOINED = "No worker has joined yet: send a matching request first."


class Answers:
    """The answers of one session.

    :param client: its connection.
    :param company: everybody else.
    :param wanted: what it wants of every debugger.
    :param requests: its requests.
    :param files: the files that it was shown.
    :param asking: its way to the debuggers.
    :param deeds: records what its developer does.
    :param is_configured: whether the session is: until then no worker is told what it wants.
    """

    def __init__(
        self,
        client: Client,
        company: Company,
        wanted: Wanted,
        requests: Requests,
        files: Files,
        asking: Asking,
        deeds: Deeds,
        is_configured: Callable[[], bool],
    ) -> None:
        self._client = client
        self._company = company
        self._wanted = wanted
        self._requests = requests
        self._files = files
        self._asking = asking
        self._deeds = deeds
        self._is_configured = is_configured
        #: By command.
        self.of: dict[str, Callable[[Message, Concern], None]] = {
            "setBreakpoints": self._set_breakpoints,
            "setFunctionBreakpoints": self._set_functions,
            "setExceptionBreakpoints": self._set_filters,
            "threads": self._threads,
            "modules": self._list_modules,
            "source": self._source,
            "gotoTargets": self._goto_targets,
            "goto": self._goto,
            "pydevdSystemInfo": self._system_info,
            "debugpySystemInfo": self._system_info,
        }

    def _set_breakpoints(self, message: Message, concern: Concern) -> None:
        path, found = self._wanted.set_breakpoints(message["arguments"])
        waits = self._company.fleet.set_breakpoints({path}, self._client.tally) if self._is_configured() else ()
        self._answer(message, waits, lambda: {"breakpoints": self._wanted.known(found)})

    def _set_functions(self, message: Message, concern: Concern) -> None:
        found = self._wanted.set_functions(message.get("arguments") or {})
        waits = self._company.fleet.set_functions(self._client.tally) if self._is_configured() else ()
        self._answer(message, waits, lambda: {"breakpoints": self._wanted.known(found)})

    def _set_filters(self, message: Message, concern: Concern) -> None:
        self._wanted.filters = [str(name) for name in (message.get("arguments") or {}).get("filters") or ()]
        self._answer(
            message, self._company.fleet.set_filters(self._client.tally) if self._is_configured() else (), lambda: None
        )

    def _answer(self, message: Message, waits: Sequence[Awaitable[None]], body: Callable[[], Any]) -> None:
        """Answer as soon as the workers have, if that is soon: what they say later is told by events."""
        entries = (message.get("arguments") or {}).get("breakpoints") or ()
        size = PER_REQUEST + PER_BREAKPOINT * len(entries)

        async def answer() -> None:
            with_all = asyncio.gather(*waits)
            await asyncio.wait([with_all], timeout=self._company.patience.confirmed)
            with_all.cancel()
            self._client.tally.let_go(size)
            self._client.send(wire.response(message, body()))

        if waits:
            self._client.tally.keep(size)
            self._company.start(answer())
        else:
            self._client.send(wire.response(message, body()))

    def _threads(self, message: Message, concern: Concern) -> None:
        number = len(self._company.workers)
        window = (
            f"open until {self._company.until()}, {number} worker{'' if number == 1 else 's'},"
            f" {len(self._requests.paused)} paused"
        )
        self._client.send(wire.response(message, {"threads": self._requests.threads(window)}))

    def _list_modules(self, message: Message, concern: Concern) -> None:
        self._client.send(wire.response(message, {"modules": self._files.modules()}))

    def _source(self, message: Message, concern: Concern) -> None:
        if concern.worker is not None:
            self._asking.ask(message, concern.worker, concern.request, "source", concern.arguments, dict)
            return
        try:
            text = self._files.source(concern.arguments)
        except SourceRefused as refused:
            self._client.refuse(message, str(refused))
        else:
            self._client.send(wire.response(message, {"content": text}))

    def _goto_targets(self, message: Message, concern: Concern) -> None:
        target = self._files.goto_target(concern.arguments["source"].get("path", ""), concern.arguments["line"])
        self._client.send(wire.response(message, {"targets": [target]}))

    def _goto(self, message: Message, concern: Concern) -> None:
        """pydevd gives places numbers of its own, in each worker."""
        worker = self._asking.paused_in(message, concern)
        if worker is None or worker.joined is None:
            return
        path, line = concern.arguments["targetId"]
        self._deeds.jumped(path, line, self._requests.of(worker.key, concern.request))

        def found(answer: Message | None) -> None:
            targets = ((answer or {}).get("body") or {}).get("targets") or [{}]
            self._asking.ask(
                message, worker.key, concern.request, "goto",
                {**concern.arguments, "targetId": targets[0].get("id")}, dict,
            )  # fmt: skip

        arguments = {"source": {"path": path}, "line": line}
        worker.joined.request("gotoTargets", arguments, found, self._client.tally)

    def _system_info(self, message: Message, concern: Concern) -> None:
        joined = next((worker for worker in self._company.workers if worker.joined is not None), None)
        if joined is None:
            self._client.refuse(message, _NOBODY_JOINED)
        else:
            self._asking.ask(message, joined.key, None, "pydevdSystemInfo", {}, dict)
