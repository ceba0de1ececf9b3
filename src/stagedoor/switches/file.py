"""The file switch: a window in a JSON file that only the application's own user can have written.

The file, at most 64 KiB of UTF-8, holds one object with exactly these keys::

    {
      "version": 1,
      "opened_at": "2026-11-22T17:30:00.250000+00:00",
      "expires_at": "2026-11-22T18:00:00.250000+00:00",
      "opened_by": "alice@staging",
      "token": "5xX...43 characters"
    }
"""

from __future__ import annotations

import errno
import glob
import json
import os
import shlex
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from stagedoor.access.decision import TOKEN_SHOWN
from stagedoor.errors import ConfigurationError, SwitchError, WindowRefused
from stagedoor.window.document import KEYS, dump_window, load_window
from stagedoor.window.lifetime import CLOCK_TOLERANCE
from stagedoor.window.window import (
    SYSTEM_CLOCK,
    Clock,
    Window,
    format_duration,
    format_time,
)

from .base import Switch
from .private_file import PrivateFile, own_directory, user_name

_SIZE_LIMIT = 64 * 1024
_VERSION = 1
_KEYS = sorted([*KEYS, "version"])


class FileSwitch(Switch):
    """Holds the window in a file, for the command ``stagedoor open`` and every process of the application.

    The application and the command must run as the same user: see :class:`~.private_file.PrivateFile` for
    what is refused and why. A missing file is a closed window. Only :meth:`open` ever makes a file or a
    directory. When two processes open or close at the same moment the last one counts, whole.

    :param path: an absolute path; :func:`default_path` by default.
    :param max_window: the longest window that is opened or believed.
    :param clock: the clock seam.
    :raises ConfigurationError: if ``path`` is not an absolute path of a file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        max_window: timedelta,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(max_window=max_window, clock=clock)
        self.path = default_path() if path is None else checked_path(path, "switch")
        self.name = f"the file switch {self.path}"
        self.token_shown = TOKEN_SHOWN
        self._file = PrivateFile(self.path, self.name)

    def read(self) -> Window | None:
        content = self._file.read(_SIZE_LIMIT)
        if content is None:
            return None
        try:
            window = _load(content)
        except ValueError as error:
            remedy = (
                f'Remove it with "stagedoor close --switch {shlex.quote(str(self.path))}", then open a window again.'
            )
            raise SwitchError(self.name, str(error), remedy) from error
        now = self.clock.now()
        if window.expires_at <= now:
            return None
        length = window.expires_at - window.opened_at
        if length > self.max_window:
            raise SwitchError(
                self.name,
                f"holds a window of {format_duration(length)}, and the longest allowed here is "
                f"{format_duration(self.max_window)} (max_window)",
                "Close it and open a shorter one, or raise max_window (STAGEDOOR_MAX_WINDOW).",
            )
        if window.opened_at > now + CLOCK_TOLERANCE:
            raise SwitchError(
                self.name,
                f"holds a window that was opened at {format_time(window.opened_at)}, which is still to come: the "
                "clock was set back",
                "Set the clock right, or close the window and open a new one.",
            )
        return window

    def open(self, for_: timedelta, *, opened_by: str) -> Window:
        window = self._next_window(self.read(), for_, opened_by)
        try:
            self._file.write(_dump(window))
        except OSError as error:
            raise WindowRefused(
                f"The window can't be opened: {self.path} can't be written: {error.strerror}.",
                "Make room there."
                if error.errno in (errno.ENOSPC, errno.EDQUOT)
                else "Set STAGEDOOR_SWITCH, here and for the application, to a file that its user can write.",
            ) from error
        return window

    def close(self) -> bool:
        """Close the window by removing the file, also one that can't be trusted if it is this user's own.

        :raises WindowRefused: if the file can't be removed.
        :raises SwitchError: if it is not this user's, or its directory can't be trusted.
        """
        try:
            was_open = self.read() is not None
        except SwitchError:
            if not self._file.is_own():
                raise
            was_open = False
        try:
            self._file.remove()
        except OSError as error:
            raise WindowRefused(
                f"The window can't be closed: {self.path} can't be removed: {error.strerror}.",
                "It ends at its time all the same. Where that is too late, stop the application.",
            ) from error
        return was_open


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the file is if nobody says: ``$XDG_RUNTIME_DIR/stagedoor/window.json``, else
    ``stagedoor-<uid>/window.json`` in the temporary directory.

    A relative ``XDG_RUNTIME_DIR`` is ignored, as the XDG Base Directory Specification asks. The temporary
    directory is ``TMPDIR`` (or ``TEMP``, or ``TMP``) or ``/tmp``; :func:`tempfile.gettempdir` would write a
    file to find out, and raise where none can be written.
    """
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        return Path(runtime, "stagedoor", "window.json")
    temporary = environ.get("TMPDIR") or environ.get("TEMP") or environ.get("TMP") or "/tmp"
    return Path(os.path.abspath(temporary), own_directory(), "window.json")


