"""A release of debugpy that is not known is proved before it is trusted: once for it and this Python, on this host.

The self-test runs in a process of its own, and its result is kept in the user's runtime directory. Whoever can write
there is this user, who can do all that the application can, or root: the file is believed as the switch file is, by the
owner and the mode of what was opened. It is believed for the very files that were tested, by size and time.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from stagedoor import forking
from stagedoor.control.file_lock import FileLock
from stagedoor.errors import DebuggerError, SwitchError
from stagedoor.switches import default_path
from stagedoor.switches.private_file import PrivateFile
from stagedoor.tracing import REMEDY, Release, trust

from .selftest_process import SelfTest

#: Seconds that the self-test may take; it takes 2 to 4 on a machine that is not busy.
PATIENCE = 60.0
#: Seconds for which a failure is believed: the machine may have been too busy.
FAILED_FOR = 600.0

#: What requests are told meanwhile, after the release.
TESTED_FIRST = "is new to Stagedoor, which tests it first: try again in some seconds"

_CAP = 64 * 1024


class Proof:
    """The proof of a release.

    :param release: the installed one, which is to be proved.
    :param patience: seconds that the self-test may take.
    """

    def __init__(self, release: Release, patience: float = PATIENCE) -> None:
        self.version = release.version
        #: What the log says once it has passed.
        self.passed = ""
        self._folder = Path(release.file).parent
        self._test: SelfTest | None = None
        self._lock: FileLock | None = None
        self._patience = patience
        self._until = time.monotonic() + patience
        self._key = self._make_key()
        digest = hashlib.sha256(json.dumps(self._key).encode()).hexdigest()[:16]
        path = default_path().with_name(f"debugpy-{digest}.json")
        self._file = PrivateFile(path, f"what is kept of the self-test ({path})")
        forking.register(self)

    @property
    def sentence(self) -> str:
        """What requests are told meanwhile."""
        return f"debugpy {self.version} {TESTED_FIRST}"

    def go_on(self) -> bool:
        """Go on with it, for a moment; returns whether it has passed. To be called again until it has.

        :raises DebuggerError: why the release is refused.
        """
        if self._test is not None:
            result = self._test.result()
            if result is None:
                return False
            self._keep(result)
            return self._judge(result, "it has just passed")
        # Another worker's test may hang, or its lock may be in a forked child: then this one tests all the same.
        is_its_turn = self._take_lock() or time.monotonic() > self._until
        kept = self._kept()
        if kept is not None:
            return self._judge(kept, f"{self._file.path} says that it has passed")
        if is_its_turn:
            self._test = SelfTest(self._folder, self._patience)
        return False

    def close(self) -> None:
        """End the self-test, if it runs."""
        if self._test is not None:
            self._test.close()
        if self._lock is not None:
            with suppress(OSError):
                self._lock.release()
            self._lock = None

    def forget_in_child(self) -> None:
        """In a forked child: its descriptors are closed there. The lock is the parent's, and the test its child."""
        if self._test is not None:
            self._test.forget_in_child()
        if self._lock is not None:
            self._lock.forget_in_child()
            self._lock = None

    def _judge(self, result: dict[str, Any], passed: str) -> bool:
        about = f"debugpy {self.version} is not a release that Stagedoor knows"
        failed = result["failed"]
        if result.get("unclear"):
            raise DebuggerError(f"{about}, and it could not be tested: {result['unclear']}.", REMEDY)
        if failed:
            fact, seen = next(iter(failed.items()))
            raise DebuggerError(f'{about}, and on this Python it fails the self-test "{fact}": {seen}.', REMEDY)
        self.passed = f"{about}; {passed} the self-test on Python {platform.python_version()}"
        trust(self.version)
        return True

    def _make_key(self) -> dict[str, str]:
        stagedoor = Path(__file__).parent.parent
        try:
            version = importlib.metadata.version("stagedoor")
        except importlib.metadata.PackageNotFoundError:
            version = "unknown"
        return {
            "debugpy": f"{self.version} in {self._folder}",
            "debugpy's files": _fingerprint(self._folder),
            "python": f"{sys.implementation.name} {sys.version}",
            "stagedoor": version,
            "stagedoor's files": _fingerprint(stagedoor / "tracing"),
        }

    def _kept(self) -> dict[str, Any] | None:
        try:
            content = self._file.read(_CAP)
            kept = json.loads(content) if content is not None else None
            if kept is None or kept["key"] != self._key or type(kept["failed"]) is not dict:
                return None
            is_recent = 0 <= time.time() - kept["at"] < FAILED_FOR
        except (SwitchError, ValueError, KeyError, TypeError):
            return None  # Whatever it is, it proves nothing.
        return kept if is_recent or not kept["failed"] else None

    def _keep(self, result: dict[str, Any]) -> None:
        if not result.get("unclear"):
            kept = {"key": self._key, "at": time.time(), "failed": result["failed"]}
            # Where it can't be kept, each process tests for itself.
            with suppress(SwitchError, OSError):
                self._file.write(json.dumps(kept).encode())

    def _take_lock(self) -> bool:
        """Whether it is for this process to test; also where there can be no lock."""
        if self._lock is not None:
            return True
        path = self._file.path.with_suffix(".lock")
        try:
            with suppress(FileExistsError):
                os.mkdir(path.parent, 0o700)
            self._lock = FileLock.take(path)
        except (ImportError, OSError, DebuggerError):
            return True
        return self._lock is not None


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            status = os.stat(os.path.join(place, name))
            digest.update(f"{os.path.relpath(place, folder)}/{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
