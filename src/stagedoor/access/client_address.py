"""From a request to its client's address, or to the reason why nobody can say what that is.

No header is read here. Which of the addresses in a forwarding header can be believed depends on the proxies in front
of the server, and :class:`~werkzeug.middleware.proxy_fix.ProxyFix` is where the application says how many there are.
That such a header is there, and nobody has said so, is reason enough to doubt the address (CVE-2015-3224).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stagedoor.errors import shortened

from .addresses import normalized
from .decision import Refusal
from .proxy_headers import forwarding_header, header_name

#: What can be done with a request that has forwarding headers which no ProxyFix has handled.
FORWARDED_CHOICES = ("refuse", "ignore")

_IMPORT = "from werkzeug.middleware.proxy_fix import ProxyFix"


def proxy_fix_remedy(name: str) -> str:
    """How to apply ProxyFix, whole sentences.

    :param name: what has to be wrapped, as the application's code calls it: ``app.wsgi_app``, ``application``.
    """
    return (
        f"Add these two lines below the StageDoor line, with the number of proxies for x_for: {_IMPORT} and"
        f" {name} = ProxyFix({name}, x_for=1). ProxyFix must be outermost, so that it comes first."
    )


#: For an application of which no more is known.
PROXY_FIX_REMEDY = proxy_fix_remedy("application")


def client_address(
    environ: Mapping[str, Any], *, forwarded: str = "refuse", remedy: Callable[[], str] = lambda: PROXY_FIX_REMEDY
) -> str | Refusal:
    """The address that a request comes from, in its canonical spelling, or why it can't be told. Never raises.

    :param environ: the request, as StageDoor gets it. ``REMOTE_ADDR`` is the only address in it that is looked at.
    :param forwarded: ``"refuse"`` doubts ``REMOTE_ADDR`` where a forwarding header is there, unless ProxyFix has
        replaced it; that is the default, because the address of a proxy is everybody's address. ``"ignore"``
        believes it: for a server that has replaced it itself, or where such headers mean nothing.
    :param remedy: says how to apply ProxyFix to this application, whole sentences; asked only when they are needed.
    :returns: a :class:`Refusal` has the code ``forwarded``, ``blank`` or ``unparseable``.
    """
    remote = environ.get("REMOTE_ADDR")
    if forwarded != "ignore":
        key = forwarding_header(environ)
        if key is not None and (doubt := _doubt(environ, key, remote, remedy)) is not None:
            return Refusal("forwarded", doubt)
    return normalized(remote) or _no_address(remote, remedy)


def _doubt(environ: Mapping[str, Any], key: str, remote: object, remedy: Callable[[], str]) -> str | None:
    """Why the address of a request with the forwarding header ``key`` can't be believed, or ``None`` if it can."""
    original: Any = environ.get("werkzeug.proxy_fix.orig")
    handled = isinstance(original, dict)
    # ProxyFix stores what was there, and leaves it there if it finds no address to put in its place.
    if handled and normalized(original.get("REMOTE_ADDR", remote)) != normalized(remote):
        return None
    header, peer = header_name(key), _named(remote)
    if not handled:
        return (
            f"{peer} sent {header}, which no ProxyFix has handled, so it may be a proxy and not the client. {remedy()}"
            + ("" if header == "X-Forwarded-For" else " It reads X-Forwarded-For only: have the proxy send that.")
            + ' If the header means nothing on this server, set forwarded="ignore"'
        )
    if header != "X-Forwarded-For":
        return (
            f"{peer} sent {header} without X-Forwarded-For, the one header from which ProxyFix takes an address,"
            " so it may be a proxy and not the client. Have each proxy add to X-Forwarded-For"
        )
    return (
        f"{peer} sent X-Forwarded-For, but ProxyFix left REMOTE_ADDR as it was, so it may be the proxy's own."
        " x_for must equal the number of proxies that add to the header: it is 0, or higher than the number of"
        " addresses in this one. Or the request came past one of the proxies, or from the proxy's own host"
    )


def _no_address(remote: object, remedy: Callable[[], str]) -> Refusal:
    if _is_blank(remote):
        return Refusal(
            "blank",
            "REMOTE_ADDR is blank, as on a Unix socket, so nobody knows who asks. Have the proxy in front of the socket"
            f" send X-Forwarded-For. {remedy()}".removesuffix("."),
        )
    return Refusal(
        "unparseable",
        f"REMOTE_ADDR is {_named(remote)}, which is not the address of a client: one IPv4 or IPv6 address,"
        " without port, zone or name",
    )


def _is_blank(remote: object) -> bool:
    return remote is None or (type(remote) is str and not remote.strip())


def _named(remote: object) -> str:
    """What the log calls the other side. What isn't plain text is not asked for its repr, which could do anything."""
    if _is_blank(remote):
        return "a peer without an address"
    return normalized(remote) or (
        shortened(remote) if type(remote) is str else f"a value of type {type(remote).__name__}"
    )
