"""The control socket between a gatekeeper and the workers and commands of the same user: what is said on it.

Both ways, one JSON object a line, in ASCII, at most :data:`LINE_CAP` bytes with its line feed::

    worker  -> {"hello": {"digest": "...", "window": "...", "pid": 4242}}
            <- {"welcome": {"client": "on"}}            or {"refused": "why"}, and the connection ends; it is asked
                                                        again if "again" is true, and "remedy" says what to do
            <- {"client": "on"}, {"client": "off"}, {"client": "ignored"}
    worker  -> {"seen": "on"}                           requests are treated so from now on
            -> {"join": "GET /checkout"}                about to bring its debugger, for this request
            -> {"paused": {"thread": 1, "request": "GET /checkout", "place": "views.py:12"}}
            -> {"resumed": {"thread": 1}}, {"console": "..."}
            -> {"window": {...}}, {"over": "why"}       of a switch that only workers read: moved, closed
            <- {"audit": {"event": "...", "sentence": "...", "level": 20, "fields": {}}}
            <- {"closed": "why"}, and the connection ends

    debuggee -> {"debuggee": {"pid": 4242}}             from here on the connection carries pydevd's own DAP

    command -> {"status": {}}     <- {"status": {...}}
            -> {"close": {}}      <- {"closed": "why"}

The first line decides what the connection is for: one thing. Both ends ask the kernel who their peer is
(``SO_PEERCRED``) before they read or say anything. Where the socket is: :mod:`.place`.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .place import ControlError, within_reach

#: The longest line, in bytes.
LINE_CAP = 256 * 1024

ControlMessage = dict[str, Any]


def encode(message: Mapping[str, Any]) -> bytes:
    """One line.

    :raises ControlError: if it would be too long.
    """
    line = json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"
    if len(line) > LINE_CAP:
        raise ControlError(f"A control message of {len(line)} bytes was not sent: the longest is {LINE_CAP}.")
    return line


def decode(line: bytes) -> ControlMessage:
    """The message of one line.

    :raises ControlError: if it is not one.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ControlError("The peer on the control socket sent something that is no control message.")
    return message


def peer_credentials(connection: socket.socket) -> tuple[int, int] | None:
    """Process id and user id of a Unix socket's peer, from the kernel; ``None`` where it does not tell (not Linux)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", packed)
    return pid, uid


def is_foreign(credentials: tuple[int, int] | None) -> bool:
    """Whether a Unix socket's peer is known to be another user's process, to which nothing is said; root's is not. Where
    the kernel does not tell, the directory alone keeps others out (:func:`.place.private_directory`).
    """
    return credentials is not None and credentials[1] not in (os.geteuid(), 0)


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
        self._buffer = b""
        #: The gatekeeper's process id, from the kernel; 0 where it does not tell.
        self.peer = 0
        #: What the welcome said of the client.
        self.received = "off"
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
