"""The allowlist: which addresses are let in. Read strictly, asked fast, printed for people.

The only importer of netaddr, which knows networks, ranges and globs, but is generous about spellings and slow to
ask: so every address, of an entry or a request, goes through one strict parser (:mod:`.addresses`), and netaddr's
reading of the entries is compiled to sorted lists (:mod:`.lookup`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import netaddr  # type: ignore[import-untyped]

from stagedoor.errors import ConfigurationError

from .addresses import MAPPED_PREFIX, spelled
from .lookup import Span, compiled

PRINTED = 8  # entries that a log line spells out

_MAPPED = netaddr.IPNetwork((int.from_bytes(MAPPED_PREFIX + bytes(4), "big"), 96), version=6)
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
        #: What the entries let in together, in spans that don't overlap; IPv4-mapped addresses as IPv4.
        self.spans = _spans(ranges.values())
        #: What ``in`` asks, for whoever asks it of every request: a call of this costs less.
        self.is_allowed = compiled(self.spans)

    def __contains__(self, address: object) -> bool:
        """Whether an address, as text, is let in. Never raises.

        False for all that is no address: blanks, zone ids, networks, integers. Exactly :class:`str` counts as
        text (the native string of PEP 3333), because a subclass could compare as it pleases.
        """
        return self.is_allowed(address)

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


def spans_of(entries: str) -> tuple[Span, ...]:
    """What these entries let in, as :attr:`Allowlist.spans`."""
    return _spans(_read_entry(entry, "allow")[1] for entry in _split(entries, "allow"))


def _spans(ranges: Iterable[netaddr.IPListMixin]) -> tuple[Span, ...]:
    allowed = netaddr.IPSet(ranges)
    ipv4 = [(4, each.first, each.last) for each in allowed.iter_ipranges() if each.version == 4]
    # IPv4-mapped addresses are IPv4, so no network of IPv6 lets them in, and those of IPv4 do.
    allowed.remove(_MAPPED)
    return (*ipv4, *((6, each.first, each.last) for each in allowed.iter_ipranges() if each.version == 6))


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
    if address := spelled(text):
        return address
    raise _Unreadable(*next(rest for pattern, *rest in _NO_ADDRESS if re.search(pattern, text, re.A | re.I)))
