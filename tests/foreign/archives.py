"""The source archives on the package index: fetched with pip, unpacked, looked into for tests."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

from foreign.suites import NEEDED, Suite

_PATIENCE = 300


class NotToBeHad(Exception):
    """A suite can't be run; the message says why, a sentence."""


def unpacked(suite: Suite, folder: Path) -> Path:
    """The folder in which a suite runs, fetched into ``folder`` if it is not there.

    :raises NotToBeHad: if the archive can't be had or carries no tests.
    """
    if not suite.distribution:
        return folder
    try:
        wanted = f"{suite.distribution}=={metadata.version(suite.distribution)}"
    except metadata.PackageNotFoundError:
        raise NotToBeHad(f"{suite.distribution} is not installed here, so there is no version to test.") from None
    target = folder / wanted
    if not target.exists():
        fetched = folder / f"fetched-{wanted}"
        # Not ":all:", which has pip compile the build tools as well.
        _pip(
            "download", "--no-deps", "--no-binary", suite.distribution, "--dest", str(fetched), wanted,
            what=f"The source archive of {wanted}",
        )  # fmt: skip
        (archive,) = fetched.iterdir()
        if not archive.name.endswith(".tar.gz"):
            raise NotToBeHad(f"{wanted} has no source archive that can be unpacked, only {archive.name}.")
        with tarfile.open(archive) as tar:
            tar.extractall(fetched, filter="data")
        next(entry for entry in fetched.iterdir() if entry.is_dir()).rename(target)
    if suite.folder == "." and not any((target / name).is_dir() for name in ("tests", "test")):
        raise NotToBeHad(f"The source archive of {wanted} carries no tests.")
    if not (target / suite.folder).is_dir():
        raise NotToBeHad(f'The source archive of {wanted} carries no folder "{suite.folder}".')
    return target / suite.folder


def needed(folder: Path) -> Path:
    """A folder with what the suites import beside what is installed."""
    target = folder / f"needed-{sys.version_info.major}.{sys.version_info.minor}"
    if not target.exists():
        _pip("install", "--target", str(target), *NEEDED, what="What the suites need")
    return target


def _pip(command: str, *arguments: str, what: str) -> None:
    line = [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *arguments]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"{what} did not come within {_PATIENCE} s.") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise NotToBeHad(f"{what} can't be had: {last}")
