"""What a gatekeeper leaves that was killed, and who removes it: each worker at its end, and the next ``open``."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from stagedoor.errors import DebuggerError

from .burnt import BurntWindows
from .config import GatekeeperConfig
from .connection import ControlConnection
from .lock import clear_away, start_lock
from .place import ControlError

#: Seconds that a killed process may take to be gone: until then its sockets can still be connected to.
PATIENCE = 3.0
#: Seconds that one that lives has for an answer.
ANSWER_PATIENCE = 0.5


def sweep(config: GatekeeperConfig, *, patience: float = PATIENCE, answer: float = ANSWER_PATIENCE) -> None:
    """Remove what nobody uses any more: the sockets and the lock of a gatekeeper that is gone, and what was noted of
    windows that are over. Never raises.

    :param patience: seconds that a killed process may take to be gone.
    :param answer: seconds that one that lives has for an answer.
    """
    BurntWindows(config).forget()
    control = Path(config.control)
    deadline = time.monotonic() + patience
    with suppress(OSError, DebuggerError):
        while control.parent.is_dir() and not _answers(control, answer):
            # Killed, and not yet gone: then it can still be connected to.
            if _removed(config, control) or not os.path.lexists(control) or time.monotonic() > deadline:
                return
            time.sleep(0.01)


def _removed(config: GatekeeperConfig, control: Path) -> bool:
    with start_lock(control) as is_ours:
        if not is_ours or not is_dead(control):
            return False
        control.unlink(missing_ok=True)
        if config.bind.startswith("unix:"):
            port = Path(config.bind.removeprefix("unix:"))
            if _is_own_socket(port) and is_dead(port):
                port.unlink(missing_ok=True)
        clear_away(config)
        return True


def _answers(control: Path, patience: float) -> bool:
    try:
        connection = ControlConnection(control, timeout=patience)
    except ControlError:
        return True  # Somebody else's: that is not ours to remove.
    except OSError:
        return False
    try:
        connection.ask({"status": {}}, patience)
    except (OSError, EOFError, ControlError):
        return False
    finally:
        connection.close()
    return True


def is_dead(path: Path) -> bool:
    """Whether no process is behind this socket any more, or nothing is there."""
    try:
        ControlConnection(path).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return True
    except (OSError, ControlError):
        return False
    return False


def _is_own_socket(path: Path) -> bool:
    with suppress(OSError):
        found = path.lstat()
        return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid()
    return False
