"""The allowlist: which addresses are let in. Read strictly, asked fast, printed for people.

The only importer of netaddr, which knows networks, ranges and globs, but is generous about spellings and slow to
ask: so every address, of an entry or a request, goes through one strict parser (:func:`socket.inet_pton`), and
netaddr's reading of the entries is compiled to sorted lists.
"""

from __future__ import annotations

import re
import socket
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import netaddr  # type: ignore[import-untyped]

from .errors import ConfigurationError

#: For how many addresses an answer is remembered, before all are forgotten and it starts again.
REMEMBERED = 4096
#: The longest spelling of an address, in characters: IPv6 in full, with an embedded IPv4 address.
LONGEST_ADDRESS = 45
PRINTED = 8  # entries that a log line spells out

_IPV4_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291, section 2.5.5.2: ::ffff:0:0/96
_BITS = {4: 32, 6: 128}
_NUMBER = r"(?:0|[1-9]\d{0,2})"
_PART = rf"(?:\*|{_NUMBER}(?:-{_NUMBER})?)"
_GLOB = re.compile(rf"{_PART}(?:\.{_PART}){{3}}", re.ASCII)
_EXAMPLES = 'Write entries like "203.0.113.7", "2001:db8::/48", "10.0.0.1-10.0.0.9" or "10.0.*.*".'

# What people write that is no address: the first pattern that is found tells the problem and the remedy.
_NO_ADDRESS = [
    ("%", "has a zone id", "No request from an address with a zone is let in: write one without."),
    (":", "has a port or a malformed IPv6 address", 'Write "2001:db8::7", without brackets or a port.'),
    (r"^(?!0x)(?=.*[a-z])[\w.-]+$", "has a host name in it", "Write the address: no name is ever looked up."),
    (r"(?<!\d)0[\dx]", "has octal, hexadecimal or zero-padded numbers", "Write decimal ones: 8 and not 010."),
    (r"^\d+(\.\d+){3}$", "has a number above 255", 'Write numbers up to 255, like "10.0.0.1".'),
    (r"^\d+(\.\d+)*$", "has not four numbers", 'Write all, like "10.0.0.0/8": none is filled in.'),
    ("", "is no address, network, range or glob", _EXAMPLES),
]


class Allowlist:
    """The addresses that are let in.

    :param entries: addresses, CIDR networks (``10.0.0.0/8``), ranges (``10.0.0.1-10.0.0.9``) and globs
        (``10.0.*.*``, ``10.0.0.1-9``): one string, separated by commas or white space, or an iterable of
        strings with one entry each. None at all is allowed, and lets nobody in. IPv4-mapped IPv6 addresses
        count as IPv4, as they do in requests.
    :param name: the keyword or variable that the entries come from, for the message of an error.
    :raises ConfigurationError: for an entry that is anything else, that could be read in more than one way, or
        that lets everybody in. Nothing is looked up, corrected or guessed.

    Iterating gives the entries as canonical text, from which an equal allowlist can be made.
    """

    def __init__(self, entries: str | Iterable[str], name: str = "allow") -> None:
        ranges = dict(_read_entry(entry, name) for entry in _split(entries, name))
        self._entries = tuple(ranges)
        self._compiled = _compiled(ranges.values())
        self._answers = _Remembered(self._look_up)

    def __contains__(self, address: object) -> bool:
        """Whether an address, as text, is let in. Never raises.

        False for all that is no address: blanks, zone ids, networks, integers. Exactly :class:`str` counts as
        text (the native string of PEP 3333), because a subclass could compare as it pleases.
        """
        return type(address) is str and self._answers[address]

    @staticmethod
    def is_loopback(address: object) -> bool:
        """As :func:`is_loopback`, for whoever holds an allowlist."""
        return is_loopback(address)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        """How many entries there are; equal ones count once."""
        return len(self._entries)

    def __str__(self) -> str:
        """The entries for a log line, such as ``127.0.0.2, 2001:db8::/48``; the first few of many; or ``nobody``."""
        shown = ", ".join(self._entries[:PRINTED])
        more = len(self._entries) - PRINTED
        return f"{shown}, … and {more} more" if more > 0 else shown or "nobody"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def _look_up(self, address: str) -> bool:
        packed = _packed(address)
        if packed is None:
            return False
        firsts, lasts = self._compiled[len(packed)]
        index = bisect_right(firsts, packed) - 1
        return index >= 0 and packed <= lasts[index]


def normalized(address: object) -> str | None:
    """The one canonical spelling of an address, or ``None`` for all that is no address. Never raises.

    IPv4-mapped IPv6 becomes IPv4: ``"::FFFF:0a00:0001"`` gives ``"10.0.0.1"``.
    """
    return _spellings[address] if type(address) is str else None


def is_loopback(address: object) -> bool:
    """Whether an address, as text, is a loopback address: 127.0.0.0/8 or ::1. Never raises."""
    spelling = normalized(address)
    return spelling is not None and (spelling == "::1" or spelling.startswith("127."))


