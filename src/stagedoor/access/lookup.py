"""Whether an address is in one of many spans: asked of every request, so compiled for that beforehand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from socket import AF_INET, AF_INET6, inet_pton

from .addresses import MAPPED_PREFIX

#: Version, first and last address, as numbers.
Span = tuple[int, int, int]

_MAPPED_FIRST = int.from_bytes(MAPPED_PREFIX + bytes(4), "big")


def compiled(spans: Iterable[Span]) -> Callable[[object], bool]:
    """Whether an address, as text, is in one of these spans: a function for :attr:`.allowlist.Allowlist.is_allowed`.

    It searches sorted bounds, at each of which the answer changes. Bytes of one size sort like the numbers that they
    are, so what inet_pton returns is looked up as it is. No answer is remembered: that takes longer (200 ns on CPython
    3.12) than to find it again (100 ns in 1,000 networks).
    """
    ipv4_spans = [(first, last) for version, first, last in spans if version == 4]
    ipv6_spans = [(first, last) for version, first, last in spans if version == 6]
    ipv6_spans += [(_MAPPED_FIRST + first, _MAPPED_FIRST + last) for first, last in ipv4_spans]
    (ipv4_bounds, ipv4_answers), (bounds, answers) = _searchable(ipv4_spans, 4), _searchable(ipv6_spans, 16)

    def is_allowed(address: object) -> bool:
        if type(address) is not str:
            return False
        try:
            # As the one parser reads it (:mod:`.addresses`), but without another call.
            if ":" not in address:
                packed = inet_pton(AF_INET, address)
                answer = ipv4_answers[packed[0]]
                return bisect_right(ipv4_bounds, packed) & 1 == 1 if answer is None else answer
            if "%" in address:
                return False
            packed = inet_pton(AF_INET6, address)
        except (OSError, ValueError):
            return False
        answer = answers[packed[0]]
        return bisect_right(bounds, packed) & 1 == 1 if answer is None else answer

    return is_allowed


def _searchable(spans: list[tuple[int, int]], size: int) -> tuple[list[bytes], list[bool | None]]:
    """The sorted bounds of what is allowed; and by the first byte of an address the answer, where it is the same for all
    such addresses: of many networks few are searched.

    :param spans: first and last addresses, disjoint.
    :param size: of an address, in bytes.
    """
    end = 2 ** (8 * size)
    numbers = [number for first, last in sorted(spans) for number in (first, last + 1) if number < end]
    bounds = [number.to_bytes(size, "big") for number in numbers]
    answers: list[bool | None] = []
    for first_byte in range(256):
        index = bisect_right(bounds, bytes((first_byte, *bytes(size - 1))))
        is_same = index == bisect_right(bounds, bytes((first_byte, *b"\xff" * (size - 1))))
        answers.append(index & 1 == 1 if is_same else None)
    return bounds, answers
