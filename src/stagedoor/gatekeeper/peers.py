"""Who is let in through the debug port: the gatekeeper's part of the one decision in :mod:`stagedoor.access.decision`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from stagedoor.access.addresses import is_loopback, is_own_address
from stagedoor.access.allowlist import Allowlist
from stagedoor.access.decision import TOKEN_SHOWN, Admitted, Refusal, decide_peer
from stagedoor.audit import Audit

#: How many of the last refused addresses are remembered, for ``status``.
REMEMBERED = 20


@dataclass(frozen=True, slots=True)
class RefusedPeer:
    """An address that was turned away.

    :param reason: one word, as in the audit record.
    :param at: the last time, in UTC.
    :param times: how often so far.
    """

    address: str
    reason: str
    at: str
    times: int


class Peers:
    """Decides on peers and on attaches, and remembers whom it has turned away.

    :param allow: the allowlist.
    :param token: the window's token, asked for at every decision.
    :param require_token: an allowed address is not enough.
    :param audit: where refusals are recorded.
    :param shown: where a developer finds the token, as the end of a sentence.
    """

    def __init__(
        self,
        allow: Allowlist,
        token: Callable[[], str],
        *,
        require_token: bool,
        audit: Audit,
        shown: str = TOKEN_SHOWN,
    ) -> None:
        self.allow = allow
        self._token = token
        self._require_token = require_token
        self._audit = audit
        self._shown = shown
        self._refused: dict[str, RefusedPeer] = {}

    def may_speak(self, address: str) -> bool:
        """Whether anything of this peer's is read: it is let in, or would be with the token. Recorded if not."""
        return isinstance(self.decide(address, self._token()), Admitted)

    def decide(self, address: str, presented: str | None) -> Admitted | Refusal:
        """Whether this peer may attach with this token or pass, and whose its session is. Recorded if not."""
        decision = decide_peer(
            address,
            self.allow,
            token=self._token(),
            presented=presented,
            require_token=self._require_token,
            is_own=not is_loopback(address) and is_own_address(address),
            shown=self._shown,
        )
        if isinstance(decision, Refusal):
            self._turned_away(address, decision)
        return decision

    @property
    def refused(self) -> list[dict[str, Any]]:
        """The last refused peers, the latest at the end: :class:`RefusedPeer` as JSON-ready fields."""
        return [asdict(peer) for peer in self._refused.values()]

    def _turned_away(self, address: str, refused: Refusal) -> None:
        before = self._refused.pop(address, None)
        now = datetime.now(UTC).strftime("%H:%M:%SZ")
        self._refused[address] = RefusedPeer(address, refused.code, now, before.times + 1 if before else 1)
        if len(self._refused) > REMEMBERED:
            del self._refused[next(iter(self._refused))]
        self._audit.refused(address, refused.code, f"debug port: {refused.sentence}", level=logging.WARNING)
