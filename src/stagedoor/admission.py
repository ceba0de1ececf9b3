"""Who is let in: the one decision, for a request and for the debug port alike."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from .allowlist import Allowlist

#: Stands for the address of a peer on a Unix socket, which has none.
UNIX_PEER = "unix"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody was not let in.

    :param code: one word for the audit record: ``address``, ``token``, ``blank``, ``unparseable``, ``forwarded``.
    :param sentence: the reason, for the person who reads the log.
    """

    code: str
    sentence: str


def refusal(
    address: str, allowlist: Allowlist, *, token: str, presented: str | None, require_token: bool, tunnel: bool = False
) -> Refusal | None:
    """Why ``address`` is not let in, or ``None`` if it is.

    :param address: the peer's address as the server or the kernel gave it, one string.
    :param token: the open window's token.
    :param presented: the token that came with the request or the attach, or ``None``.
    :param require_token: an allowed address is not enough.
    :param tunnel: a loopback peer that is not on the allowlist is let in with the token; true only for a debug port that
        itself listens on loopback or on a Unix socket, because an SSH tunnel ends like that.
    """
    # A DAP client can send any string, half a surrogate pair too.
    holds_token = presented is not None and hmac.compare_digest(
        presented.encode("utf-8", "surrogatepass"), token.encode("utf-8", "surrogatepass")
    )
    if address in allowlist:
        if not require_token or holds_token:
            return None
        return Refusal("token", f"{address} is allowed, but {_token_problem(presented)}; require_token is on")
    if tunnel and (address == UNIX_PEER or allowlist.is_loopback(address)):
        if holds_token:
            return None
        return Refusal(
            "token", f"{address} is not on the allowlist, and {_token_problem(presented)}; allowed: {allowlist}"
        )
    return Refusal("address", f"{address} is not on the allowlist; allowed: {allowlist}")


def _token_problem(presented: str | None) -> str:
    return "it presented no token" if presented is None else "it presented a wrong token"
