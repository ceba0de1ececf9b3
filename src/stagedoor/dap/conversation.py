"""A client's connection to a DAP server: what is sent, and what is waited for."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self

from stagedoor import forking
from stagedoor.errors import StagedoorError

from . import wire
from .wire import Message

Address = tuple[str, int] | str | socket.socket
Arguments = Mapping[str, Any] | None


class RequestFailed(StagedoorError):
    """The server refused the request ``command``, for the reason ``sentence``; ``body`` is the response's."""

    def __init__(self, command: str, sentence: str, body: Message) -> None:
        self.command = command
        self.sentence = sentence
        self.body = body
        super().__init__(f'"{command}" was refused: {sentence}')


class WaitFailed(StagedoorError):
    """What was waited for didn't come in time, or can't come any more; the message lists what came instead."""


class Conversation:
    """A connection to a DAP server. Every call waits for its answer; a thread of its own reads.

    Calls that wait raise :class:`WaitFailed`, calls that send a request :class:`RequestFailed` too. What came before
    the end of the connection can still be waited for after it.

    :param address: host and port, the path of a Unix socket, or a socket that is connected already.
    :param timeout: seconds to wait wherever a call doesn't say; default 10: attaching includes the start of a debugger.
    :param source_address: the local address to connect from, such as ``("127.0.0.2", 0)``; not for Unix sockets.
    :raises OSError: if there is no connection.
    """

    def __init__(self, address: Address, timeout: float = 10, *, source_address: tuple[str, int] | None = None) -> None:
        self.address = address
        self.timeout = timeout
        self._seq = itertools.count(1)
        self._commands: dict[int, str] = {}
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._received: list[Message] = []
        self._unclaimed: list[Message] = []
        self._over = ""
        self._socket = _connected(address, timeout, source_address)
        self._reader = threading.Thread(target=self._read, name="stagedoor-dapclient", daemon=True)
        self._reader.start()
        forking.register(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()

    def forget_in_child(self) -> None:
        """In a forked child: the connection is the parent's, and the thread that reads it is not here."""
        self._sending, self._changed = threading.Lock(), threading.Condition()
        self._over = self._over or "it is the parent process's"
        self._socket.close()

    @property
    def received(self) -> list[Message]:
        """All messages so far, in the order in which they came."""
        with self._changed:
            return list(self._received)

    @property
    def events(self) -> list[Message]:
        """All events so far, waited for or not."""
        with self._changed:
            return [message for message in self._received if message["type"] == "event"]

    def send(self, command: str, arguments: Arguments = None) -> int:
        """Send a request without waiting; returns its sequence number for :meth:`wait_response`."""
        return self._write(wire.request(command, arguments))

    def wait_response(self, seq: int, timeout: float | None = None) -> Message:
        """The body of the response to the request ``seq``; each can be waited for once."""
        what = f'the response to "{self._commands[seq]}"'
        return body_of(self.claim(what, timeout, lambda message: message.get("request_seq") == seq))

    def request(self, command: str, arguments: Arguments = None, timeout: float | None = None) -> Message:
        """Send a request and return the body of its response."""
        return self.wait_response(self.send(command, arguments), timeout)

    def wait_event(
        self, name: str, predicate: Callable[[Message], bool] = lambda body: True, timeout: float | None = None
    ) -> Message:
        """The body of the first event ``name`` (that satisfies ``predicate``) which nobody has waited for yet."""
        what = f'an event "{name}"'
        return body_of(self.claim(what, timeout, lambda m: m.get("event") == name and predicate(body_of(m))))

    def wait_closed(self, timeout: float | None = None) -> None:
        """Wait until the peer has hung up."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._over, self.timeout if timeout is None else timeout):
                raise self._failed("the end of the connection")

    def _write(self, message: Message) -> int:
        with self._sending:
            seq = next(self._seq)
            self._commands[seq] = message["command"]
            with suppress(OSError):  # the reader notices too, and tells whoever waits for the answer
                self._socket.sendall(wire.encode(message, seq))
            return seq

    def _read(self) -> None:
        decoder, over = wire.Decoder(), "the peer hung up"
        try:
            while data := self._socket.recv(65536):
                for message in decoder.feed(data):
                    with self._changed:
                        self._received.append(message)
                        self._unclaimed.append(message)
                        self._changed.notify_all()
        except (OSError, wire.ProtocolError) as error:
            over = str(error)
        with self._changed:
            self._over = over
            self._changed.notify_all()

    def claim(self, what: str, timeout: float | None, wanted: Callable[[Message], bool]) -> Message:
        """The first message that is ``wanted`` and that nobody has waited for yet.

        :param what: the same for a person.
        """

        def find() -> Message | str:
            index = next((i for i, message in enumerate(self._unclaimed) if wanted(message)), None)
            return self._over if index is None else self._unclaimed.pop(index)

        with self._changed:
            found = self._changed.wait_for(find, self.timeout if timeout is None else timeout)
            if isinstance(found, str):
                raise self._failed(what)
            return found

    def _failed(self, what: str) -> WaitFailed:
        # Names only: what an application prints, or holds in its variables, belongs in no error.
        came = ", ".join(f"{m['type']} {m.get('event') or m.get('command')}" for m in self._received[-30:]) or "nothing"
        return WaitFailed(f"Waited for {what}, but {self._over or 'it took too long'}. Came so far: {came}.")


def _connected(address: Address, timeout: float, source_address: tuple[str, int] | None) -> socket.socket:
    if isinstance(address, socket.socket):
        connection = address
    elif not isinstance(address, str):
        connection = socket.create_connection(address, timeout, source_address)
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(address)
    connection.settimeout(None)
    return connection


def body_of(message: Message) -> Message:
    """The body of a message.

    :raises RequestFailed: if it is a refusal.
    """
    body: Message = message.get("body") or {}
    if message.get("success") is False:
        raise RequestFailed(message["command"], message.get("message") or "no reason was given", body)
    return body
