"""The register of a window: which application has it, which workers have seen it, and what was recorded of it.

It is a few small files in a directory of this user's, made by the workers that meet an open window and taken away by the
first that sees its end. No lock is held over them: each is made, or removed, by the one process that the file system lets
do so. Nobody waits, and nothing stays held by whoever dies.

========================= ===========================================================================
``WINDOW.application``    the application that has the window: the first that has met it
``WINDOW.until.TIME``     an end that the window was given later, once that was recorded
``WINDOW.seen.PID``       a worker that has seen the window; in it, whose numbers of processes that is one of
``WINDOW.doubt``          the application no longer believes the window, because a clock was set, and has recorded so
========================= ===========================================================================

``WINDOW`` is a digest of the window's token.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stagedoor.application.identity import Application
from stagedoor.errors import SwitchError
from stagedoor.window.window import Window, parse_time

from .place import ControlError, private_directory

_HOLDER, _END, _SEEN, _DOUBT, _NEW = "application", "until", "seen", "doubt", "new"
_KINDS = (_HOLDER, _END, _SEEN, _DOUBT, _NEW)
_TROUBLE = (OSError, ControlError, ValueError, KeyError, TypeError)


class Register:
    """What one application writes into a register.

    :param folder: its directory.
    :param application: the application.
    :param switch: the switch's name, for people.
    :param window_id: tells windows apart without giving their tokens away.
    :param decides: where the register can't be written, the window is closed: whether another application has it can't be
        told. Not so with a switch that stands in the application's own environment, where the register only keeps workers
        from recording the same twice.
    """

    def __init__(
        self,
        folder: Path,
        application: Application,
        switch: str,
        window_id: Callable[[Window], str],
        *,
        decides: bool = True,
    ) -> None:
        self._folder = folder
        self._application = application
        self._switch = switch
        self._window_id = window_id
        self._decides = decides

    def enter(self, window: Window) -> str | None:
        """This process meets an open window. Returns what is for it to record: ``opened``, ``extended``, or ``None``.

        :raises SwitchError: if another application has this window, or nobody can tell.
        """
        try:
            private_directory(self._folder)
            held, is_first = self._claim(window)
            seen = self._mark(window, _SEEN, str(os.getpid()))
            if held["key"] != self._application.key:
                raise self._occupied(str(held["name"]), is_in_this_process=seen.exists())
            seen.touch(0o600)
            with suppress(OSError):  # On a full disk it is there all the same.
                seen.write_text(_namespace())
            if is_first:
                self._forget_windows_before(window)
                return "opened"
            return "extended" if self._is_news(window, held["until"]) else None
        except _TROUBLE as error:
            if not self._decides:
                return "opened"  # Recorded twice is better than never.
            raise SwitchError(
                self._switch,
                f"holds a window, and whether another application has it can't be told: {error}",
                f"See to it that this user can write to {self._folder}.",
            ) from error

    def moved(self, window: Window) -> bool:
        """The end of a window was moved; returns whether that is for this process to record."""
        try:
            return self._is_news(window, _read(self._mark(window, _HOLDER))["until"])
        except _TROUBLE:
            return True

    def leave(self, window: Window, *, is_over: bool = True) -> bool:
        """A window has ended for this process; returns whether that is for it to record.

        :param is_over: the window itself is over. Else this application has it still, though it believes it no longer:
            nobody else may take it up.
        """
        try:
            if not is_over:
                self._mark(window, _DOUBT).touch(0o600, exist_ok=False)
                return True
            self._mark(window, _HOLDER).unlink()
        except (FileExistsError, FileNotFoundError):
            return False
        except OSError:
            return True
        with suppress(OSError):
            for path in self._folder.glob(f"{self._window_id(window)}.*"):
                path.unlink(missing_ok=True)
            self._folder.rmdir()  # Not while the gatekeeper has its socket in it.
        return True

    def _occupied(self, by: str, *, is_in_this_process: bool) -> SwitchError:
        if is_in_this_process:
            remedy = "Both are in this process: if one is a part of the other, wrap the outermost application only."
        else:
            remedy = "If the two are one, close the window and open it again."
        return SwitchError(
            self._switch,
            f"holds a window that another application of this user has, {by}: it stays closed for this one,"
            f" {self._application.name}",
            f"Give each a switch of its own with STAGEDOOR_SWITCH, and its commands the same. {remedy}",
        )

    def _claim(self, window: Window) -> tuple[dict[str, Any], bool]:
        """Who has the window, and whether that has just become this application."""
        place = self._mark(window, _HOLDER)
        with suppress(FileNotFoundError):
            return _read(place), False
        held = {"key": self._application.key, "name": self._application.name, "until": window.expires_at.isoformat()}
        # It gets its name when it is whole: nobody reads half of it, and of several that come at once one is the first.
        new = self._mark(window, _NEW, secrets.token_hex(8))
        try:
            new.write_text(json.dumps(held))
            os.link(new, place)
        except FileExistsError:
            return _read(place), False
        finally:
            new.unlink(missing_ok=True)
        return held, True

    def _is_news(self, window: Window, known_end: str) -> bool:
        if window.expires_at.isoformat() == known_end:
            return False
        try:
            self._mark(window, _END, f"{window.expires_at.timestamp():.6f}").touch(0o600, exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _forget_windows_before(self, window: Window) -> None:
        """Remove what is left of windows whose end nobody has seen. One that was closed a moment ago is left to the
        workers that have known it, of which one has still to record it.
        """
        with suppress(OSError):
            for path in list(self._folder.iterdir()):
                identity = path.name.partition(".")[0]
                if _kind(path) not in _KINDS or identity == self._window_id(window):
                    continue
                try:
                    until = parse_time(_read(self._folder / f"{identity}.{_HOLDER}")["until"])
                except _TROUBLE:
                    until = datetime.min.replace(tzinfo=UTC)
                if until < datetime.now(UTC):
                    path.unlink(missing_ok=True)

    def _mark(self, window: Window, *parts: str) -> Path:
        return self._folder / ".".join([self._window_id(window), *parts])


def holder(folder: Path, window_id: str) -> str | None:
    """The name of the application that has a window; ``None`` if none has met it, or nobody can tell."""
    with suppress(*_TROUBLE):
        return str(_read(folder / f"{window_id}.{_HOLDER}")["name"])
    return None


def seen_by(folder: Path, window_id: str) -> int:
    """How many workers have seen a window, those that have ended since included."""
    try:
        return len(list(folder.glob(f"{window_id}.{_SEEN}.*")))
    except OSError:
        return 0


def tidy(folder: Path) -> None:
    """Remove what workers have left that have all ended, and the directory if nothing else is in it. Never raises.

    As long as one of them runs it has still to record the window's end.
    """
    with suppress(OSError):
        marks = [path for path in folder.iterdir() if _kind(path) in _KINDS]
        alive = {path.name.partition(".")[0] for path in marks if _kind(path) == _SEEN and _runs(path)}
        for path in marks:
            if path.name.partition(".")[0] not in alive:
                path.unlink(missing_ok=True)
        folder.rmdir()


def _kind(path: Path) -> str:
    return path.name.partition(".")[2].partition(".")[0]


def _runs(mark: Path) -> bool:
    """Whether a worker that has seen the window still runs; also where that can't be told, as of another container's."""
    try:
        namespace = mark.read_text()
        if namespace and namespace != _namespace():
            return True
        os.kill(int(mark.suffix[1:]), 0)
    except (FileNotFoundError, ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _namespace() -> str:
    """Tells apart the containers of which each numbers its own processes; empty where there is nothing of the kind."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


def _read(path: Path) -> dict[str, Any]:
    """:raises OSError, ValueError: if it is not there, or is no mark."""
    held = json.loads(path.read_text())
    if not isinstance(held, dict):
        raise ValueError(f"{path} holds no object")
    return held
