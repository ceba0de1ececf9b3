"""A listening socket of the gatekeeper's: how it is opened, accepted on, and taken away without a trace."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from stagedoor.control.place import within_reach

#: Connections that the kernel holds until they are accepted; of more the client would hear nothing for a second.
_BACKLOG = 1024
#: Seconds between two attempts to accept while this process is out of descriptors.
_PATIENCE = 0.2


class Listener:
    """A listening socket.

    :param listener: the socket.
    :param path: where it is, if it is a Unix socket.
    """

    def __init__(self, listener: socket.socket, path: Path | None = None) -> None:
        self._socket = listener
        self._path = path
        self._identity = _identity(path)
        self._reserved: socket.socket | None = None

    @classmethod
    def tcp(cls, host: str, port: int) -> Self:
        """:raises OSError: if the port can't be had."""
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            # Else the port of the last window could not be had again while its connections are in TIME_WAIT.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if listener.family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            return cls(_listening(listener, (host, port)))
        except BaseException:
            listener.close()
            raise

    @classmethod
    def unix(cls, path: Path) -> Self:
        """A socket that this user alone may connect to. One that was left by a killed process is replaced.

        :raises OSError: if anything else is there.
        """
        _remove_leftover(path)
        listener = socket.socket(socket.AF_UNIX)
        umask = os.umask(0o177)
        try:
            with within_reach(path) as address:
                return cls(_listening(listener, address), path)
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(umask)

    def reserve(self, host: str, port: int) -> bool:
        """Have another TCP port, and don't listen there: until this one is closed nobody else can, and whoever comes there
        is refused at once. Returns whether that is so; also where this machine has no such address.
        """
        try:
            reserved = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError:
            return True
        try:
            if reserved.family == socket.AF_INET6:
                reserved.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            reserved.bind((host, port))
        except OSError as error:
            reserved.close()
            return error.errno != errno.EADDRINUSE
        self._reserved = reserved
        return True

    async def accept(self, serve: Callable[[socket.socket, Any], None]) -> None:
        """Hand every new connection and its peer's address to ``serve``, until cancelled."""
        loop = asyncio.get_running_loop()
        # Once more: the kernel names the process that did so last to whoever connects, and the first one has ended.
        self._socket.listen(_BACKLOG)
        while True:
            try:
                connection, peer = await loop.sock_accept(self._socket)
            except OSError:  # The peer was gone at once, or this process is out of descriptors.
                await asyncio.sleep(_PATIENCE)
                continue
            connection.setblocking(False)
            serve(connection, peer)
            # Else all that wait in the backlog would be accepted at once, and be as many open descriptors, before the
            # first of them is served or sent away.
            await asyncio.sleep(0)

    def close(self) -> None:
        """Close it, and remove its path, unless that is another process's by now."""
        if self._path is not None and _identity(self._path) == self._identity:
            self._path.unlink(missing_ok=True)
        if self._reserved is not None:
            self._reserved.close()
        self._socket.close()


def notice_lost_peer(connection: socket.socket) -> None:
    """Let the kernel find out within half a minute that the peer of a TCP connection is gone for good.

    A laptop that sleeps or has lost its network says nothing. Its session would be held, and its requests paused,
    until the window's end.
    """
    options = {"TCP_NODELAY": 1, "TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
    with suppress(OSError):  # It is gone already.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            if hasattr(socket, name):  # Not all of them are there on every system.
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _listening(listener: socket.socket, address: Any) -> socket.socket:
    listener.bind(address)
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener


def _identity(path: Path | None) -> tuple[int, int] | None:
    """What tells this file from another one that is at the same path later."""
    with suppress(OSError):
        if path is not None:
            found = path.lstat()
            return found.st_dev, found.st_ino
    return None


def _remove_leftover(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise OSError(errno.EEXIST, f"{path} is there already, and is no socket of this user's")
    with socket.socket(socket.AF_UNIX) as probe, within_reach(path) as address:
        if probe.connect_ex(address) == 0:
            raise OSError(errno.EADDRINUSE, f"Another process listens on {path}")
    path.unlink()