class _Remembered(dict[str, Any]):
    """The answers of a function of an address, remembered per spelling, bounded in number and in length.

    When full it starts again, so a flood of new addresses costs everybody else one more look-up in 4096. It needs
    no lock: threads that interleave compute an answer twice, or go over the bound by one each.
    """

    def __init__(self, function: Callable[[str], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, address: str) -> Any:
        answer = self._function(address)
        if len(address) <= LONGEST_ADDRESS:
            if len(self) >= REMEMBERED:
                self.clear()
            self[address] = answer
        return answer


def _packed(address: str) -> bytes | None:
    """The 4 or 16 bytes of an address, IPv4-mapped IPv6 as 4, or ``None``. The one parser of addresses.

    inet_pton reads no octal, hexadecimal or abbreviated IPv4, no white space and no name.
    """
    try:
        if ":" not in address:
            return socket.inet_pton(socket.AF_INET, address)
        if "%" in address:  # a zone id; what inet_pton makes of it is the platform's choice
            return None
        packed = socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):  # ValueError: a null character, or what can't be encoded
        return None
    return packed[12:] if packed.startswith(_IPV4_MAPPED) else packed


def _spelled(address: str) -> str | None:
    packed = _packed(address)
    if packed is None:
        return None
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


_spellings = _Remembered(_spelled)


def _compiled(ranges: Iterable[netaddr.IPListMixin]) -> dict[int, tuple[list[bytes], list[bytes]]]:
    """The first and last addresses of what is allowed, sorted and disjoint, by the size of an address in bytes.

    Bytes of one size sort like the numbers that they are, so what inet_pton returns is looked up as it is.
    """
    compiled: dict[int, tuple[list[bytes], list[bytes]]] = {4: ([], []), 16: ([], [])}
    for allowed in netaddr.IPSet(ranges).iter_ipranges():
        size = _BITS[allowed.version] // 8
        firsts, lasts = compiled[size]
        firsts.append(allowed.first.to_bytes(size, "big"))
        lasts.append(allowed.last.to_bytes(size, "big"))
    return compiled


class _Unreadable(Exception):
    """An entry can't be read. Its arguments are the problem and the remedy of a ConfigurationError."""


def _split(entries: object, name: str) -> list[object]:
    if isinstance(entries, str):
        return [entry for entry in re.split(r"[\s,]+", entries) if entry]
    # Bytes are refused as a whole: iterating them would give integers, and blame those one by one.
    if isinstance(entries, (bytes, bytearray, memoryview)) or not isinstance(entries, Iterable):
        raise ConfigurationError(name, entries, f"is of type {type(entries).__name__}, not text", _EXAMPLES)
    return list(entries)


def _read_entry(entry: object, name: str) -> tuple[str, netaddr.IPNetwork | netaddr.IPRange]:
    """One entry's canonical text, and netaddr's reading of it."""
    try:
        if not isinstance(entry, str):
            raise _Unreadable(f"is an entry of type {type(entry).__name__}, not text", _EXAMPLES)
        if not entry or re.search(r"[\s,]", entry):
            raise _Unreadable("is not exactly one entry", "Give each entry of a list by itself, without blanks.")
        if "/" in entry:
            text, allowed = _read_network(entry)
        elif "*" in entry or ("-" in entry and _GLOB.fullmatch(entry)):
            text, allowed = _read_glob(entry)
        elif "-" in entry:
            text, allowed = _read_range(entry)
        else:
            text = _read_address(entry)
            allowed = netaddr.IPNetwork(text)
        if allowed.size == 2 ** _BITS[allowed.version]:
            raise _Unreadable("lets everybody in", "Name the addresses that developers come from.")
    except _Unreadable as unreadable:
        raise ConfigurationError(name, entry, *unreadable.args) from None
    return text, allowed


def _read_network(entry: str) -> tuple[str, netaddr.IPNetwork]:
    written, _, prefix = entry.partition("/")
    address = _read_address(written)
    bits = 128 if ":" in address else 32
    if ":" in written and bits == 32:
        raise _Unreadable("is an IPv4-mapped network", 'Write it as IPv4, like "10.0.0.0/8".')
    if re.fullmatch(_NUMBER, prefix, re.ASCII) is None or int(prefix) > bits:
        raise _Unreadable(f"has no prefix length up to {bits}", 'Write one after the slash, like "10.0.0.0/8".')
    network = netaddr.IPNetwork(f"{address}/{prefix}")
    if network.ip != network.network:
        both = f'"{network.ip}/{bits}" for the one address or "{network.cidr}" for the whole network'
        raise _Unreadable("has host bits set, so it could mean two things", f"Write {both}.")
    return str(network), network


def _read_range(entry: str) -> tuple[str, netaddr.IPRange]:
    first, last = map(_read_address, entry.split("-", 1))
    try:
        return f"{first}-{last}", netaddr.IPRange(first, last)
    except netaddr.AddrFormatError:
        raise _Unreadable("is no range", "Write the lower address first, and both IPv4 or both IPv6.") from None


def _read_glob(entry: str) -> tuple[str, netaddr.IPRange]:
    # netaddr alone would read 010 as ten, where others read eight.
    if _GLOB.fullmatch(entry) is None or not netaddr.valid_glob(entry):
        form = "four decimal numbers, of which one may be a range and those after it asterisks"
        raise _Unreadable("is no glob of IPv4 addresses", f'Write {form}, like "10.0.*.*" or "10.0.0.1-9".')
    return entry, netaddr.glob_to_iprange(entry)


def _read_address(text: str) -> str:
    if address := _spelled(text):
        return address
    raise _Unreadable(*next(rest for pattern, *rest in _NO_ADDRESS if re.search(pattern, text, re.A | re.I)))
