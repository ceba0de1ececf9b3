"""The audit records of a gatekeeper: written by a worker, because the application's log is where the operator looks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stagedoor.audit import Audit

if TYPE_CHECKING:
    from .workers import Worker


class ForwardedAudit(Audit):
    """Hands every record to one worker, and to this process's own log, which is seen in the foreground.

    :param workers: the workers.
    """

    def __init__(self, workers: Mapping[int, Worker]) -> None:
        super().__init__()
        self._workers = workers

    def record(self, event: str, sentence: str, *, level: int = logging.INFO, **fields: Any) -> None:
        super().record(event, sentence, level=level, **fields)
        for worker in self._workers.values():
            worker.send({"audit": {"event": event, "sentence": sentence, "level": level, "fields": fields}})
            return
