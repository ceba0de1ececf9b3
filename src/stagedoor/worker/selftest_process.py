"""The process in which a release of debugpy is tested (:mod:`stagedoor.tracing.selftest`)."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from .interpreter import kill_process, python_executable, start_process

_CAP = 64 * 1024


class SelfTest:
    """The self-test's process.

    :param debugpy: the folder of the debugpy that is tested.
    :param patience: seconds that it may take.
    """

    def __init__(self, debugpy: Path, patience: float) -> None:
        self._debugpy = debugpy
        self._patience = patience
        self._until = time.monotonic() + patience
        self._folder = tempfile.mkdtemp(prefix="stagedoor-selftest-")
        try:
            # No pipe: a child that the application forks meanwhile would keep that open.
            self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
            command = _command(debugpy, self._folder)
            self._process = start_process(command, stdin=subprocess.DEVNULL, output=self._said)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def result(self) -> dict[str, Any] | None:
        """What it has found, once it has ended: ``failed``, or ``unclear`` with a reason."""
        if self._process.poll() is None:
            if time.monotonic() < self._until:
                return None
            unclear = f"the test did not end within {self._patience:g} s"
        else:
            unclear = ""
        self._end()
        self._said.seek(0)
        lines = self._said.read(_CAP).decode(errors="replace").strip().splitlines() or ["it said nothing"]
        self.close()
        try:
            found = json.loads(lines[-1])
            failed = dict(found["failed"])
        except (ValueError, KeyError, TypeError):
            return {"failed": {}, "unclear": unclear or f"the test could not run: {lines[-1][:300]}"}
        if not failed and Path(found["file"]).parent != self._debugpy:
            unclear = f"the test found {found['file']}, and not {self._debugpy}"
        elif not failed and found["python"] != sys.version:
            unclear = f"the test ran on Python {found['python']}, and the application runs on {sys.version}"
        return {"failed": failed, "unclear": unclear}

    def close(self) -> None:
        self._end()
        self._said.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def forget_in_child(self) -> None:
        self._said.close()

    def _end(self) -> None:
        kill_process(self._process)
        self._process.wait()


#: The standard library first, as in this process: a folder in ``PYTHONPATH`` would come before it.
_BOOT = """\
import runpy, sys
sys.path += sys.argv[2:]
del sys.argv[2:]
runpy.run_module("stagedoor.tracing.selftest", run_name="__main__")
"""


def _command(debugpy: Path, folder: str) -> list[str]:
    """What runs the self-test with nothing of the application's around it, but with this process's own packages, in this
    process's order: the interpreter may not find them by itself where the server is not Python.
    """
    origins = [spec.origin for name in ("stagedoor", "netaddr") if (spec := importlib.util.find_spec(name))]
    folders = {str(debugpy.parent), *(str(Path(origin).parent.parent) for origin in origins if origin)}
    order = [os.path.abspath(entry) for entry in sys.path]
    ordered = sorted(folders, key=lambda each: order.index(each) if each in order else -1)
    return [python_executable(), "-I", "-S", "-B", "-c", _BOOT, folder, *ordered]