def windows_elsewhere(but: Path) -> list[tuple[Path, str]]:
    """Files at the default places of users of this machine, and whose they are, as far as this user may look.

    :param but: the one that is known.
    """
    found: list[tuple[Path, str]] = []
    if sys.platform != "win32":
        temporary = {"/tmp", str(default_path({**os.environ, "XDG_RUNTIME_DIR": ""}).parent.parent)}
        patterns = ["/run/user/*/stagedoor", *(f"{glob.escape(folder)}/stagedoor-*" for folder in sorted(temporary))]
        for folder in [each for pattern in patterns for each in glob.glob(pattern)]:
            path = Path(folder, "window.json")
            with suppress(OSError):
                status = path.lstat()
                # In a place that bears another's number anybody could have put it, and as many as would hide the true one.
                is_in_its_place = str(status.st_uid) in (path.parent.parent.name, path.parent.name.partition("-")[2])
                if path != but and is_in_its_place and stat.S_ISREG(status.st_mode):
                    found.append((path, user_name(status.st_uid)))
    return found


def checked_path(path: str | os.PathLike[str], name: str) -> Path:
    """``path``, if the file switch can be there.

    :param name: the keyword or variable that it comes from, for the message.
    :raises ConfigurationError: if it is not the absolute path of a file. A relative path would mean another
        file for the application than for the command, which runs in another directory.
    """
    remedy = "Write an absolute path, such as /run/user/1000/stagedoor/window.json."
    try:
        text = os.fspath(path)
        if not isinstance(text, str) or b"\0" in os.fsencode(text):
            raise ValueError("a path in bytes, or with a null byte")
    except (TypeError, ValueError):
        raise ConfigurationError(name, path, "is not a path", remedy) from None
    if not os.path.isabs(text):
        raise ConfigurationError(name, text, "is not an absolute path", remedy)
    if not Path(text).name:
        raise ConfigurationError(name, text, "is a directory, not a file", remedy)
    return Path(text)


def _dump(window: Window) -> bytes:
    return json.dumps({"version": _VERSION, **dump_window(window)}, indent=2).encode() + b"\n"


def _load(content: bytes) -> Window:
    """The window in ``content``.

    :raises ValueError: with what is wrong, as the end of the sentence "the file switch ...".
    """
    try:
        # Pairs keep a key that is there twice; a tuple is what no other JSON value becomes.
        pairs = json.loads(content.decode(), object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        raise ValueError("holds no JSON, or not all of it") from None  # not shown: a part may be the token
    if not isinstance(pairs, tuple) or sorted(key for key, _ in pairs) != _KEYS:
        raise ValueError(f"does not hold an object with exactly the keys {', '.join(_KEYS)}")
    document = dict(pairs)
    if type(document["version"]) is not int or document["version"] != _VERSION:
        raise ValueError(f"is not of version {_VERSION}, the only one that this release reads")
    return load_window({key: document[key] for key in KEYS})
