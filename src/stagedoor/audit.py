"""One structured record for each decision and connection, on the logger ``stagedoor.audit``. Never raises.

A record's ``event`` is one of ``opened``, ``extended``, ``closed``, ``expired``, ``untrusted``, ``matched``,
``refused``, ``listening``, ``attached``, ``detached``, ``paused``, ``resumed``, ``failed``; its other fields are
attributes of the record too (``extra``), so that a JSON formatter writes them. No record holds a token.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

LOGGER_NAME = "stagedoor.audit"

#: A refusal of the same address is recorded once in this many seconds.
REFUSAL_INTERVAL = 60.0
#: All refusals together: at most this many records ...
REFUSAL_BURST = 10
#: ... in this many seconds.
REFUSAL_PERIOD = 10.0
#: How many refused addresses are remembered.
REMEMBERED = 1024

_logger = logging.getLogger(LOGGER_NAME)


class Audit:
    """Writes the records of one application.

    :param monotonic: the clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._refused: dict[str, float] = {}
        self._period_end = 0.0
        self._left_in_period = 0
        self._suppressed = 0

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
        """Record a refusal, unless that would be more than a log can bear: see :data:`REFUSAL_INTERVAL` and
        :data:`REFUSAL_BURST`. The next record that is written says how many were left out (``suppressed``).
        """
        if self._allows(address):
            suppressed, self._suppressed = self._suppressed, 0
            if suppressed:
                sentence += f" ({suppressed} refusals before this one were not recorded)"
            self.record("refused", sentence, level=level, address=address, reason=code, suppressed=suppressed, **fields)

    def failed(self, what: str, sentence: str) -> None:
        """Record that something of ours went wrong on a request; the same ``what`` once in :data:`REFUSAL_INTERVAL`."""
        if self._allows(what):
            self.record("failed", sentence, level=logging.ERROR, what=what)

    def error(self, doing: str, error: Exception) -> None:
        """Record an unexpected error of ours on a request, as :meth:`failed` does."""
        self.failed(doing, f"{type(error).__name__} while {doing}: {error}. The request goes on undebugged.")

    def is_quiet(self, address: str, now: float) -> bool:
        """Whether :meth:`refused` would write nothing now; counts the refusal if so. Lets a request that is turned away
        go on without a sentence having been made that nobody reads.

        :param now: what the clock shows: every request that is turned away comes here, and has just looked.
        """
        if self._refused.get(address, 0.0) > now or (now < self._period_end and not self._left_in_period):
            self._suppressed += 1
            return True
        return False

    def _allows(self, key: str) -> bool:
        now = self._monotonic()
        if self._refused.get(key, 0.0) > now or not self._fits(now):
            self._suppressed += 1
            return False
        if len(self._refused) >= REMEMBERED:
            self._refused.clear()
        self._refused[key] = now + REFUSAL_INTERVAL
        return True

    def _fits(self, now: float) -> bool:
        if now >= self._period_end:
            self._period_end = now + REFUSAL_PERIOD
            self._left_in_period = REFUSAL_BURST
        if not self._left_in_period:
            return False
        self._left_in_period -= 1
        return True
