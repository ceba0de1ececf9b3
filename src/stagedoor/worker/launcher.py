"""Finding the gatekeeper of a window, or starting it."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from stagedoor.audit import Audit
from stagedoor.control.burnt import BURNT, BurntWindows, TokenBurnt
from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.connection import ControlConnection, silent
from stagedoor.control.leftovers import is_dead
from stagedoor.control.lock import start_lock
from stagedoor.control.place import private_directory
from stagedoor.control.protocol import ControlMessage
from stagedoor.errors import DebuggerError
from stagedoor.window.window import Window

from .interpreter import isolated_command, kill_process, start_process
from .patience import USUAL, Patience

#: Seconds after its patience is over in which is read what a gatekeeper has said already.
_LAST_WORDS = 0.1

_OPEN_AGAIN = "Close the window and open it again."
_SEE_LOG = "If `stagedoor gatekeeper --foreground` runs, its log says why; else close the window and open it again."


def say_hello(config: GatekeeperConfig, window: Window, audit: Audit, patience: Patience = USUAL) -> ControlConnection:
    """A connection to the gatekeeper of ``window``, which is started if there is none. Its ``received`` is the welcome.

    :param config: what it is started with.
    :param audit: where the start is recorded.
    :param patience: how long it is tried to reach it or to start it.
    :raises TokenBurnt: if there will be none for this window.
    :raises DebuggerError: why there is none now.
    :raises ControlError: if the control socket can't be trusted.
    """
    path = Path(config.control)
    private_directory(path.parent)
    deadline = time.monotonic() + patience.gatekeeper
    is_started = False
    while True:
        try:
            answer, connection = _ask(path, config, window)
        except _Silent as error:
            why, remedy = f"its process ({error.pid}) does not answer", f"{silent(error.pid).capitalize()}."
        except (FileNotFoundError, ConnectionRefusedError):
            if is_started:
                why, remedy = "the one that it has started is gone again", _OPEN_AGAIN
                break
            with start_lock(path) as is_ours:
                if not is_ours:
                    why, remedy = (
                        f"another process is to start it, and has not within {patience.gatekeeper:g} s",
                        _SEE_LOG,
                    )
                elif is_dead(path):
                    _start(config, window, patience)
                    audit.record("listening", f"the gatekeeper listens on {config.bind}", bind=config.bind)
                    # The start has had its own time, and this process may have been stopped in it.
                    is_started, deadline = True, time.monotonic() + patience.gatekeeper
                    continue
                else:
                    why, remedy = "another process has only just started it", _OPEN_AGAIN
        except (EOFError, ConnectionError):
            # It is just ending, unless it goes on so.
            why, remedy = "it ends each connection at once", _OPEN_AGAIN
        except OSError as error:
            # Somebody may be there, so nothing is started in his place.
            why = f"its control socket can't be reached: {error.strerror or error}"
            remedy = f"See to it that this process can connect to {path}."
        else:
            if connection is not None:
                return connection
            why, remedy = str(answer.get("refused")), str(answer.get("remedy", _OPEN_AGAIN))
            if not answer.get("again"):
                break  # Else that of the last window is just ending.
        if time.monotonic() >= deadline:
            break
        time.sleep(0.01)
    raise DebuggerError(f"This worker can't join the gatekeeper: {why}.", remedy)


class _Silent(Exception):
    """There is a gatekeeper, and it does not answer.

    :param pid: its process.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid


def _ask(path: Path, config: GatekeeperConfig, window: Window) -> tuple[ControlMessage, ControlConnection | None]:
    """The gatekeeper's answer to a hello, and the connection if it is a welcome."""
    connection = ControlConnection(path)
    try:
        hello = {"digest": config.digest, "window": config.window_id(window), "pid": os.getpid()}
        with suppress(OSError):  # It may be gone.
            hello["cwd"] = os.getcwd()
        answer = connection.ask({"hello": hello}, timeout=2)
    except TimeoutError as error:
        connection.close()
        raise _Silent(connection.peer) from error
    except BaseException:
        connection.close()
        raise
    if "welcome" in answer:
        connection.received = dict(answer["welcome"])
        return answer, connection
    connection.close()
    return answer, None


def _start(config: GatekeeperConfig, window: Window, patience: Patience) -> None:
    burnt = BurntWindows(config)
    burnt.check(window)
    command = isolated_command("stagedoor.gatekeeper", ("stagedoor", "netaddr"))
    process = start_process(command, stdin=subprocess.PIPE, output=subprocess.PIPE)
    answer = _answer(process, config.dump(window).encode() + b"\n", patience)
    if answer is None:
        kill_process(process)
        process.wait()
        raise DebuggerError(f"The gatekeeper did not start within {patience.gatekeeper:g} s.")
    if answer.strip() != b"ready":
        lines = answer.decode(errors="replace").strip().splitlines() or ["it said nothing."]
        if process.returncode == BURNT:
            raise TokenBurnt(lines[-1])
        raise DebuggerError(f"The gatekeeper could not start: {lines[-1]}")


def _answer(process: subprocess.Popen[bytes], line: bytes, patience: Patience) -> bytes | None:
    """What a gatekeeper says to its configuration; ``None`` if it says nothing in time."""
    try:
        # One line, and not up to the end: a child that the application forks meanwhile keeps the pipe open.
        return process.communicate(line, timeout=patience.gatekeeper)[0]
    except subprocess.TimeoutExpired:
        pass
    try:
        # This process itself may have been stopped, or slow, for so long: what was said meanwhile is not too late.
        return process.communicate(timeout=_LAST_WORDS)[0]
    except subprocess.TimeoutExpired as error:
        # A whole line without an end: such a child has the other pipe too.
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_WORDS)
        return error.output if (error.output or b"").endswith(b"\n") else None
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
