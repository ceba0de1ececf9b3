"""One structured record for each decision and connection, on the logger ``stagedoor.audit``. Never raises.

A record's ``event`` is one of ``opened``, ``extended``, ``closed``, ``expired``, ``untrusted``, ``matched``,
``refused``, ``listening``, ``ended``, ``attached``, ``detached``, ``paused``, ``resumed``, ``evaluated``, ``changed``,
``jumped``, ``instrumented``, ``trouble``, ``proved``, ``failed``; its other fields are attributes of the record too
(``extra``), so that a JSON formatter writes them. No record holds a token, and none what an expression came to.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

LOGGER_NAME = "stagedoor.audit"

#: The same refusal or failure is recorded once in this many seconds.
INTERVAL = 60.0
#: Those of one kind together: at most this many records ...
BURST = 10
#: ... in this many seconds.
PERIOD = 10.0
#: How many refused addresses are remembered.
REMEMBERED = 1024

_logger = logging.getLogger(LOGGER_NAME)


class Audit:
    """Writes the records of one application.

    :param monotonic: the clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # One limit for each kind: on a busy server strangers use up theirs all the time.
        self._limits: defaultdict[str, Limit] = defaultdict(Limit)

    def limit(self, code: str) -> Limit:
        """The limit of refusals with this reason, for whoever asks it at every request."""
        return self._limits[code]

    def record(self, event: str, sentence: str, *, level: int = logging.INFO, **fields: Any) -> None:
        """Write one record.

        :param event: what happened, one word of the module's list.
        :param sentence: the same for a person.
        :param fields: plain values without secrets; names must not be those of :class:`logging.LogRecord`.
        """
        # A log handler that fails must not fail a request, and logging.raiseExceptions may be on.
        with suppress(Exception):
            _logger.log(level, "%s: %s", event, sentence, extra={"event": event, **fields})

    def refused(self, address: str, code: str, sentence: str, *, level: int = logging.INFO, **fields: Any) -> None:
        """Record a refusal, unless that would be more than a log can bear: see :class:`Limit`. The next record that is
        written says how many were left out (``suppressed``).

        :param code: the reason in one word, of which there are few.
        """
        limit = self._limits[code]
        if limit.allows(address, self._monotonic()):
            suppressed, limit.suppressed = limit.suppressed, 0
            if suppressed:
                sentence += f" ({suppressed} refusals before this one were not recorded)"
            self.record("refused", sentence, level=level, address=address, reason=code, suppressed=suppressed, **fields)

    def failed(self, what: str, sentence: str) -> None:
        """Record that something of ours went wrong on a request; the same ``what`` once in :data:`INTERVAL`."""
        if self._limits["failed"].allows(what, self._monotonic()):
            self.record("failed", sentence, level=logging.ERROR, what=what)

    def error(self, doing: str, error: Exception) -> None:
        """Record an unexpected error of ours on a request, as :meth:`failed` does."""
        self.failed(doing, f"{type(error).__name__} while {doing}: {error}. The request goes on undebugged.")


class Limit:
    """What a log can bear of one kind of record: each key once in :data:`INTERVAL`, and all together :data:`BURST` in
    :data:`PERIOD` seconds. Threads that interleave may write a record more.
    """

    def __init__(self) -> None:
        #: How many were left out since the last one that was written.
        self.suppressed = 0
        #: Until then (monotonic seconds) no record with this key is written ...
        self.quiet_until: dict[object, float] = {}
        #: ... and until then none at all. The middleware looks at both without a call.
        self.full_until = 0.0
        self._period_end = 0.0
        self._left = 0

    def is_quiet(self, key: object, now: float) -> bool:
        """Whether nothing would be written now; counts it as left out if so.

        :param now: what the clock shows.
        :raises TypeError: if ``key`` has no hash.
        """
        if now < self.full_until or self.quiet_until.get(key, 0.0) > now:
            self.suppressed += 1
            return True
        return False

    def allows(self, key: object, now: float) -> bool:
        """Whether a record may be written now; counts it as written or as left out."""
        if self.is_quiet(key, now):
            return False
        if now >= self._period_end:
            self._period_end, self._left = now + PERIOD, BURST
        self._left -= 1
        if self._left <= 0:
            self.full_until = self._period_end
        self.silence(key, now)
        return True

    def silence(self, key: object, now: float) -> None:
        """Let no record with this key be written for :data:`INTERVAL`."""
        if len(self.quiet_until) >= REMEMBERED:
            self.quiet_until.clear()
        self.quiet_until[key] = now + INTERVAL
