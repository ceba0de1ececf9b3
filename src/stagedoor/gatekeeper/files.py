"""The files that one session was shown: their modules, their sources, and places to jump to."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stagedoor.dap import wire
from stagedoor.dap.ids import OWN, IdTable
from stagedoor.dap.paths import PathMappings
from stagedoor.dap.wire import Message

from .tally import PER_MODULE

#: How many places to jump to a session has at the same time.
_TARGETS = 16


class SourceRefused(Exception):
    """With the sentence."""


class Files:
    """What the gatekeeper, which runs on the server, answers of files itself.

    :param ids: the session's numbers.
    :param paths: how its client calls the server's files.
    """

    def __init__(self, ids: IdTable, paths: PathMappings) -> None:
        self.paths = paths
        self._ids = ids
        self._modules: dict[str, Message] = {}
        self._targets: deque[int] = deque()
        #: Bytes that the modules take, about.
        self.size = 0

    def module(self, body: Mapping[str, Any]) -> Message | None:
        """The event with which the session hears of a module, once, however many workers have it."""
        module = body.get("module")
        if not isinstance(module, dict) or (path := str(module.get("path"))) in self._modules:
            return None
        shown = {**module, "id": self._ids.given(OWN, "module", path), "path": self.paths.to_client(path)}
        self._modules[path] = shown
        self.size += PER_MODULE + len(path)
        return wire.event("module", {"reason": "new", "module": shown})

    def modules(self) -> list[Message]:
        """All of them."""
        return list(self._modules.values())

    def source(self, arguments: Mapping[str, Any]) -> str:
        """The text of a file that the session was shown and its client has not.

        :param arguments: of ``source``, with the server's path as the reference.
        :raises SourceRefused: if there is none.
        """
        path = (arguments.get("source") or {}).get("sourceReference") or arguments.get("sourceReference")
        if not isinstance(path, str):
            raise SourceRefused("A source without a reference is a file of your own.")
        try:
            return Path(path).read_text(errors="replace")
        except OSError as error:
            raise SourceRefused(f"{path} can't be read on the server: {error.strerror}.") from error
        except ValueError as error:  # Code can be compiled under any name.
            raise SourceRefused(f"{path!r} can't be the name of a file.") from error

    def goto_target(self, path: str, line: int) -> Message:
        """A place to jump to: pydevd gives it a number of its own in each worker."""
        number = self._ids.given(OWN, "goto", (path, line))
        # It is asked for right before the jump.
        if number not in self._targets:
            self._targets.append(number)
            if len(self._targets) > _TARGETS:
                self._ids.forget("goto", self._targets.popleft())
        return {"id": number, "label": f"{self.paths.to_client(path)}:{line}", "line": line}
