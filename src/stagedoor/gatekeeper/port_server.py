"""The debug port: who may speak is decided before a byte is read, and nobody can keep others out by saying nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from stagedoor.admission import UNIX_PEER
from stagedoor.allowlist import normalized

from .client import FAREWELL_PATIENCE, Client
from .door import Door
from .listener import notice_lost_peer
from .sessions import Sessions

#: Connections that have not attached yet, at most. One more, and one that has said nothing is closed.
UNDECIDED_CAP = 64


class PortServer:
    """Serves the connections to the debug port.

    :param door: who may speak.
    :param sessions: what connections become.
    """

    def __init__(self, door: Door, sessions: Sessions) -> None:
        self._door = door
        self._sessions = sessions
        self._clients: dict[Client, None] = {}  # in the order in which they came

    async def serve(self, connection: socket.socket, peer: Any) -> None:
        """Serve one connection.

        :param peer: its address as :func:`socket.accept` gives it.
        """
        address = _address(connection, peer)
        if not self._door.may_speak(address):
            connection.close()
            return
        try:
            reader, writer = await asyncio.open_connection(sock=connection)
        except BaseException:
            connection.close()
            raise
        client = Client(address, reader, writer, self._sessions.attach)
        self._clients[client] = None
        self._make_room()
        try:
            await client.serve()
        finally:
            del self._clients[client]

    async def close(self) -> None:
        """End every connection: those of sessions that are over may say farewell, the others have nothing to say."""
        for client in self._clients:
            if client.is_undecided:
                client.abort()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FAREWELL_PATIENCE
        while self._clients and loop.time() < deadline:
            await asyncio.sleep(0.005)
        for client in self._clients:
            client.abort()

    def _make_room(self) -> None:
        undecided = [client for client in self._clients if client.is_undecided]
        if len(undecided) > UNDECIDED_CAP:
            # Of those who have said nothing yet the oldest: a client is about to attach when it has said something.
            min(undecided, key=lambda client: client.initialize_arguments is not None).abort()


def _address(connection: socket.socket, peer: Any) -> str:
    if connection.family == socket.AF_UNIX:
        return UNIX_PEER
    notice_lost_peer(connection)
    return normalized(peer[0]) or str(peer[0])
