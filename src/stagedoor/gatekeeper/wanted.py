"""What one session wants of every debugger: its breakpoints, and the errors on which its requests stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from stagedoor.dap import wire
from stagedoor.dap.ids import OWN, IdTable
from stagedoor.dap.paths import PathMappings
from stagedoor.dap.wire import Message

from . import breakpoints
from .breakpoints import Breakpoint
from .tally import PER_BREAKPOINT

Entries = Iterable[Mapping[str, Any]]


class Wanted:
    """What one session wants.

    :param key: the session's.
    :param settings: its ``attach`` as it goes on to pydevd: how values are shown, what counts as the developer's own code.
    :param ids: the session's numbers.
    :param paths: how its client calls the server's files.
    :param send: sends its client a message.
    :param instrumented: is told of breakpoints that are set: their file, which is ``None`` for functions, what they are
        and what they replace, as DAP writes them.
    """

    def __init__(
        self,
        key: str,
        settings: Mapping[str, Any],
        ids: IdTable,
        paths: PathMappings,
        send: Callable[[Message], None],
        instrumented: Callable[[str | None, Entries, Entries], None] = lambda path, entries, before: None,
    ) -> None:
        self.key = key
        self.settings = settings
        #: The kinds of errors on which its requests stop, as ``setExceptionBreakpoints`` names them.
        self.filters: list[str] = []
        self.functions: list[Breakpoint] = []
        self._ids = ids
        self._paths = paths
        self._send = send
        self._instrumented = instrumented
        self._files: dict[str, list[Breakpoint]] = {}
        self._by_number: dict[int, Breakpoint] = {}
        #: Bytes that they take, about.
        self.size = 0

    def files(self) -> list[str]:
        """The files on this server in which it has breakpoints."""
        return list(self._files)

    def in_file(self, path: str) -> Sequence[Breakpoint]:
        """Its breakpoints in one of them."""
        return self._files.get(path, ())

    def set_breakpoints(self, arguments: Mapping[str, Any]) -> tuple[str, list[Breakpoint]]:
        """Take over a ``setBreakpoints``; returns the file on this server, and the breakpoints."""
        source = dict(arguments["source"])
        named = str(source.get("path", ""))
        path = self._paths.to_server(named)
        found = [self._new(entry, path, source) for entry in arguments.get("breakpoints") or ()]
        before = self._files.pop(path, [])
        self._instrumented(path, [each.entry for each in found], [each.entry for each in before])
        self._replace(before)
        if found:
            self._files[path] = found
        return path, found

    def set_functions(self, arguments: Mapping[str, Any]) -> list[Breakpoint]:
        """Take over a ``setFunctionBreakpoints``."""
        before = self.functions
        self._replace(before)
        self.functions = [self._new(entry) for entry in arguments.get("breakpoints") or ()]
        self._instrumented(None, [each.entry for each in self.functions], [each.entry for each in before])
        return self.functions

    def moved(self, paths: PathMappings) -> set[str]:
        """Its client's files are elsewhere on this server; returns where something has changed."""
        before, self._paths = self._files, paths
        self._files = {}
        for found in before.values():
            for each in found:
                each.path = paths.to_server(str((each.source or {}).get("path", "")))
                self._files.setdefault(each.path, []).append(each)
                self._look(each)
        changed = {path for path in {*before, *self._files} if before.get(path) != self._files.get(path)}
        self.tell(each for path in changed for each in self.in_file(path))
        return changed

    def known(self, found: Iterable[Breakpoint]) -> list[dict[str, Any]]:
        """What its client is told of them; from now on it hears of changes."""
        told = []
        for each in found:
            each.is_known = True
            told.append(each.told())
        return told

    def tell(self, changed: Iterable[Breakpoint]) -> None:
        """Its client has something to learn of these breakpoints of its."""
        for each in changed:
            if each.is_known:
                self._send(wire.event("breakpoint", {"reason": "changed", "breakpoint": each.told()}))

    def confirm(self, worker: str, each: Breakpoint, answer: Mapping[str, Any]) -> None:
        """A worker says something of one of this session's breakpoints, unless that has been taken back since."""
        if self._by_number.get(each.id) is each:
            changed = breakpoints.take(worker, each, answer)
            self._ids.also(each.id, worker, each.confirmed[worker].inner)
            self.tell([each] if changed else ())

    def called(self, worker: str, inner: object) -> Breakpoint | None:
        """The breakpoint that a worker calls ``inner``, if it is one of this session's."""
        number = self._ids.known(worker, "breakpoint", inner) if type(inner) is int else None
        return self._by_number.get(number) if number is not None else None

    def parted(self, worker: str) -> None:
        """A worker's debugger has gone."""
        self.tell(breakpoints.forget(worker, self._all()))

    def _all(self) -> list[Breakpoint]:
        return [each for found in (*self._files.values(), self.functions) for each in found]

    def _new(self, entry: Mapping[str, Any], path: str | None = None, source: Message | None = None) -> Breakpoint:
        # Not by what it is: the client takes one that is set anew as another one.
        number = self._ids.given(OWN, "breakpoint", object())
        each = Breakpoint(self.key, number, dict(entry), path, source)
        self._look(each)
        self._by_number[number] = each
        self.size += _size(each)
        return each

    def _look(self, each: Breakpoint) -> None:
        if each.path is not None:
            named = str((each.source or {}).get("path", ""))
            each.trouble = breakpoints.missing(each.path, named, is_mapped=self._paths.to_server(named) != named)

    def _replace(self, found: Iterable[Breakpoint]) -> None:
        for each in found:
            self._ids.forget("breakpoint", each.id)
            del self._by_number[each.id]
            self.size -= _size(each)


def _size(each: Breakpoint) -> int:
    return PER_BREAKPOINT + sum(len(text) for text in each.entry.values() if isinstance(text, str))
