"""A lock in a file, of which one process of a user's has the lock at a time."""

from __future__ import annotations

import os
from pathlib import Path

from stagedoor import forking
from stagedoor.errors import DebuggerError


class FileLock:
    """A lock that this process has.

    Its descriptor is not given to processes that this one starts. A child that the application forks closes its own, and
    as that is not at once, it is unlocked and not only closed.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        forking.register(self)

    @classmethod
    def take(cls, path: Path) -> FileLock | None:
        """The lock of the file at ``path``, which is made; ``None`` if another process, or this one, has it.

        :raises DebuggerError: if there can be no lock there, as on a file system that has none.
        :raises ImportError: where the system has no such locks.
        """
        import fcntl

        try:
            while True:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                        return cls(descriptor)
                except FileNotFoundError:
                    pass
                except BlockingIOError:
                    os.close(descriptor)
                    return None
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)  # It was removed meanwhile, and locks nothing any more.
        except OSError as error:
            raise DebuggerError(
                f"The lock {path} can't be had: {error.strerror}.",
                f"See to it that this user can write to {path.parent}, and that its file system has locks (flock).",
            ) from error

    def release(self) -> None:
        """Let others have it."""
        import fcntl

        # Not only closed: a child that was forked meanwhile has the descriptor too, and would keep the lock.
        descriptor, self._descriptor = self._descriptor, -1
        try:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def forget_in_child(self) -> None:
        """In a forked child: the lock is the parent's, and is not held when that has been killed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
