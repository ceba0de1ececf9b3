"""The DAP connection of one worker's pydevd."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from stagedoor.dap import wire
from stagedoor.dap.wire import Message


class DebuggeeGone(Exception):
    """The worker's debugger closed its connection, or broke the protocol."""


class Debuggee:
    """pydevd in a worker, which dialled out to the control socket.

    :param reader: what it sends.
    :param writer: where to send.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._seq = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Message]] = {}
        self._gone = False
        #: Who gets its events; with no client at the other end they are dropped.
        self.on_event: Callable[[Message], None] | None = None

    @property
    def unanswered(self) -> int:
        """How many requests it has not answered yet."""
        return len(self._pending)

    def request(self, command: str, arguments: Mapping[str, Any] | None = None) -> asyncio.Future[Message]:
        """Send a request now; the future is its response, or :class:`DebuggeeGone`."""
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        # A request whose answer nobody waits for any more must not end in a warning.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        if self._gone:
            future.set_exception(DebuggeeGone())
            return future
        seq = next(self._seq)
        self._pending[seq] = future
        self._writer.write(wire.encode(wire.request(command, arguments), seq))
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
            future = self._pending.pop(message["request_seq"], None)
            if future is not None and not future.done():
                future.set_result(message)
        elif message["type"] == "event" and self.on_event is not None:
            self.on_event(message)

    def close(self) -> None:
        """Let go of it. pydevd stops when its connection ends: what is paused runs on."""
        self._gone = True
        for future in self._pending.values():
            if not future.done():
                future.set_exception(DebuggeeGone())
        self._pending.clear()
        # Not close(), which would wait for as long as a worker that was stopped does not read.
        self._writer.transport.abort()
