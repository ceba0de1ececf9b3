"""The control socket from the end of a worker or a command. The gatekeeper's is its own."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stagedoor import forking

from .place import ControlError, is_foreign, peer_credentials, within_reach
from .protocol import LINE_CAP, ControlMessage, decode, encode


def silent(pid: int) -> str:
    """What to do about a gatekeeper that does not answer, a clause.

    :param pid: its process, 0 if nobody knows.
    """
    look = "it is stopped, or the machine does too much else"
    return f"{look}. If it stays so, end it (kill -9 {pid}): another one is started then" if pid else look


class ControlConnection:
    """The end of a worker or of a command: blocking, for one thread at a time.

    :param path: the control socket.
    :param timeout: seconds to wait for the connection.
    :raises OSError: if there is no gatekeeper.
    :raises ControlError: if somebody else's process listens there.
    """

    def __init__(self, path: Path, timeout: float = 1.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        forking.register(self)
        self._buffer = b""
        #: The gatekeeper's process id, from the kernel; 0 where it does not tell.
        self.peer = 0
        #: What the welcome said.
        self.received: ControlMessage = {}
        try:
            self._socket.settimeout(timeout)
            with within_reach(path) as address:
                self._socket.connect(address)
            credentials = peer_credentials(self._socket)
            if is_foreign(credentials):
                raise ControlError(f"The process behind {path} belongs to another user, so nothing is said to it.")
            self.peer = credentials[0] if credentials is not None else 0
        except BaseException:
            self._socket.close()
            raise

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one message.

        :raises OSError: if the gatekeeper is gone.
        """
        self._socket.sendall(encode(message))

    def receive(self, timeout: float) -> Iterator[ControlMessage]:
        """The messages that are there, waiting up to ``timeout`` seconds for the first. Go through all of them.

        :raises EOFError: if the gatekeeper is gone.
        :raises ControlError: if it sends something else than control messages.
        """
        if self._is_readable(timeout):
            *lines, self._buffer = (self._buffer + self._read(65536)).split(b"\n")
            if len(self._buffer) > LINE_CAP:
                raise ControlError(f"The gatekeeper sent a line of more than {LINE_CAP} bytes.")
            for line in lines:
                yield decode(line)

    def ask(self, message: Mapping[str, Any], timeout: float) -> ControlMessage:
        """Send ``message`` and wait for one answer. What comes after it is left for :meth:`receive`.

        :raises EOFError: if the gatekeeper is gone.
        :raises TimeoutError: if it does not answer within ``timeout`` seconds.
        :raises ControlError: if it sends something else than control messages.
        """
        self.send(message)
        deadline = time.monotonic() + timeout
        while self._is_readable(max(0.0, deadline - time.monotonic())):
            # Only the answer is taken out of the socket: whoever waits for the socket next must find the rest in it.
            peeked = self._read(LINE_CAP, socket.MSG_PEEK)
            end = peeked.find(b"\n") + 1
            self._buffer += self._read(end or len(peeked))
            if end:
                line, self._buffer = self._buffer, b""
                return decode(line)
            if len(self._buffer) > LINE_CAP:
                raise ControlError(f"The gatekeeper sent a line of more than {LINE_CAP} bytes.")
        raise TimeoutError(f"the gatekeeper did not answer within {timeout:g} s")

    def fileno(self) -> int:
        return self._socket.fileno()

    def detach(self) -> socket.socket:
        """The connected socket itself, for what comes after the first line."""
        self._socket.settimeout(None)
        return self._socket

    def close(self) -> None:
        self._socket.close()

    #: Also before anybody speaks over it: else the gatekeeper would not notice the end of this process before that of a
    #: child, which may live on for hours.
    forget_in_child = close

    def _is_readable(self, timeout: float) -> bool:
        # Not select(), which fails for descriptors from 1024 on: a busy server has more.
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def _read(self, size: int, flags: int = 0) -> bytes:
        try:
            received = self._socket.recv(size, flags)
        except OSError:
            received = b""
        if not received:
            raise EOFError("the gatekeeper has closed the control socket")
        return received
