"""The embedded back end: this process itself calls :func:`debugpy.listen`, on loopback.

It works on every platform, for one process, and is meant for an SSH tunnel. debugpy's adapter does not know the
allowlist: whoever can connect to the server's loopback address can attach while a window is open.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from functools import partial

from stagedoor.audit import Audit
from stagedoor.errors import ConfigurationError, DebuggerError
from stagedoor.settings.bind import Bind
from stagedoor.tracing import Tracing
from stagedoor.window.window import Window

from .adapter import end_adapter
from .backend import Debugger
from .interpreter import python_executable
from .life import Terms
from .preflight import Preflight
from .run import Armed, Run
from .servers import Server
from .watch import WindowWatch

#: Seconds that the adapter is given to get to know this process, which takes it half as long. Until then it ends, and the
#: debugging of this window with it, when somebody connects and hangs up again.
_ACQUAINTANCE = 0.1


def listen_debugger(
    bind: Bind, watch: WindowWatch, audit: Audit, max_pause: timedelta, threads: int | None = None
) -> Debugger:
    """What debugs this process by ``debugpy.listen``.

    :param bind: a port on a loopback address.
    :param watch: what this process knows of the window.
    :param audit: where it is recorded.
    :param max_pause: a request that is paused longer is continued.
    :param threads: how many threads the server has, as the operator says; of one that can be asked its own word counts.
    :raises ConfigurationError: if it is not a loopback address: debugpy's port lets everybody in who can reach it.
    """
    if bind.path or not bind.is_local:
        raise ConfigurationError(
            "bind",
            str(bind),
            "is not a port on a loopback address, and the listen back end can't keep anybody out",
            "Use 127.0.0.1:5678 and an SSH tunnel.",
        )
    new_run = partial(Listening, bind, Terms(watch, audit, max_pause))
    return Debugger(new_run, audit, Preflight(threads, is_alone=True))


class Listening(Run):
    """``debugpy.listen`` in this process, for one window.

    :param bind: a port on a loopback address.
    """

    name = "listen"

    def __init__(self, bind: Bind, terms: Terms, window: Window, server: Server) -> None:
        super().__init__(terms, window, server)
        self.host, self.port = bind.host, bind.port
        self._adapter_token: str | None = None

    def begin(self) -> None:
        tracing = Tracing(self)
        try:
            self.host, self.port = tracing.start(self._listen)
        except RuntimeError as error:
            raise DebuggerError(
                f"debugpy could not listen on {self.host}:{self.port}: {error}.", self._remedy(error)
            ) from error
        self._adapter_token = tracing.access_token
        time.sleep(_ACQUAINTANCE)
        self.take(tracing)
        self._audit.record(
            "listening", f"debugpy listens on {self.host}:{self.port}", host=self.host, port=self.port, pid=os.getpid()
        )

    def tick(self) -> bool:
        # If it is not alive the next matching request starts it again.
        return self.tracing is not None and self.tracing.alive and not self.holds_up_the_end

    def end(self, tracing: Tracing | None) -> None:
        if tracing is not None:
            try:
                tracing.stop()
            except Exception as error:
                self._audit.failed("stop", f"{type(error).__name__} while stopping the debugger: {error}")
        if self._adapter_token:
            end_adapter(self._adapter_token)
            self._adapter_token = None

    def armed(self, request: str, owner: str) -> Armed:
        return Armed(self.tracing, None)

    def _listen(self) -> tuple[str, int]:
        import debugpy

        # True, the default, would patch process creation in the whole application.
        debugpy.configure(subProcess=False)
        debugpy.configure(python=python_executable())
        return debugpy.listen((self.host, self.port))  # type: ignore[no-any-return]

    def _remedy(self, error: RuntimeError) -> str:
        if "already in use" in str(error):
            return "Another process has that port: end it, or choose another one with bind (STAGEDOOR_BIND)."
        return ""
