"""A module that something else may load: now, later, or never."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class Arrival:
    """Waits for a module without loading it.

    :param name: the module's full name.
    :param arrived: called with it, once, on the thread that has loaded it and before that goes on. Its errors are nobody's.
    """

    def __init__(self, name: str, arrived: Callable[[Any], None]) -> None:
        self._name = name
        self._arrived = arrived

    def wait(self) -> None:
        """Call ``arrived`` now if the module is loaded, or as soon as it is."""
        if self._name in sys.modules:
            # Another thread may be loading it just now: this waits until it is whole.
            with suppress(Exception):
                self._tell(importlib.import_module(self._name))
        else:
            sys.meta_path.insert(0, self)

    def give_up(self) -> None:
        """Wait no longer."""
        with suppress(ValueError):
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Part of the import system, which asks this for each module that is loaded meanwhile."""
        if name != self._name:
            return None
        spec = PathFinder.find_spec(name, path, target)
        loader: Any = spec.loader if spec is not None else None
        if loader is None:
            return None
        load = loader.exec_module

        def load_and_tell(module: ModuleType) -> None:
            del loader.exec_module
            load(module)
            self.give_up()
            self._tell(module)

        loader.exec_module = load_and_tell
        return spec

    def _tell(self, module: ModuleType) -> None:
        with suppress(Exception):
            self._arrived(module)
