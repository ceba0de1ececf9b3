"""How long a request may be paused here, and whether this process has to end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta

from stagedoor.tracing import Pause

from .servers import Server

#: The developer is told this many seconds before a paused request is continued.
_PAUSE_WARNING = 30.0


class Limits:
    """The limits of one window in this process.

    :param server: the server around this process's requests.
    :param max_pause: a request that is paused longer is continued.
    """

    def __init__(self, server: Server, max_pause: timedelta) -> None:
        self.server = server
        #: In seconds.
        self.max_pause = max_pause.total_seconds()
        self._parent = os.getppid()
        #: When the last matching request of each thread came, on the monotonic clock, where the server looks at that.
        self._came: dict[int, float] = {}
        #: The pauses of which the developer was told that they end soon, by their beginnings.
        self._warned: set[float] = set()

    def came(self) -> None:
        """The calling thread serves a matching request from now on."""
        if self.server.longest_request is not None:
            self._came[threading.get_ident()] = time.monotonic()

    def end_of(self, pause: Pause) -> float:
        """Until when a request may be paused, on the monotonic clock."""
        until, limit = pause.since + self.max_pause, self.server.longest_request
        came = self._came.get(pause.thread)
        return until if limit is None or came is None else min(until, came + limit)

    def is_servers(self, pause: Pause) -> bool:
        """Whether the server ends a pause, which kills its worker then, and ``max_pause`` would come later."""
        return self.end_of(pause) < pause.since + self.max_pause

    def warnings(self, pauses: Iterable[Pause]) -> Iterator[tuple[Pause, str]]:
        """What the developer is to be told now, once a pause: that it ends soon, and why. Only of pauses that last longer."""
        for pause in pauses:
            until = self.end_of(pause)
            left = until - time.monotonic()
            if until - pause.since > _PAUSE_WARNING >= left and pause.since not in self._warned:
                self._warned.add(pause.since)
                why = f"{self.server.name} would kill its worker" if self.is_servers(pause) else "max_pause"
                yield pause, f"{pause.request} is continued in {max(0, round(left))} s ({why})."

    @property
    def is_orphan(self) -> bool:
        """Whether the process that this one belonged to is gone: the server's master, or its reloader.

        Some servers end then, and wait for their requests (gunicorn), some do not wait (uWSGI), and some serve on and keep
        the port (what Werkzeug's reloader has started, mod_wsgi's daemon): a paused request must not keep what nobody rules
        any more. Where the parent was only what the server was started from, as waitress's is, a pause ends once, and
        the next matching request begins anew.
        """
        return os.getppid() != self._parent

    @property
    def must_end(self) -> bool:
        """Whether this process has to end, or is left alone."""
        return self.server.must_end or self.is_orphan
