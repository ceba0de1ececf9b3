"""The debug port: who may speak is decided before a byte is read, and nobody keeps others out by saying little."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from stagedoor.access.addresses import normalized
from stagedoor.access.decision import UNIX_PEER

from .client import Client
from .crowd import UNKNOWN, Census, Peer, to_evict
from .listener import notice_lost_peer
from .patience import Patience
from .peers import Peers
from .sessions import Sessions


class PortServer:
    """Serves the connections to the debug port.

    :param peers: who may speak.
    :param sessions: what connections become.
    :param port: the TCP port; 0 for a Unix socket.
    :param patience: how long connections are waited for, and how many.
    """

    def __init__(self, peers: Peers, sessions: Sessions, port: int, patience: Patience) -> None:
        self._peers = peers
        self._sessions = sessions
        self._patience = patience
        self._census = Census(port)
        self._clients: dict[Client, _Connection] = {}  # in the order in which they came

    async def serve(self, connection: socket.socket, peer: Any) -> None:
        """Serve one connection.

        :param peer: its address as :func:`socket.accept` gives it.
        """
        address = _address(connection, peer)
        if not self._peers.may_speak(address):
            connection.close()
            return
        try:
            reader, writer = await asyncio.open_connection(sock=connection)
        except BaseException:
            connection.close()
            raise
        client = Client(address, reader, writer, self._sessions.attach, self._patience)
        self._clients[client] = _Connection(connection, peer)
        self._make_room()
        try:
            await client.serve()
        finally:
            self._clients.pop(client, None)

    async def close(self) -> None:
        """End every connection: those of sessions that are over may say farewell, the others have nothing to say."""
        for client in self._clients:
            if client.is_undecided:
                client.abort()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.farewell
        while self._clients and loop.time() < deadline:
            await asyncio.sleep(0.005)
        for client in self._clients:
            client.abort()

    def _make_room(self) -> None:
        waiting = [client for client in self._clients if client.session is None]
        # Nobody is looked up before there are too many: most gatekeepers never see more than two.
        cap = self._patience.waiting
        if len(waiting) > cap:
            evicted = to_evict([self._clients[client].who(self._census) for client in waiting], cap)
            if evicted is not None:
                # It still has to be served to its end, but makes room at once.
                del self._clients[waiting[evicted]]
                waiting[evicted].abort()


class _Connection:
    """A connection, and who is at its other end once that was asked."""

    def __init__(self, connection: socket.socket, address: Any) -> None:
        self._connection, self._address = connection, address
        self._who: Peer | None = None

    def who(self, census: Census) -> Peer:
        if self._who is None or self._who == UNKNOWN:
            self._who = census.peer(self._connection, self._address)
        return self._who


def _address(connection: socket.socket, peer: Any) -> str:
    if connection.family == socket.AF_UNIX:
        return UNIX_PEER
    notice_lost_peer(connection)
    return normalized(peer[0]) or str(peer[0])
