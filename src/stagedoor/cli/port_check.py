"""What ``stagedoor open`` looks at before it makes a token: whether the debug port is one where a token is safe."""

from __future__ import annotations

from pathlib import Path

from stagedoor.control.burnt import BurntWindows
from stagedoor.errors import WindowRefused
from stagedoor.gatekeeper.port_holders import holders, not_private, told
from stagedoor.settings.settings import Settings

_REMEDY = (
    "Set bind (STAGEDOOR_BIND, here and for the application) to unix:/path in a directory that only the application's"
    " user can write to, where nobody else can be first; or end that process, or choose another port."
)


def sweep_beside(settings: Settings) -> None:
    """Remove what a gatekeeper has left that was killed.

    :raises ConfigurationError: if it can't have been anywhere.
    """
    if settings.debugger == "gatekeeper":
        from stagedoor.control.leftovers import sweep  # Here, because it needs what not every platform has.

        sweep(settings.gatekeeper_config())


def check_port(settings: Settings) -> str | None:
    """Look at the debug port, and clean up after a gatekeeper that was killed.

    :returns: what could not be looked at, a sentence, or ``None``.
    :raises WindowRefused: if another user's process has the port, or could have it.
    :raises TokenBurnt: if a window is open whose token somebody else may have.
    """
    sweep_beside(settings)
    if settings.debugger == "gatekeeper":
        window = settings.switch.read()
        if window is not None:
            BurntWindows(settings.gatekeeper_config()).check(window)
    bind = settings.bind
    if bind.path:
        if (why := not_private(Path(bind.path).parent)) is not None:
            raise WindowRefused(f"No window was opened: {why}, and could put another socket at {bind}.", _REMEDY)
        folder = Path(bind.path).parent
        if not folder.exists():
            return f"There is no directory {folder}: make it for the application's user, else the debug port can't be opened."
        return None
    found = holders(bind.host, bind.port)
    if found is None:
        return f"This system does not tell who listens on {bind}: see that it is nobody else before you attach."
    if found.others:
        raise WindowRefused(
            f"No window was opened beside a port that somebody else has: {bind}, and {told(found.others)}. Whoever"
            " attached would give away the window's token.",
            _REMEDY,
        )
    return None
