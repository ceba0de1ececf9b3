"""The token that a request carries: read, and taken out, so that neither the application nor its error tracker sees it."""

from __future__ import annotations

from typing import Any

TOKEN_HEADER, TOKEN_COOKIE = "HTTP_X_STAGEDOOR_TOKEN", "stagedoor_token"


def take_token(environ: dict[str, Any]) -> list[str]:
    """Take the token's header and cookies out of ``environ``; returns what they held, as it came.

    In place, because the server's own dictionary is what an error tracker outside of the application looks into as
    well. Every other cookie stays as it was, byte for byte.

    :returns: the header's value alone, if there is one; else those of all cookies of the name.
    """
    held = environ.pop(TOKEN_HEADER, None)
    values = _take_cookies(environ)
    return [held] if isinstance(held, str) else values


def _take_cookies(environ: dict[str, Any]) -> list[str]:
    cookies = environ.get("HTTP_COOKIE")
    if not isinstance(cookies, str):
        return []
    rest, values = without_token(cookies)
    if rest:
        environ["HTTP_COOKIE"] = rest
    else:
        del environ["HTTP_COOKIE"]
    return values


def without_token(cookies: str) -> tuple[str, list[str]]:
    """A ``Cookie`` header without the token's cookies, which is empty if there are no others; and what those held.

    Split as browsers and Django do it: a value can't hold a semicolon, in quotes neither (RFC 6265, 4.1.1). Werkzeug 3.1
    reads one in quotes as a part of the value; what looks like the token there goes too, rather than be shown.
    """
    kept, values = [], []
    for pair in cookies.split(";"):
        name, _, value = pair.partition("=")
        if name.strip() == TOKEN_COOKIE:
            values.append(value)
        else:
            kept.append(pair)
    if not values:
        return cookies, []
    rest = ";".join(kept)
    if cookies.partition("=")[0].strip() == TOKEN_COOKIE:
        rest = rest.removeprefix(" ")  # the blank between two cookies, of which one is gone
    return (rest if rest.strip(" \t;") else ""), values
