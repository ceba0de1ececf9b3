"""The worker's side of the gatekeeper: one gated port for all workers of the application.

While a window is open, the first matching request makes this process say hello to the gatekeeper, which is started if
there is none. Only when a client is attached *and* a matching request is there does pydevd start here; it dials out to
the gatekeeper's Unix socket and listens nowhere.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from stagedoor.audit import Audit
from stagedoor.control.config import GatekeeperConfig
from stagedoor.tracing import Tracing
from stagedoor.window.window import Window

from .backend import Armed, Debugger
from .launcher import say_hello
from .leftovers import sweep
from .membership import Membership
from .preflight import refuse_other_debugger
from .run import Run
from .watch import WindowWatch


class GatekeeperDebugger(Debugger):
    """Debugs this worker through the gatekeeper.

    :param config: what a gatekeeper is started with; its window is filled in for each.
    """

    name = "gatekeeper"

    def __init__(
        self,
        config: GatekeeperConfig,
        watch: WindowWatch,
        audit: Audit,
        max_pause: timedelta,
        threads: int | None = None,
    ) -> None:
        super().__init__(watch, audit, max_pause, threads)
        self._config = config

    def is_worth_waiting(self) -> bool:
        # Where no gatekeeper is, no client can be.
        return os.path.exists(self._config.control)

    def new_run(self, window: Window) -> Membership:
        tells = self._config.switch_path is None
        return Membership(self, window, Path(self._config.control), tells_of_window=tells)

    def begin(self, run: Run) -> None:
        assert isinstance(run, Membership)
        refuse_other_debugger()
        run.connect(say_hello(self._config, run.window, self.audit))

    def armed(self, run: Run, request: str) -> Armed:
        assert isinstance(run, Membership)
        if run.client == "off":
            return Armed(None, None)
        if run.client == "on" and (run.tracing is None or not run.tracing.attached):
            run.join(request)
        tracing = run.tracing
        if tracing is not None and tracing.attached:
            return Armed(tracing, None)
        return Armed(None, run.why_not_attached)

    def tick(self, run: Run) -> bool:
        assert isinstance(run, Membership)
        return run.look_after_requests()

    def end(self, run: Run, tracing: Tracing | None) -> None:
        assert isinstance(run, Membership)
        run.disconnect()
        if tracing is not None:
            with suppress(Exception):
                tracing.stop()

    def leave(self, run: Run) -> None:
        sweep(self._config)
