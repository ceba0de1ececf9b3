"""A client that is not ours, driven by a script in a process of its own that tells of its steps, a line of JSON each."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self


class ClientScript:
    """The process, and the steps that it tells of. It is killed after half a minute.

    :param environ: further variables.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        self._name = command[0]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | dict(environ or {}),
            text=True,
        )
        self._patience = threading.Timer(30, self._process.kill)
        self._patience.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._patience.cancel()
        self._process.kill()
        self._process.communicate()

    def step(self, name: str) -> dict[str, Any]:
        """Wait for the next step, which has to be ``name``."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        assert line, f"{self._name} ended before {name!r}: {self._process.stderr.read()}"
        step = dict(json.loads(line))
        assert step.pop("step") == name, step
        return step

    def ended(self) -> int:
        return self._process.wait(10)
