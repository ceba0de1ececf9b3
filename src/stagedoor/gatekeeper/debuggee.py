"""The DAP connection of one worker's pydevd."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from stagedoor.dap import wire
from stagedoor.dap.wire import Message

#: Called with the answer to a request, or with ``None`` where the debugger is gone.
Answered = Callable[[Message | None], None]


class DebuggeeGone(Exception):
    """The worker's debugger closed its connection, or broke the protocol."""


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
        self._seq = itertools.count(1)
        self._pending: dict[int, Answered] = {}
        self._gone = False
        #: Who gets its events.
        self.on_event: Callable[[Message], None] | None = None

    @property
    def unread(self) -> int:
        """How many bytes wait to be read by it."""
        return self._writer.transport.get_write_buffer_size()

    def request(self, command: str, arguments: Mapping[str, Any] | None, answered: Answered) -> None:
        """Send a request now."""
        if self._gone:
            answered(None)
            return
        seq = next(self._seq)
        self._pending[seq] = answered
        self._writer.write(wire.encode(wire.request(command, arguments), seq))

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
            answered = self._pending.pop(message["request_seq"], None)
            if answered is not None:
                answered(message)
        elif message["type"] == "event" and self.on_event is not None:
            self.on_event(message)

    def close(self) -> None:
        """Let go of it. pydevd stops when its connection ends: what is paused runs on."""
        self._gone = True
        pending = list(self._pending.values())
        self._pending.clear()
        for answered in pending:
            answered(None)
        # Not close(), which would wait for as long as a worker that was stopped does not read.
        self._writer.transport.abort()
