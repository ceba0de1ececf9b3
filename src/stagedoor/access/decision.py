"""Who is let in: the one decision, for a request and for the debug port alike."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from .addresses import is_loopback
from .allowlist import Allowlist

#: Stands for the address of a peer on a Unix socket, which has none.
UNIX_PEER = "unix"

#: Where a person finds the window's token, as the end of a sentence.
TOKEN_SHOWN = "`stagedoor status` shows it"

_QUOTES = "\"'`"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody was not let in.

    :param code: one word for the audit record: ``address``, ``token``, ``blank``, ``unparseable``, ``forwarded``.
    :param sentence: the reason, for the person who reads the log. One about the token holds neither a token nor the
        allowlist: whoever attaches is told it too.
    """

    code: str
    sentence: str


def refusal(
    address: str,
    allowlist: Allowlist,
    *,
    token: str,
    presented: str | None,
    require_token: bool,
    at_port: bool = False,
    is_own: bool = False,
    shown: str = TOKEN_SHOWN,
) -> Refusal | None:
    """Why ``address`` is not let in, or ``None`` if it is.

    :param address: the peer's address as the server or the kernel gave it, one string.
    :param token: the open window's token.
    :param presented: the token that came with the request or the attach, or ``None``. Blanks and quotes around it are
        what copying adds, and don't count: no token has any.
    :param require_token: an allowed address is not enough.
    :param at_port: ``address`` is a peer of the debug port. On loopback or a Unix socket it is let in with the token
        and never without, whatever the allowlist says: an SSH tunnel ends there, and so does every user of this server.
        False for a request, whose address says which visitor it is: there loopback is an address as any other.
    :param is_own: ``address`` is one of this machine's, see :func:`~.addresses.is_own_address`. Such a peer of the debug
        port is as one on loopback: whoever is on this server may come from there.
    :param shown: where a person finds the token, as the end of a sentence.
    """
    holds = presented is not None and holds_token(presented, token)
    if at_port and (address == UNIX_PEER or is_loopback(address) or is_own):
        if holds:
            return None
        where = "from the server's own addresses" if is_own else "on loopback and on Unix sockets"
        why = f"the window's is needed {where}, at the end of an SSH tunnel for example"
    elif address not in allowlist:
        return Refusal("address", f"{address} is not on the allowlist; allowed: {allowlist}")
    elif holds or not require_token:
        return None
    else:
        why = "require_token is on, so an allowed address is not enough"
    return Refusal("token", f"{_token_problem(address, token, presented, why)}; {shown}")


def holds_token(presented: str, token: str) -> bool:
    """Whether ``presented`` is the window's token, compared in constant time."""
    # A DAP client can send any string, half a surrogate pair too.
    return hmac.compare_digest(
        _bare(presented).encode("utf-8", "surrogatepass"), token.encode("utf-8", "surrogatepass")
    )


def best_of(carried: Sequence[str], token: str) -> str | None:
    """The one to judge of all that a request carries: a browser sends an old cookie beside the new one."""
    return next((each for each in carried if holds_token(each, token)), carried[0] if carried else None)


def _bare(presented: str) -> str:
    """Without the blanks, line ends and quotes with which a token comes out of a terminal or a JSON document."""
    bare = presented.strip()
    if len(bare) > 1 and bare[0] in _QUOTES and bare[-1] == bare[0]:
        bare = bare[1:-1].strip()
    return bare


def _token_problem(address: str, token: str, presented: str | None, why: str) -> str:
    peer = "a peer on the Unix socket" if address == UNIX_PEER else address
    if presented is None:
        return f"no token came from {peer}: {why}"
    came = len(_bare(presented))
    if came != len(token):
        return f"wrong token: {len(token)} characters expected, {came} came from {peer}"
    return f"wrong token: {came} characters came from {peer}, as expected, but not these: perhaps an old window's"
