"""Passes: what tells developers apart who debug in the same window.

A name has two of them, each for one purpose. A browser sends the one with its requests; it can't attach, so whoever steals
it can have requests paused and nothing more. Both are made of the window's token, and end with it: nothing is stored.
"""

from __future__ import annotations

import hmac
import itertools
import re
from dataclasses import dataclass, field
from typing import Literal

Purpose = Literal["request", "attach"]

#: The shortest token of which passes are made or believed. Whoever has a pass can try tokens without asking anybody, as
#: fast as machines are; a token by itself can be tried at the server only, and 16 characters are enough there.
SHORTEST_TOKEN = 32

#: No name is an address, nor a path, nor a host's name with a dot.
_NAME = r"[a-z][a-z0-9_-]{0,31}"
_NAME_ONLY = re.compile(_NAME, re.ASCII)
_SHAPE = re.compile(rf"({_NAME})\.[0-9a-f]{{64}}", re.ASCII)

#: So much of a token in a text is taken for it: who types one is asked for completions of each part.
_PART = 8
_PART_OF_PASS = re.compile(rf"(?:{_NAME}\.)?[0-9a-f]{{16,}}|{_NAME}\.[0-9a-f]{{8,}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Passes:
    """The two passes of one name, in one window.

    :param request: for the header or the cookie of requests.
    :param attach: for a client that attaches.
    """

    name: str
    request: str = field(repr=False)
    attach: str = field(repr=False)


def is_pass_name(text: str) -> bool:
    """Whether somebody can have passes by this name: 1 to 32 small letters, digits, ``_`` and ``-``, a letter first."""
    return _NAME_ONLY.fullmatch(text) is not None


def can_make_passes(token: str) -> bool:
    """Whether a token is long enough for passes. One that Stagedoor has made always is."""
    return len(token) >= SHORTEST_TOKEN


def make_passes(name: str, token: str) -> Passes:
    """The passes of a name under a window's token.

    :raises ValueError: if that is no name for one, or the token is too short.
    """
    if not is_pass_name(name):
        raise ValueError("no name for a pass")
    if not can_make_passes(token):
        raise ValueError(f"passes need a token of at least {SHORTEST_TOKEN} characters")
    return Passes(name, _pass(name, "request", token), _pass(name, "attach", token))


def name_on(text: str) -> str | None:
    """The name on what looks like a pass, valid or not; ``None`` if it does not look like one."""
    match = _SHAPE.fullmatch(text)
    return match[1] if match is not None else None


def is_pass(text: str, purpose: Purpose, token: str) -> bool:
    """Whether ``text`` is a pass for this purpose under a window's token, compared in constant time. Never raises."""
    name = name_on(text)
    return name is not None and can_make_passes(token) and hmac.compare_digest(text, _pass(name, purpose, token))


def without_secrets(text: str, token: str) -> str:
    """``text`` with ``***`` for a window's token, what looks like a pass, and longer parts of either."""
    parts = {token[start : start + _PART] for start in range(len(token) - _PART + 1)}
    covered = bytearray(len(text))
    for start in range(len(text) - _PART + 1):
        if text[start : start + _PART] in parts:
            covered[start : start + _PART] = b"\1" * _PART
    for found in _PART_OF_PASS.finditer(text):
        covered[found.start() : found.end()] = b"\1" * len(found[0])
    runs = itertools.groupby(range(len(text)), lambda place: bool(covered[place]))
    return "".join("***" if secret else "".join(text[place] for place in places) for secret, places in runs)


def _pass(name: str, purpose: Purpose, token: str) -> str:
    # Neither part can hold a line end, so no two of them make the same message.
    message = f"stagedoor pass\n{purpose}\n{name}"
    return f"{name}.{hmac.new(token.encode('utf-8', 'surrogatepass'), message.encode(), 'sha256').hexdigest()}"
