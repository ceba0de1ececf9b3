"""The DAP connection of one worker's pydevd."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from stagedoor.dap import wire
from stagedoor.dap.wire import Message

from .tally import PER_REQUEST, Tally

#: Called with the answer to a request, or with ``None`` where the debugger is gone.
Answered = Callable[[Message | None], None]


class DebuggeeGone(Exception):
    """The worker's debugger closed its connection, or broke the protocol."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that is not answered yet."""

    answered: Answered
    tally: Tally | None
    size: int
    own: bool

    def over(self, answer: Message | None) -> None:
        if self.tally is not None:
            self.tally.let_go(self.size)
        self.answered(answer)


class Debuggee:
    """pydevd in a worker, which dialled out to the control socket.

    Answers and events are handed on in the order in which they came: a client that has asked for a step must read that
    it was begun before it reads where it has ended.

    :param reader: what it sends.
    :param writer: where to send.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        # To be told as soon as it has read all of it.
        writer.transport.set_write_buffer_limits(0)
        self._seq = itertools.count(1)
        self._pending: dict[int, _Asked] = {}
        #: What waits to be read by it, besides what the transport holds: nothing is taken out of that again.
        self._outbox: deque[tuple[int, bytes]] = deque()
        self._catching_up: asyncio.Task[None] | None = None
        self._gone = False
        #: Who gets its events.
        self.on_event: Callable[[Message], None] | None = None

    @property
    def is_gone(self) -> bool:
        """Whether its connection has ended."""
        return self._gone

    def request(
        self,
        command: str,
        arguments: Mapping[str, Any] | None,
        answered: Answered,
        *,
        tally: Tally | None = None,
        own: bool = False,
    ) -> None:
        """Send a request now, or as soon as it reads.

        :param tally: counts what that makes us keep, until it is answered.
        :param own: it is forgotten with that (:meth:`forget`).
        """
        if self._gone:
            answered(None)
            return
        seq = next(self._seq)
        data = wire.encode(wire.request(command, arguments), seq)
        self._pending[seq] = asked = _Asked(answered, tally, len(data) + PER_REQUEST, own)
        if not self._outbox and not self._writer.transport.get_write_buffer_size():
            self._writer.write(data)
        else:
            self._outbox.append((seq, data))
            if self._catching_up is None or self._catching_up.done():
                self._catching_up = asyncio.get_running_loop().create_task(self._catch_up())
        if tally is not None:
            tally.keep(asked.size)

    def forget(self, tally: Tally) -> None:
        """A session has gone: nothing of what it alone has asked is sent any more, or kept."""
        own = {seq for seq, asked in self._pending.items() if asked.tally is tally and asked.own}
        unsent = {seq for seq, _ in self._outbox} & own
        self._outbox = deque(each for each in self._outbox if each[0] not in unsent)
        for seq in own:
            del self._pending[seq]

    async def _catch_up(self) -> None:
        with suppress(OSError):
            while self._outbox:
                await self._writer.drain()
                if self._outbox:  # Unless the session that has asked is gone by now.
                    self._writer.write(self._outbox.popleft()[1])

    def ask(self, command: str, arguments: Mapping[str, Any] | None = None) -> asyncio.Future[Message]:
        """Send a request now; the future is its response, or :class:`DebuggeeGone`."""
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        # A request whose answer nobody waits for any more must not end in a warning.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())

        def answered(message: Message | None) -> None:
            if future.done():
                return
            if message is None:
                future.set_exception(DebuggeeGone())
            else:
                future.set_result(message)

        self.request(command, arguments, answered)
        return future

    async def serve(self) -> str | None:
        """Read until it is gone; returns why it was given up, a sentence, if it did not end by itself."""
        decoder = wire.Decoder()
        try:
            while data := await self._reader.read(65536):
                for message in decoder.feed(data):
                    self._take(message)
        except wire.ProtocolError as error:
            return str(error)
        except OSError:
            pass
        finally:
            self.close()
        return None

    def _take(self, message: Message) -> None:
        if message["type"] == "response":
            asked = self._pending.pop(message["request_seq"], None)
            if asked is not None:
                asked.over(message)
        elif message["type"] == "event" and self.on_event is not None:
            self.on_event(message)

    def close(self) -> None:
        """Let go of it. pydevd stops when its connection ends: what is paused runs on."""
        self._gone = True
        pending = list(self._pending.values())
        self._pending.clear()
        self._outbox.clear()
        for asked in pending:
            asked.over(None)
        # Not close(), which would wait for as long as a worker that was stopped does not read.
        self._writer.transport.abort()
