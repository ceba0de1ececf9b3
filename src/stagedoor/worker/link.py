"""A worker's link to the gatekeeper: one thread speaks with it, and any thread has something to say."""

from __future__ import annotations

import queue
import select
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from stagedoor.control.connection import ControlConnection
from stagedoor.control.protocol import ControlMessage

from .waker import Waker


class Link:
    """The link, over which nothing goes before :meth:`connect`; what is posted until then is sent afterwards."""

    def __init__(self) -> None:
        self._connection: ControlConnection | None = None
        self._waker: Waker | None = None
        self._outbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    # On any thread

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and self._waker is not None

    def post(self, message: dict[str, Any]) -> None:
        """Have ``message`` sent, after those that were posted before."""
        self._outbox.put(message)
        self.wake()

    def wake(self) -> None:
        """Let the window's thread come out of :meth:`wait`."""
        if self._waker is not None:
            self._waker.wake()

    # On the window's thread

    def connect(self, connection: ControlConnection) -> None:
        self._waker = Waker()
        self._connection = connection

    def wait(self, seconds: float) -> bool:
        """Wait until the gatekeeper has said something, something is posted, or ``seconds`` are over; returns whether it was
        the gatekeeper. Without a connection it does not wait.
        """
        connection, waker = self._connection, self._waker
        if connection is None or waker is None:
            return False
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        poll.register(waker.fileno(), select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(seconds * 1000)]
        if waker.fileno() in ready:
            waker.reset()
        return connection.fileno() in ready

    def received(self) -> Iterator[ControlMessage]:
        """What the gatekeeper has said.

        :raises OSError, EOFError, ControlError: if it is gone, or says what makes no sense.
        """
        if self._connection is not None:
            yield from self._connection.receive(0)

    def sent(self) -> Iterator[dict[str, Any]]:
        """Send all that was posted, and give each message when it has gone.

        :raises OSError: if the gatekeeper is gone.
        """
        if self._connection is not None:
            with suppress(queue.Empty):
                while True:
                    message = self._outbox.get_nowait()
                    self._connection.send(message)
                    yield message

    def close(self, farewell: dict[str, Any] | None = None) -> None:
        """Let go of the gatekeeper.

        :param farewell: the last that it hears.
        """
        if self._connection is not None:
            if farewell is not None:
                with suppress(OSError):
                    self._connection.send(farewell)
            self._connection.close()
        if self._waker is not None:
            self._waker.close()

    def forget_in_child(self) -> None:
        """In a forked child, where the connection closes itself."""
        self._outbox = queue.SimpleQueue()
        if self._waker is not None:
            self._waker.forget_in_child()
