"""Waking a thread that waits for descriptors."""

from __future__ import annotations

import os
import threading
from contextlib import suppress


class Waker:
    """A descriptor that becomes readable when another thread wakes its reader."""

    def __init__(self) -> None:
        # Held while it is written to: a descriptor that is closed meanwhile may be the application's next file.
        self._lock = threading.Lock()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)

    def fileno(self) -> int:
        return self._reading

    def wake(self) -> None:
        with self._lock, suppress(OSError):
            os.write(self._writing, b".")

    def reset(self) -> None:
        with suppress(OSError):
            os.read(self._reading, 4096)

    def close(self) -> None:
        with self._lock:
            self._close()

    def forget_in_child(self) -> None:
        """In a forked child: closed there, and the lock may be held by a thread that the child does not have."""
        self._lock = threading.Lock()
        self._close()

    def _close(self) -> None:
        for descriptor in (self._reading, self._writing):
            with suppress(OSError):
                os.close(descriptor)
        self._reading = self._writing = -1
