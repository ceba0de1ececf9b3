"""Whether an allowlist lets in more than developers: everybody in several pieces, or every user of this server."""

from __future__ import annotations

from collections.abc import Iterable

from .allowlist import Allowlist, spans_of
from .lookup import Span

#: Of each version: its name, the addresses that are the internet's, and how many of them are more than any one
#: organisation's developers have: the largest block that one is given (IPv4), and that there is a name for (IPv6).
_INTERNET = (
    (4, "IPv4", spans_of("1.0.0.0-223.255.255.255"), 2**24),
    (6, "IPv6", spans_of("2000::/3"), 2**112),
)
#: Of those, the ones that never come over the internet (RFC 6890).
_PRIVATE = spans_of("10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16")
_LOOPBACK = spans_of("127.0.0.0/8 ::1")


def openness(allowlist: Allowlist, *, only_port: bool = False) -> list[str]:
    """What an operator should know of an allowlist, each a sentence with its remedy; none if it is as narrow as it
    should be. A function of what the entries let in together, however they are written.

    :param only_port: it is not asked for requests (``select="token"``). At the port loopback needs the token anyway.
    """
    found = []
    for version, name, internet, most in _INTERNET:
        allowed = _common(allowlist.spans, internet) - _common(allowlist.spans, _PRIVATE, version)
        if allowed > most:
            all_of_them = _common(internet, internet) - _common(internet, _PRIVATE)
            what = "attach to the debug port" if only_port else "debug as developers do"
            found.append(
                f"The allowlist lets in {_share(allowed, all_of_them)} of the internet's {name} addresses, so strangers"
                f" can {what}. Name the addresses that developers come from."
            )
    if not only_port and _common(allowlist.spans, _LOOPBACK):
        entry = next(entry for entry in allowlist if _common(spans_of(entry), _LOOPBACK))
        found.append(
            f"The allowlist lets in loopback, by {entry}: requests of every user of this server match, and those of"
            " every visitor where a proxy on this server has no ProxyFix behind it. It helps nobody to attach: through"
            " an SSH tunnel the window's token is what counts. Name the addresses that developers come from."
        )
    return found


def _common(some: Iterable[Span], others: Iterable[Span], version: int | None = None) -> int:
    """How many addresses, of this version or of both, are in both. Neither overlaps itself."""
    return sum(
        max(0, min(last, other_last) - max(first, other_first) + 1)
        for one, first, last in some
        for other, other_first, other_last in others
        if one == other and version in (None, one)
    )


def _share(part: int, whole: int) -> str:
    if part == whole:
        return "all"
    percent = 100 * part / whole
    return f"{percent:.0f}%" if percent >= 1 else f"{percent:.1g}%"
