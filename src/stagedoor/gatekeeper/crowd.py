"""Who gives way when too many have connected and not attached, and whose connections are counted together."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from stagedoor.access.addresses import is_loopback
from stagedoor.control import place

from . import tcp_table

#: Who is at the other end of a connection: first the network that it may have many addresses of, then itself.
Peer = tuple[str, str]

#: Whose process has ended, or has closed its end.
GONE: Peer = ("gone", "gone")
#: Who was not looked up yet, because that would take too much of this process's time.
UNKNOWN: Peer = ("unknown", "unknown")

#: The table of all sockets is read at most for this part of the time: with 10,000 that takes longer than all else.
_LOOK_SHARE = 0.1
_LOOK_PAUSE = 0.05


def to_evict(waiting: Sequence[Peer], cap: int) -> int | None:
    """Which connection has to end, if any.

    The oldest one of whoever has most, so that nobody can keep others out who has not as many peers as the cap allows:
    first of the network that has most, in it of the peer that has most. Never the one that has just come.

    :param waiting: the peers of all connections that are no session, in the order in which they came.
    :param cap: how many there may be, at least 1.
    :returns: an index into ``waiting``, or ``None``.
    """
    if len(waiting) <= cap:
        return None
    candidates = list(range(len(waiting) - 1))
    for level in (1, 2):
        held = Counter(peer[:level] for peer in waiting)
        most = max(held[waiting[index][:level]] for index in candidates)
        candidates = [index for index in candidates if held[waiting[index][:level]] == most]
    return candidates[0]


def at_address(host: str) -> Peer:
    """The peer at an address of another machine."""
    address = ipaddress.ip_address(tcp_table.canonical(host))
    network = ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False)
    return str(network), str(address)


def of_user(uid: int) -> Peer:
    """A process of this machine: all that a user has are one peer, from however many addresses they come."""
    return f"uid {uid}", f"uid {uid}"


class Census:
    """Says who is at the other end of connections.

    :param port: the port that they are to; 0 for a Unix socket.
    :param clock: monotonic seconds.
    """

    def __init__(self, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._port = port
        self._clock = clock
        self._owners: dict[tuple[str, int], int] = {}
        self._next_look = 0.0

    def peer(self, connection: socket.socket, address: Any) -> Peer:
        """Who is at the other end.

        :param address: the peer's, as :func:`socket.accept` gives it.
        """
        if connection.family == socket.AF_UNIX:
            credentials = place.peer_credentials(connection)
            return of_user(credentials[1]) if credentials is not None else ("unix", "unix")
        try:
            own = connection.getsockname()
        except OSError:
            return GONE
        try:
            uid = tcp_table.owner(address[0], address[1], own[0], own[1])
        except OSError:
            if not self._has_looked_for(address):
                return UNKNOWN
            uid = self._owners.get(_key(address))
        if uid is not None:
            return of_user(uid)
        return GONE if _is_this_machines(address[0], own[0]) else at_address(address[0])

    def _has_looked_for(self, address: Any) -> bool:
        """Look into the table of all sockets, unless that was done a moment ago; returns whether the answer holds."""
        if _key(address) in self._owners:
            return True
        began = self._clock()
        if began < self._next_look:
            return False
        try:
            found = tcp_table.sockets_to(self._port)
            self._owners = {(each.host, each.port): each.uid for each in found if each.is_held}
        except OSError:
            self._owners = {}
        took = self._clock() - began
        self._next_look = began + took + max(_LOOK_PAUSE, took / _LOOK_SHARE)
        return True


def _key(address: Any) -> tuple[str, int]:
    return tcp_table.canonical(address[0]), int(address[1])


def _is_this_machines(host: str, own: str) -> bool:
    # Not is_own_address(), which says yes in doubt: where any address can be bound to, all peers would be one.
    host = tcp_table.canonical(host)
    return host == tcp_table.canonical(own) or is_loopback(host)
