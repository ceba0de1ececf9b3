"""Who is let in, and as whom: the one decision, for a request and for the debug port alike."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from .addresses import is_loopback, normalized
from .allowlist import Allowlist
from .passes import SHORTEST_TOKEN, Purpose, can_make_passes, is_pass, name_on

#: Stands for the address of a peer on a Unix socket, which has none.
UNIX_PEER = "unix"

#: The owner of a session that is everybody's, as far as they have none of their own.
EVERYBODY = "*"

#: What a request has to have to match: an allowed address, or a token or pass.
SELECT_CHOICES = ("address", "token")

#: Where a person finds the window's token, as the end of a sentence.
TOKEN_SHOWN = "`stagedoor status` shows it"

_QUOTES = "\"'`"


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who was let in.

    :param owner: whose the request is, or the session: a pass's name, else an address in its canonical spelling; of the
        session of whoever attaches with the window's token, :data:`EVERYBODY`. No two kinds of these can be the same text.
    :param claims: of whoever attaches with a pass, the address whose requests without a pass are theirs too, unless
        another session has it; ``None`` if there is none.
    """

    owner: str
    claims: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody was not let in.

    :param code: one word for the audit record: ``address``, ``select``, ``token``, ``pass``, ``http``, ``blank``,
        ``unparseable``, ``forwarded``. The first two are what visitors get who ask for nothing.
    :param sentence: the reason, for the person who reads the log. One about a token or pass holds neither of them nor the
        allowlist: whoever attaches is told it too.
    """

    code: str
    sentence: str


def decide_request(
    address: str,
    allowlist: Allowlist,
    *,
    token: str,
    carried: Sequence[str] = (),
    require_token: bool = False,
    select: str = "address",
    is_https: bool = False,
    shown: str = TOKEN_SHOWN,
) -> Admitted | Refusal:
    """Whether a request matches, and whose it is.

    :param address: the client's, as the server gave it, one string. It says which visitor it is: loopback is one as any.
    :param token: the open window's token.
    :param carried: what the request carries where a token or pass belongs; of several the best one counts, because a
        browser sends an old cookie beside the new one. Blanks and quotes around it are what copying adds, and don't count:
        no token and no pass has any. A pass that is not valid keeps the request out even where none is asked for: it is
        somebody's who wants no session but their own. A wrong token says nothing of that kind.
    :param require_token: an allowed address is not enough.
    :param select: ``"address"`` lets allowed addresses in; ``"token"`` any address, with a token or pass that came over
        https, and nobody else.
    :param is_https: whether the request came over https.
    :param shown: where a person finds the token, as the end of a sentence.
    """
    held = _best_of(carried, token)
    known = normalized(address)
    if select == "address" and address not in allowlist:
        return Refusal("address", f"{address} is not on the allowlist; allowed: {allowlist}")
    if known is None:
        return Refusal("unparseable", "the client's address is none")
    if held.is_bad_pass:
        return Refusal("pass", _pass_problem(address, token, held, "request"))
    if not held.is_valid and select == "token":
        why = 'select is "token", so requests must carry one, or a pass'
        return Refusal("token" if carried else "select", f"{_token_problem(address, token, held, why)}; {shown}")
    if not held.is_valid and require_token:
        why = "require_token is on, so an allowed address is not enough"
        return Refusal("token", f"{_token_problem(address, token, held, why)}; {shown}")
    if select == "token" and not is_https:
        return Refusal(
            "http",
            f'a request from {address} carried a token or pass over plain http, where others can read it: with select="token"'
            " these count over https only. If that ends at a proxy, have it send X-Forwarded-Proto, and give ProxyFix"
            " x_proto=1",
        )
    return Admitted(held.name or known)


def decide_peer(
    address: str,
    allowlist: Allowlist,
    *,
    token: str,
    presented: str | None,
    require_token: bool,
    is_own: bool = False,
    shown: str = TOKEN_SHOWN,
) -> Admitted | Refusal:
    """Whether a peer of the debug port may attach, and whose its session is.

    On loopback or a Unix socket it is let in with the window's token or a pass and never without, whatever the allowlist
    says: an SSH tunnel ends there, and so does every user of this server.

    :param address: the peer's as the kernel gave it, or :data:`UNIX_PEER`.
    :param presented: what came with the attach, a token or a pass, or ``None``; as for :func:`decide_request`.
    :param is_own: ``address`` is one of this machine's, see :func:`~.addresses.is_own_address`. Such a peer is as one on
        loopback: whoever is on this server may come from there.
    """
    held = _read(presented, token, "attach")
    is_here = address == UNIX_PEER or is_loopback(address) or is_own
    if not is_here and address not in allowlist:
        return Refusal("address", f"{address} is not on the allowlist; allowed: {allowlist}")
    if held.is_bad_pass:
        return Refusal("pass", _pass_problem(address, token, held, "attach"))
    if held.name is not None:
        return Admitted(held.name, claims=None if is_here else normalized(address))
    if held.is_valid:
        return Admitted(EVERYBODY)
    if is_here:
        where = "from the server's own addresses" if is_own else "on loopback and on Unix sockets"
        why = f"the window's is needed {where}, at the end of an SSH tunnel for example"
    elif require_token:
        why = "require_token is on, so an allowed address is not enough"
    else:
        return Admitted(normalized(address) or address)
    return Refusal("token", f"{_token_problem(address, token, held, why)}; {shown}")


def holds_token(presented: str, token: str) -> bool:
    """Whether ``presented`` is the window's token, compared in constant time."""
    # A DAP client can send any string, half a surrogate pair too.
    return hmac.compare_digest(
        _bare(presented).encode("utf-8", "surrogatepass"), token.encode("utf-8", "surrogatepass")
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """What somebody presents.

    :param text: as it was meant; ``None`` if it is nothing.
    :param name: that on a pass, or on what looks like one.
    :param is_valid: it is the window's token, or a pass of this window for this purpose.
    """

    text: str | None = field(default=None, repr=False)
    name: str | None = None
    is_valid: bool = False

    @property
    def is_bad_pass(self) -> bool:
        return self.name is not None and not self.is_valid


def _read(presented: str | None, token: str, purpose: Purpose) -> _Held:
    if presented is None:
        return _Held()
    text = _bare(presented)
    if holds_token(text, token):
        return _Held(text, is_valid=True)
    return _Held(text, name_on(text), is_pass(text, purpose, token))


def _best_of(carried: Sequence[str], token: str) -> _Held:
    """The pass, else the token, else a pass that is none, else what came first."""
    held = [_read(each, token, "request") for each in carried]
    return max(held, key=lambda each: (each.is_valid, each.name is not None), default=_Held())


def _bare(presented: str) -> str:
    """Without the blanks, line ends and quotes with which a token comes out of a terminal or a JSON document."""
    bare = presented.strip()
    if len(bare) > 1 and bare[0] in _QUOTES and bare[-1] == bare[0]:
        bare = bare[1:-1].strip()
    return bare


def _peer(address: str) -> str:
    return "a peer on the Unix socket" if address == UNIX_PEER else address


def _token_problem(address: str, token: str, held: _Held, why: str) -> str:
    if held.text is None:
        return f"no token came from {_peer(address)}: {why}"
    came = len(held.text)
    if came != len(token):
        return f"wrong token: {len(token)} characters expected, {came} came from {_peer(address)}"
    return f"wrong token: {came} characters came from {_peer(address)}, as expected, but not these: perhaps an old window's"


def _pass_problem(address: str, token: str, held: _Held, purpose: Purpose) -> str:
    name = held.name
    if not can_make_passes(token):
        return (
            f"{_peer(address)} brought a pass of {name}'s, and the window's token has {len(token)} characters: passes need"
            f" one of at least {SHORTEST_TOKEN}, so set a longer STAGEDOOR_TOKEN and restart the application"
        )
    other: Purpose = "attach" if purpose == "request" else "request"
    if is_pass(held.text or "", other, token):
        whose = "a request carries" if purpose == "request" else "a client attaches with"
        return f'{_peer(address)} brought {name}\'s pass "{other}": {whose} the other one of `stagedoor pass {name}`'
    return (
        f"{_peer(address)} brought a pass of {name}'s that is none of this window's, perhaps an old one's:"
        f" `stagedoor pass {name}` prints new ones"
    )
