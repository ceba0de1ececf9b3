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

import stagedoor

TESTS = Path(__file__).resolve().parent.parent
SOURCE = Path(stagedoor.__file__).resolve().parent.parent
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

    Python, Stagedoor and these tests may lie where other users can't look (root's home, a directory of ``mktemp -d``)
    or below the ``/tmp`` that a process has for itself. Then they are bound to their places anew, for other users to
    read: within the processes' namespaces, and nowhere else.
    """

    def __init__(self) -> None:
        # Not below /tmp, which some of the processes have for themselves.
        self.folder = Path(tempfile.mkdtemp(prefix="stagedoor-tests-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self._behind = self.directory("behind", 0, 0o755)

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
        if inside is None:
            steps += self._covered({Path("/tmp"): "1777"} if private_tmp else {})
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

    def _covered(self, empty: dict[Path, str]) -> list[str]:
        """The steps of a shell that cover directories with empty ones, and bind again what is needed of them.

        :param empty: the directories, and their modes; those that others can't look into are covered as well.
        """
        hidden = [folder for place in _NEEDED for folder in place.parents if not folder.stat().st_mode & 0o001]
        covers = dict.fromkeys(hidden, "755") | empty
        below = [place for place in _NEEDED if covers.keys() & set(place.parents)]
        kept = {place: self._behind / str(number) for number, place in enumerate(below)}
        for place in kept.values():
            place.mkdir(exist_ok=True)
        outer = [folder for folder in covers if not covers.keys() & set(folder.parents)]
        return [
            *(f"mount --bind {place} {behind}" for place, behind in kept.items()),
            *(f"mount -t tmpfs -o mode={covers[folder]} tmpfs {folder}" for folder in outer),
            *(f"mkdir -p {place} && mount --bind {behind} {place}" for place, behind in kept.items()),
        ]


def _needed() -> list[Path]:
    """Where what Python needs lies, none within another, by each name that it has."""
    names = (sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix), str(TESTS), str(SOURCE))
    places = {Path(name) for name in names}
    return sorted(place for place in places if not places & set(place.parents))


_NEEDED = _needed()
