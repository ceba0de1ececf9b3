"""One connection to the debug port: the part of the protocol before it is a session, and after."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from stagedoor.dap import judging, wire
from stagedoor.dap.commands import FAREWELLS, Phase
from stagedoor.dap.wire import Message

from .capabilities import CAPABILITIES
from .patience import Patience
from .tally import Tally


class Session(Protocol):
    """What a connection becomes once its ``attach`` is let in."""

    def request(self, message: Message) -> None:
        """A request of the client's."""

    def gone(self) -> None:
        """The client has closed its connection without a farewell."""


class Client:
    """A connection to the debug port.

    :param address: the peer's address, which has passed the allowlist or needs the token.
    :param reader: what it sends.
    :param writer: where to send.
    :param attach: called with the connection's first ``attach``, as the table of commands lets it through; it sets
        :attr:`session` or calls :meth:`turn_away` or :meth:`part`.
    :param patience: how long it is waited for.
    """

    def __init__(
        self,
        address: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        attach: Callable[[Client, Message, judging.AnsweredHere], None],
        patience: Patience,
    ) -> None:
        self.address = address
        self.session: Session | None = None
        #: Why its connection was cut off, the end of a sentence; ``None`` if it was not, or has ended by itself.
        self.lost: str | None = None
        self._reader = reader
        self._writer = writer
        self._attach_session = attach
        self._patience = patience
        self._seq = itertools.count(1)
        self._is_initialized = False
        self._parting = False
        self._backlog = bytearray()
        self._catching_up: asyncio.Task[None] | None = None
        #: What is kept for it, and for its session.
        self.tally = Tally(patience.kept)
        self.tally.measure(lambda: self._writer.transport.get_write_buffer_size() + len(self._backlog))
        self.tally.exceeded = self.abort

    @property
    def is_undecided(self) -> bool:
        """Whether it has not attached yet."""
        return self.session is None and not self._parting and not self._writer.is_closing()

    def send(self, message: Message) -> None:
        """Send it one message; without effect once it is gone."""
        if self._writer.is_closing() or not (self._parting or self.tally.check()):
            return
        data, unread = wire.encode(message, next(self._seq)), self._writer.transport.get_write_buffer_size()
        if not unread and not self._backlog:
            self._writer.write(data)
            return
        # Not written at once: the time that asyncio takes for that grows with the number of pieces that wait.
        self._backlog += data
        if self._catching_up is None or self._catching_up.done():
            self._catching_up = asyncio.get_running_loop().create_task(self._catch_up())

    def say(self, text: str, category: str = "console") -> None:
        """Write a line to the developer's debug console."""
        self.send(wire.event("output", {"category": category, "output": f"{text}\n"}))

    def refuse(self, request: Message, sentence: str) -> None:
        """Answer with an error that the IDE shows to the developer."""
        self.send(wire.error_response(request, sentence))

    def turn_away(self, attach: Message, sentence: str) -> None:
        """Refuse its ``attach``; it gets no second one."""
        self.refuse(attach, sentence)
        self._await_farewell()

    def part(self) -> None:
        """End its session: it is told, and has a moment to say farewell."""
        if not self._parting:
            self.send(wire.event("terminated"))
            self._await_farewell()

    def cut_off(self, sentence: str) -> None:
        """End its session, and let go of what waits for it: it hears why, if it reads."""
        self._backlog.clear()
        self._parting = True
        self.say(sentence, "important")
        self.send(wire.event("terminated"))
        self._await_farewell()

    def close(self) -> None:
        """Send what is waiting, and end the connection."""
        if not self._writer.is_closing():
            self._writer.write(self._backlog)
            self._writer.close()
            # It may never read what is waiting.
            asyncio.get_running_loop().call_later(self._patience.farewell, self.abort)

    def abort(self) -> None:
        """End the connection now."""
        self._writer.transport.abort()

    async def serve(self) -> None:
        """Read until the peer is gone, breaks the protocol, or has not been let in in time."""
        patience = asyncio.get_running_loop().call_later(self._patience.handshake, self._lose_patience)
        decoder, unattached = wire.Decoder(self._patience.handshake_body), 0
        try:
            while not self._writer.is_closing() and (data := await self._reader.read(65536)):
                for message in decoder.feed(data):
                    self._take(message)
                    if self.session is not None:
                        decoder.body_cap, unattached = wire.CLIENT_BODY_CAP, 0
                    elif (unattached := unattached + 1) >= self._patience.handshake_messages:
                        return
                    if self._writer.is_closing():
                        break
                await self._writer.drain()
        except wire.ProtocolError as error:
            if self.session is not None:
                self.lost = "its client sent what is no DAP"
                self.say(f"Stagedoor: This session is cut off. {error}", "important")
        except TimeoutError:  # The kernel has given the peer up.
            self.lost = self.lost or "its client can't be reached any more"
        except OSError:
            pass
        finally:
            patience.cancel()
            self.close()
            session, self.session = self.session, None
            if session is not None:
                session.gone()
            with suppress(OSError):
                await self._writer.wait_closed()

    async def _catch_up(self) -> None:
        with suppress(OSError):
            while self._backlog:
                await self._writer.drain()
                backlog, self._backlog = self._backlog, bytearray()
                self._writer.write(backlog)

    def _await_farewell(self) -> None:
        self.session = None
        self._parting = True
        asyncio.get_running_loop().call_later(self._patience.farewell, self.close)

    def _lose_patience(self) -> None:
        if self.is_undecided:
            self.close()

    def _take(self, message: Message) -> None:
        if message["type"] != "request":
            return
        if self.session is not None:
            self.session.request(message)
        elif message["command"] in FAREWELLS:
            self.send(wire.response(message))
            self.close()
        else:
            self._take_unattached(message)

    def _take_unattached(self, message: Message) -> None:
        phase = Phase.OVER if self._parting else Phase.INITIALIZED if self._is_initialized else Phase.NEW
        verdict = judging.judged(message, phase)
        if isinstance(verdict, judging.Refuse):
            self.send(wire.error_response(message, verdict.sentence, show_user=verdict.show_user))
        elif message["command"] == "initialize":
            self._is_initialized = True
            self.send(wire.response(message, CAPABILITIES))
        elif isinstance(verdict, judging.AnsweredHere):
            self._attach_session(self, message, verdict)
