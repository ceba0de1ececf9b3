"""Who may start the gatekeeper of a control socket, or remove what one has left: one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .config import GatekeeperConfig
from .file_lock import FileLock


@contextmanager
def start_lock(path: Path) -> Iterator[bool]:
    """Whether this process may start the gatekeeper of the control socket at ``path`` now; released when it has.

    :raises DebuggerError: if there can be no lock there.
    """
    lock = FileLock.take(lock_path(path))
    if lock is None:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def lock_path(path: Path) -> Path:
    """The lock of the control socket at ``path``. Whoever holds it may remove it: :func:`clear_away`."""
    return path.with_suffix(".lock")


def clear_away(config: GatekeeperConfig) -> None:
    """Remove the lock of a gatekeeper that is gone, and the directory where that is the switch's own. Never raises.

    For whoever holds the lock, and last of all: from here on another process may have it.
    """
    control = Path(config.control)
    with suppress(OSError):
        lock_path(control).unlink(missing_ok=True)
        if config.switch_path is not None:
            control.parent.rmdir()  # Not while something else of the window's is in it.
