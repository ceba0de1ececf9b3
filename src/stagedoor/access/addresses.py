"""One address, as text: the one strict parser, and the one spelling.

No address is read in any other way: not those of entries, nor those of requests and peers.
"""

from __future__ import annotations

import errno
import socket
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

#: The first 12 bytes of an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2): ``::ffff:0:0/96``.
MAPPED_PREFIX = bytes(10) + b"\xff\xff"


def normalized(address: object) -> str | None:
    """The one canonical spelling of an address, or ``None`` for all that is no address. Never raises.

    IPv4-mapped IPv6 becomes IPv4: ``"::FFFF:0a00:0001"`` gives ``"10.0.0.1"``.
    """
    return spelled(address) if type(address) is str else None


def is_loopback(address: object) -> bool:
    """Whether an address, as text, is a loopback address: 127.0.0.0/8 or ::1. Never raises."""
    spelling = normalized(address)
    return spelling is not None and (spelling == "::1" or spelling.startswith("127."))


def is_own_address(address: object) -> bool:
    """Whether an address, as text, is one of this machine's, loopback or not: of those alone a socket can be bound to
    one. In doubt it is (``net.ipv4.ip_nonlocal_bind``, no descriptor left). Never raises.
    """
    spelling = normalized(address)
    if spelling is None:
        return False
    try:
        with socket.socket(AF_INET6 if ":" in spelling else AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((spelling, 0))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True


def spelled(address: str) -> str | None:
    """:func:`normalized`, of text."""
    packed = _packed(address)
    if packed is None:
        return None
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


def _packed(address: str) -> bytes | None:
    """The 4 or 16 bytes of an address, IPv4-mapped IPv6 as 4, or ``None``.

    inet_pton reads no octal, hexadecimal or abbreviated IPv4, no white space and no name.
    """
    try:
        if ":" not in address:
            return inet_pton(AF_INET, address)
        if "%" in address:  # a zone id; what inet_pton makes of it is the platform's choice
            return None
        packed = inet_pton(AF_INET6, address)
    except (OSError, ValueError):  # ValueError: a null character, or what can't be encoded
        return None
    return packed[12:] if packed.startswith(MAPPED_PREFIX) else packed
