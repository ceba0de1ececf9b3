"""All sessions and workers, as one session sees them."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from .fleet import Fleet
from .patience import Patience
from .workers import Worker


class Company(Protocol):
    """Everybody."""

    patience: Patience
    working_directory: str
    fleet: Fleet

    @property
    def workers(self) -> list[Worker]:
        """All workers."""

    def until(self) -> str:
        """When the window ends, for people."""

    def hold(self, session: Any) -> None:
        """A session is configured."""

    def release(self, session: Any) -> None:
        """It is over."""

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done meanwhile."""
