"""The audit records of a gatekeeper: written by a worker, because the application's log is where the operator looks."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

from stagedoor.audit import Audit

from .workers import Worker

#: How many records are kept while there is no worker.
_KEPT = 64


class ForwardedAudit(Audit):
    """Hands every record to one worker, and to this process's own log, which is seen in the foreground. While there is no
    worker the last ones are kept for the next.

    :param workers: the workers.
    :param texts: whether what developers write may be written (``STAGEDOOR_AUDIT_EXPRESSIONS``).
    """

    def __init__(self, workers: Mapping[int, Worker], *, texts: bool) -> None:
        super().__init__()
        self.texts = texts
        self._workers = workers
        self._kept: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def record(self, event: str, sentence: str, *, level: int = logging.INFO, **fields: Any) -> None:
        super().record(event, sentence, level=level, **fields)
        record = {"event": event, "sentence": sentence, "level": level, "fields": fields}
        for worker in self._workers.values():
            worker.send({"audit": record})
            return
        self._kept.append(record)

    def hand_over(self, worker: Worker) -> None:
        """Let ``worker`` write what happened while there was none."""
        while self._kept:
            worker.send({"audit": self._kept.popleft()})
