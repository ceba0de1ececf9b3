"""Opening the debug port, where somebody else may have been first."""

from __future__ import annotations

import errno
from pathlib import Path

from stagedoor.control.burnt import BurntWindows
from stagedoor.errors import DebuggerError
from stagedoor.settings.bind import Bind
from stagedoor.window.window import Window

from .listener import Listener
from .port_holders import Holders, holders, holders_beside, not_private, why_burnt

#: A tunnel is often made to ``localhost``, which is both of these.
_OTHER_LOCALHOST = {"127.0.0.1": "::1", "0.0.0.0": "::1", "::1": "127.0.0.1"}


def open_port(bind: Bind, burnt: BurntWindows, window: Window) -> Listener:
    """The debug port, listening.

    :param burnt: asked first, and told if this window has to be one of them.
    :raises TokenBurnt: if another user's process has the port, or has had it in this window.
    :raises DebuggerError: if it can't be had for another reason.
    """
    burnt.check(window)
    if bind.path:
        return _unix(Path(bind.path))
    listener = _tcp(bind, burnt, window)
    other = _OTHER_LOCALHOST.get(bind.host)
    if other is not None and not listener.reserve(other, bind.port):
        there = holders_beside(other, bind.port, bind.host)
        if there is None or there.others or there == Holders():
            listener.close()
            raise burnt.burn(
                window, f"a process that is not this user's has the same port at {other}, which localhost may mean"
            )
        if not there.own:
            listener.close()
            raise DebuggerError(
                f"The debug port {bind} was not opened: what has the same port at {other}, which localhost may mean,"
                " has ended, and whoever comes first could have it next.",
                "It is tried again, and free within a minute.",
            )
    return listener


def _tcp(bind: Bind, burnt: BurntWindows, window: Window) -> Listener:
    before = holders(bind.host, bind.port)
    if before is not None and before.others:
        raise burnt.burn(window, str(why_burnt(before, before)))
    try:
        return Listener.tcp(bind.host, bind.port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise _refused(bind, error) from error
        after = holders(bind.host, bind.port)
        if before == after == Holders():
            # Whoever had it is gone by now, or is hidden, and then still there.
            try:
                return Listener.tcp(bind.host, bind.port)
            except OSError:
                after = holders(bind.host, bind.port)
        why = why_burnt(before, after)
        if why is not None:
            raise burnt.burn(window, why) from error
        raise _refused(bind, error) from error


def _unix(path: Path) -> Listener:
    if (why := not_private(path.parent)) is not None:
        raise DebuggerError(
            f"The debug port unix:{path} was refused: {why}, and could be there first.",
            "Choose a directory that only this user (or root) can write to, with bind (STAGEDOOR_BIND).",
        )
    try:
        return Listener.unix(path)
    except OSError as error:
        raise _refused(Bind(path=str(path)), error) from error


def _refused(bind: Bind, error: OSError) -> DebuggerError:
    if error.errno in (errno.EADDRINUSE, errno.EEXIST):
        remedy = "End the process that has it, or choose another one with bind (STAGEDOOR_BIND)."
    elif error.errno == errno.ENOENT:
        remedy = f"Make the directory {Path(bind.path).parent}, for this user alone."
    elif error.errno == errno.EADDRNOTAVAIL:
        remedy = "Choose an address that this machine has, with bind (STAGEDOOR_BIND)."
    else:
        remedy = "Choose another one with bind (STAGEDOOR_BIND)."
    return DebuggerError(f"The debug port {bind} can't be opened: {error.strerror}.", remedy)
