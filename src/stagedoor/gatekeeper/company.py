"""All sessions and workers, as one session sees them."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from .fleet import Fleet
from .patience import Patience
from .reporting import ForwardedAudit
from .workers import Worker


class Company(Protocol):
    """Everybody."""

    patience: Patience
    working_directory: str
    fleet: Fleet
    audit: ForwardedAudit

    @property
    def workers(self) -> list[Worker]:
        """All workers."""

    def until(self) -> str:
        """When the window ends, for people."""

    def token(self) -> str:
        """The window's, which nothing that is written may show."""

    def hold(self, session: Any) -> None:
        """A session is configured."""

    def release(self, session: Any) -> None:
        """It is over."""

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done meanwhile."""
