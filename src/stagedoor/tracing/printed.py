"""What an evaluation in the console prints: caught on its own thread, and on no other.

pydevd puts something in the place of ``sys.stdout`` and ``sys.stderr`` while it evaluates, for the whole process, and under
one lock: a visitor's ``print`` would land in a developer's console, and a long evaluation hold up the next one. What stands
there here hands on what other threads print, and nobody waits.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from stagedoor import forking

from .internals import Internals

#: By thread, what takes the text that it prints, with ``1`` for stdout and ``2`` for stderr.
Takers = dict[int, Callable[[str, int], None]]


class Printed:
    """What evaluations print. Put in pydevd's place by :meth:`restrict`, and back by :meth:`restore`.

    :param internals: pydevd.
    """

    def __init__(self, internals: Internals) -> None:
        self._internals = internals
        self._context = internals.io.redirect_stream_to_pydb_io_messages_context
        self._warnings = internals.filter_all_warnings
        self._lock = threading.Lock()
        self._takers: Takers = {}
        self._evaluations = 0
        forking.register(self, forking.Turn.TRACING)

    def restrict(self) -> None:
        """Let pydevd's evaluations catch what they print here."""
        self._internals.io.redirect_stream_to_pydb_io_messages_context = self.caught
        # Python has one list of what to warn of for all threads. Two evaluations at a time would leave it changed.
        self._internals.set_filter_all_warnings(nullcontext)

    def restore(self) -> None:
        """Take back :meth:`restrict`."""
        self._internals.io.redirect_stream_to_pydb_io_messages_context = self._context
        self._internals.set_filter_all_warnings(self._warnings)
        _take_back()

    @contextmanager
    def caught(self) -> Iterator[None]:
        """While the block runs, what the calling thread prints goes to the client as well."""
        ident = threading.get_ident()
        before = self._takers.get(ident)
        self._takers[ident] = self._send
        with self._lock:
            self._evaluations += 1
            for name, kind in (("stdout", 1), ("stderr", 2)):
                if not isinstance(getattr(sys, name), _Stream):
                    setattr(sys, name, _Stream(getattr(sys, name), kind, self._takers))
        try:
            yield
        finally:
            with self._lock:
                self._evaluations -= 1
                if not self._evaluations:
                    _take_back()
            if before is None:
                self._takers.pop(ident, None)
            else:
                self._takers[ident] = before

    def _send(self, text: str, kind: int) -> None:
        debugger = self._internals.pydevd.get_global_debugger()
        if debugger is not None and text:
            debugger.writer.add_command(debugger.cmd_factory.make_io_message(text, kind))

    def forget_in_child(self) -> None:
        self._lock = threading.Lock()
        self._takers.clear()


def _take_back() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        # Somebody may have put another one there meanwhile.
        if isinstance(stream, _Stream):
            setattr(sys, name, stream._original)


class _Stream:
    """Stands for a stream, and is it for all threads but those that evaluate. Whoever keeps it has the stream."""

    def __init__(self, original: Any, kind: int, takers: Takers) -> None:
        self._original = original
        self._kind = kind
        self._takers = takers

    def write(self, text: Any) -> Any:
        written = self._original.write(text) if self._original is not None else None
        taker = self._takers.get(threading.get_ident())
        if taker is not None:
            if isinstance(text, bytes):
                taker(text.decode(getattr(self._original, "encoding", None) or "utf-8", "replace"), self._kind)
            elif isinstance(text, str):
                taker(text, self._kind)
        return written

    def writelines(self, lines: Iterable[Any]) -> None:
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> Any:
        buffer = self._original.buffer
        return _Stream(buffer, self._kind, self._takers) if threading.get_ident() in self._takers else buffer

    def __iter__(self) -> Iterator[Any]:
        return iter(self._original)

    def __enter__(self) -> Any:
        return self._original.__enter__()

    def __exit__(self, *error: Any) -> Any:
        return self._original.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)
