"""Who may start the gatekeeper of a control socket, or remove what one has left: one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .config import GatekeeperConfig


@contextmanager
def start_lock(path: Path) -> Iterator[bool]:
    """Whether this process may start the gatekeeper of the control socket at ``path`` now; released when it has."""
    descriptor = _locked(lock_path(path))
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        # Not only closed: a child that was forked meanwhile has the descriptor too, and would keep the lock.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


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


def _locked(path: Path) -> int | None:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)  # It was removed meanwhile, and locks nothing any more.
