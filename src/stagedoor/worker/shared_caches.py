"""Whether a response says that a shared cache may keep it, and give to others what was made for a developer."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Directives, of which a value can be a quoted string with commas in it (RFC 9111, 5.2).
_DIRECTIVE = re.compile(r'([\w-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^",\s]*))?')
#: Those that keep a response out of shared caches, whatever else it says.
_FORBIDDING = ("no-store", "private")
#: The headers that only shared caches read (RFC 9213; Surrogate-Control and others by their makers).
_FOR_SHARED = re.compile(r"(?:[\w-]+-)?cdn-cache-control|surrogate-control", re.I)


def kept_by_shared_caches(headers: Iterable[object]) -> str | None:
    """What in these headers says that a shared cache may keep the response, such as ``Cache-Control: public``, or
    ``None``. What is no header is passed over.
    """
    said: set[str] = set()
    found: str | None = None
    for header in headers:
        if not (isinstance(header, tuple) and len(header) == 2 and all(isinstance(part, str) for part in header)):
            continue
        name, value = header
        is_for_shared = _FOR_SHARED.fullmatch(name) is not None
        if is_for_shared or name.lower() == "cache-control":
            directives = {key.lower(): given.strip('"') for key, given in _DIRECTIVE.findall(value)}
            said |= directives.keys()
            word = _permission(directives, is_for_shared)
            if found is None and word is not None:
                found = f"{name}: {word}"
    return None if said.intersection(_FORBIDDING) else found


def _permission(directives: dict[str, str], is_for_shared: bool) -> str | None:
    for word in ("s-maxage", "max-age") if is_for_shared else ("s-maxage",):
        age = directives.get(word)
        # Zero seconds: kept, but asked for again each time.
        if age is not None and age.isdecimal() and age.strip("0"):  # No number: there may be thousands of digits.
            return f"{word}={age}"
    return "public" if "public" in directives and directives.get("s-maxage") != "0" else None


def sentence_for(permission: str, request: str) -> str:
    """What is said of it."""
    return (
        f"The response to {request} says {permission}: a cache between server and visitors may keep it and give it to"
        " others, with all that debugging has changed in it. Go past the cache while you debug, or send"
        " Cache-Control: private for the developers' requests."
    )
