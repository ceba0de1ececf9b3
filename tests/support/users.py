"""Processes of other users, in mount namespaces of their own: what only root can start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
_TOOLS = ("unshare", "nsenter", "setpriv", "mount")


def why_not() -> str | None:
    """Why such processes can't be started here, a sentence, or ``None``."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "Only root on Linux can start processes of other users in mount namespaces."
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"{', '.join(missing)} of util-linux is not installed."
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"No mount namespace can be made here: {tried.stderr.strip()}"


class Machine:
    """A folder that every user can look into, and processes that see it.

    An interpreter in root's own home is bound to a place where others can reach it: within the processes' namespaces,
    and nowhere else.
    """

    def __init__(self) -> None:
        # Not below /tmp, which some of the processes have for themselves.
        self.folder = Path(tempfile.mkdtemp(prefix="stagedoor-tests-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self._home = self.folder / "root"
        self._hidden = self._interpreter_below_a_hidden_home()
        if self._hidden is not None:
            (self._home / self._hidden.name).mkdir(parents=True)

    def directory(self, name: str, uid: int, mode: int = 0o700) -> Path:
        """A directory of a user's."""
        path = self.folder / name
        path.mkdir(mode=mode)
        path.chmod(mode)
        os.chown(path, uid, uid)
        return path

    def start(
        self,
        uid: int,
        *arguments: str,
        environ: Mapping[str, str],
        private_tmp: bool = False,
        inside: int | None = None,
        **keywords: Any,
    ) -> subprocess.Popen[str]:
        """Run Python as a user.

        :param private_tmp: with a ``/tmp`` of its own, as systemd's ``PrivateTmp=yes`` gives it.
        :param inside: a process that was started here, with which it shares what it sees.
        :param keywords: for :class:`subprocess.Popen`.
        """
        steps = ["set -e"]
        if self._hidden is not None and inside is None:
            place = self._home / self._hidden.name
            steps += [f"mount --bind {self._hidden} {place}", f"mount --rbind {self._home} {self._hidden.parent}"]
        if private_tmp:
            steps += ["mount -t tmpfs -o mode=1777 tmpfs /tmp"]
        steps.append(f'exec setpriv --reuid {uid} --regid {uid} --clear-groups {sys.executable} "$@"')
        namespace = (
            ["unshare", "-m", "--propagation", "private"] if inside is None else ["nsenter", "-m", "-t", str(inside)]
        )
        return subprocess.Popen(
            [*namespace, "sh", "-c", "\n".join(steps), "sh", *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1", **environ},
            text=True,
            cwd="/",
            **keywords,
        )

    def run(self, uid: int, *arguments: str, **keywords: Any) -> subprocess.CompletedProcess[str]:
        """The same, and wait for its end."""
        process = self.start(uid, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **keywords)
        try:
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    @staticmethod
    def _interpreter_below_a_hidden_home() -> Path | None:
        """The part of a directory that others can't look into which the interpreter is in."""
        parts = Path(sys.executable).resolve().parents
        hidden = [folder for folder in parts if not folder.stat().st_mode & 0o001]
        if not hidden:
            return None
        return next(folder for folder in parts if folder.parent == hidden[-1])
