"""The headers by which a proxy gives itself away: not a list of those that are known, but what their names have in common.

Names only. What a header holds could tell an address too, but ``1.2.3.4`` may as well be a version.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

#: Words that stand for an address ...
_ADDRESS = "IP|IPV4|IPV6|ADDR|ADDRESS|HOST"
#: ... and for whoever is at the other end of a connection.
_PARTY = (
    "CLIENT|REMOTE|REAL|TRUE|PEER|VIEWER|VISITOR|CALLER|SENDER|SOURCE|SRC|SOCKET|EXTERNAL|CONNECTING|CONNECTION|"
    "ORIGIN|ORIGINAL|ORIGINATING"
)
_TELLS = re.compile(
    r"HTTP_(?:.*_)?(?:"
    r"FORWARDED.*|FORWARD_FOR|VIA|COMING_FROM"
    # X-Client-IP, CF-Connecting-IPv6: no client has a reason to send any address of the kind.
    r"|IP|IPV4|IPV6|USERIP"
    # X-Remote-Addr, X-Envoy-External-Address; one word or two. A shipping address is no such thing, nor is Host alone.
    rf"|(?:{_PARTY})_?(?:{_ADDRESS})"
    r")"
)
#: How people write these words, where not with one capital letter.
_SPELLED = {"IP": "IP", "IPV4": "IPv4", "IPV6": "IPv6", "CF": "CF"}


def forwarding_header(keys: Iterable[object]) -> str | None:
    """The key of the environ by which a proxy gives itself away, or ``None``.

    :param keys: of the environ. ``X-Forwarded-For`` goes first, because ProxyFix reads it.
    """
    found = [key for key in tuple(keys) if type(key) is str and gives_a_proxy_away(key)]
    return "HTTP_X_FORWARDED_FOR" if "HTTP_X_FORWARDED_FOR" in found else next(iter(found), None)


@lru_cache(maxsize=1024)
def gives_a_proxy_away(key: str) -> bool:
    """Whether a proxy sends the header with this key, such as ``HTTP_X_REAL_IP``, and a client does not.

    Remembered, because nearly all requests have the same few headers: 25 of them take 1 us, and 20 us without.
    """
    return _TELLS.fullmatch(key) is not None


def header_name(key: str) -> str:
    """A key of the environ as people write the header: ``X-Real-IP``."""
    return "-".join(_SPELLED.get(word, word.capitalize()) for word in key.removeprefix("HTTP_").split("_"))
