"""The control socket between a gatekeeper and the workers and commands of the same user: its place and its wire format.

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

The first line decides what the connection is for: one thing. The socket is ``0600`` in a directory of ``0700``, and the
gatekeeper asks the kernel who the peer is (``SO_PEERCRED``) before it reads.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stagedoor.errors import ConfigurationError, StagedoorError

#: The longest path of a Unix socket, in bytes, on every system (macOS has room for 104).
PATH_CAP = 100

#: The longest line, in bytes.
LINE_CAP = 256 * 1024

#: Where a process finds its own descriptors as files, on Linux.
_DESCRIPTORS = "/proc/self/fd"

ControlMessage = dict[str, Any]


class ControlError(StagedoorError):
    """The control socket can't be trusted, or its peer broke the wire format."""


def folder_beside(switch: Path) -> Path:
    """The directory of all that belongs to a window in a file, but the window itself: the control socket is in it.

    It follows the switch, and neither ``XDG_RUNTIME_DIR`` nor the temporary directory: who sees the window, sees this.

    :param switch: the file of the switch.
    """
    return switch.with_name(f"{switch.name}.d")


def path_beside(switch: Path) -> Path:
    """Where the control socket of the gatekeeper for a file switch is. A switch has one gatekeeper.

    :raises ConfigurationError: if the path would be too long for a Unix socket, where :func:`within_reach` can't help.
    """
    path = folder_beside(switch) / "control"
    if _is_too_long(path) and not os.path.isdir(_DESCRIPTORS):
        raise ConfigurationError("switch", str(switch), *_too_long("beside it"))
    return path


def socket_path(directory: Path, bind: str, switch: str) -> Path:
    """Where the control socket of the gatekeeper for a debug port and a switch that is no file is.

    Applications that share such a switch and a port share a gatekeeper, and commands find it by the same two.

    :param directory: the user's runtime directory of Stagedoor's.
    :param bind: the debug port, as :class:`~stagedoor.settings.bind.Bind` prints it.
    :param switch: the switch's name.
    :raises ConfigurationError: if the path would be too long for a Unix socket.
    """
    digest = hashlib.sha256(f"{bind}\n{switch}".encode()).hexdigest()[:16]
    path = directory / f"gatekeeper-{digest}"
    if _is_too_long(path):
        raise ConfigurationError("XDG_RUNTIME_DIR", str(directory.parent), *_too_long("below it"))
    return path


@contextmanager
def within_reach(path: Path) -> Iterator[str]:
    """``path`` as it fits into the address of a Unix socket, while the block runs.

    A longer one is reached through the descriptor of its directory. Another place for it would have to be a public one,
    where somebody else could be first, or one that a service with a temporary directory of its own does not share.

    :raises OSError: if there is no such directory.
    """
    if not _is_too_long(path):
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield f"{_DESCRIPTORS}/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


def private_directory(path: Path) -> Path:
    """Make ``path`` a directory of this user's alone.

    :raises ControlError: if it can't be made, somebody else owns it, or somebody else could write to it.
    """
    try:
        # Those above it too, which may be asked for as private ones later.
        for folder in (*reversed(path.parents), path):
            if not os.path.lexists(folder):
                with suppress(FileExistsError):
                    folder.mkdir(mode=0o700)
        if sys.platform == "win32":  # there the file system's own rules hold, as for the switch
            return path
        found = path.lstat()
    except OSError as error:
        raise ControlError(
            f"{path}, the directory of the control socket, can't be made: {error.strerror}. Make it, for this user and"
            " with mode 0700, or set STAGEDOOR_SWITCH (XDG_RUNTIME_DIR for a switch that is no file) to a place that"
            " this user can write to."
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ControlError(
            f"{path} must be a directory of this user's with mode 0700, because the control socket is in it. "
            "Remove it, or set STAGEDOOR_SWITCH (XDG_RUNTIME_DIR for a switch that is no file)."
        )
    return path


def _is_too_long(path: Path) -> bool:
    return len(os.fsencode(path)) > PATH_CAP


def _too_long(where: str) -> tuple[str, str]:
    problem = f"is too long: a Unix socket {where} would have a path of more than {PATH_CAP} bytes"
    return problem, "Choose a shorter one."


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
    the kernel does not tell, the directory alone keeps others out (:func:`private_directory`).
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
