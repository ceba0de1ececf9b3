"""Windows whose token somebody else may have got: nothing listens with it any more, in whichever process.

Each is remembered in a file in the private directory of the control socket, because every worker finds the port free
again as soon as the thief has let go of it. Where tokens are made anew for each window, as with the file switch, it is
forgotten with the window. A token that was given (``STAGEDOOR_TOKEN``) comes again, and stays burnt.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from stagedoor.errors import DebuggerError, StagedoorError
from stagedoor.switches.private_file import PrivateFile
from stagedoor.window.window import Window

from .config import GatekeeperConfig

#: The exit code of a gatekeeper that has found its window's token burnt, also where it could not note that.
BURNT = 3

_SIZE_LIMIT = 4096


class TokenBurnt(DebuggerError):
    """Somebody else may have this window's token: no debugger is started for it, now or later."""


class BurntWindows:
    """Those of one switch.

    :param config: a gatekeeper's.
    """

    def __init__(self, config: GatekeeperConfig) -> None:
        self._config = config
        self._folder = Path(config.control).parent
        # Not of the port: a token that was burnt at one is no better at another.
        self._prefix = f"burnt-{hashlib.sha256(config.switch.encode()).hexdigest()[:8]}-"

    def check(self, window: Window) -> None:
        """:raises TokenBurnt: if ``window`` is one of them."""
        try:
            found = self._file(window).read(_SIZE_LIMIT)
        except StagedoorError as error:
            raise TokenBurnt(f"Whether another user has this window's token can't be told: {error}") from error
        if found is not None:
            raise TokenBurnt(
                found.decode(errors="replace") or self._sentence("it was taken, and no more could be noted")
            )

    def burn(self, window: Window, why: str) -> TokenBurnt:
        """Remember ``window`` as burnt.

        :param why: what is wrong with the port, a clause.
        :returns: the error to raise.
        """
        sentence = self._sentence(why, "is")
        if not self._is_noted(window, sentence) and self._is_closed(window):
            sentence += " It was closed, because that could not be noted for the next worker."
        return TokenBurnt(sentence)

    def forget(self) -> None:
        """Forget those that are over. Never raises."""
        switch = self._config.file_switch()
        if switch is not None:
            with suppress(OSError, StagedoorError):  # A switch that can't be read now may be readable again.
                self.forget_all_but(switch.read())

    def forget_all_but(self, window: Window | None) -> None:
        """Forget those that are over. Never raises.

        :param window: what the switch has just been read as.
        """
        if self._config.switch_path is None:
            return
        kept = self._name(window) if window is not None else ""
        with suppress(OSError):
            for path in self._folder.glob(f"{self._prefix}*"):
                if path.name != kept:
                    path.unlink(missing_ok=True)

    def _is_noted(self, window: Window, sentence: str) -> bool:
        try:
            self._file(window).write(sentence.encode())
            return True
        except (OSError, StagedoorError):
            # A full disk has room for a name, which says enough: whoever has filled it can make room for the next worker.
            try:
                os.close(os.open(self._folder / self._name(window), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
                return True
            except OSError:
                return False

    def _is_closed(self, window: Window) -> bool:
        """Close the window, if it is the switch's; to remove a file takes no room."""
        switch = self._config.file_switch()
        if switch is None:
            return False
        try:
            now = switch.read()
            return now is not None and now.token == window.token and switch.close()
        except StagedoorError:
            return False

    def _sentence(self, why: str, is_or_was: str = "was") -> str:
        return (
            f"The debug port {self._config.bind} {is_or_was} not safe: {why}. Whoever has attached may have given away"
            f" this window's token, so nothing listens with it any more. {self._remedy}"
        )

    @property
    def _remedy(self) -> str:
        new = "Close the window and open another" if self._config.switch_path is not None else "Give another token"
        elsewhere = (
            "bind=unix:/path, in a directory that only this user can write to, is a port that nobody can take first"
        )
        if self._config.bind.startswith("unix:"):
            return f"{new}."
        return f"{new}, on another port; {elsewhere} (STAGEDOOR_BIND; ssh -L 5678:/path)."

    def _name(self, window: Window) -> str:
        return f"{self._prefix}{self._config.window_id(window)}"

    def _file(self, window: Window) -> PrivateFile:
        path = self._folder / self._name(window)
        return PrivateFile(path, f"the note {os.fspath(path)}")
