"""Where a control socket is, and whose: it is ``0600`` in a directory of ``0700``, and the kernel tells who its peer is."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stagedoor.errors import ConfigurationError, StagedoorError

#: The longest path of a Unix socket, in bytes, on every system (macOS has room for 104).
PATH_CAP = 100

#: Where a process finds its own descriptors as files, on Linux.
_DESCRIPTORS = "/proc/self/fd"


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


def _is_too_long(path: Path) -> bool:
    return len(os.fsencode(path)) > PATH_CAP


def _too_long(where: str) -> tuple[str, str]:
    problem = f"is too long: a Unix socket {where} would have a path of more than {PATH_CAP} bytes"
    return problem, "Choose a shorter one."
