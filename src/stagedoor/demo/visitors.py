"""Those who request pages from the demo's application: the developer and somebody else, told apart by their address."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing
from dataclasses import dataclass

from stagedoor.errors import StagedoorError
from stagedoor.settings.bind import Bind

#: Seconds that anything may take before the demo gives up: ten times what it takes on a slow machine.
PATIENCE = 20.0


class DemoFailed(StagedoorError):
    """Something was not as it should be; the message says what."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: how long it took, in seconds, and when it had arrived, in seconds since the epoch."""

    status: int
    text: str
    announcement: str | None
    seconds: float
    arrived_at: float


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who requests pages: from ``address``, of a server at ``host``."""

    address: str
    host: str

    def request(self, port: int) -> Page:
        """Request the page.

        :raises DemoFailed: if there is no answer.
        """
        started = time.perf_counter()
        connection = http.client.HTTPConnection(self.host, port, timeout=PATIENCE, source_address=(self.address, 0))
        try:
            with closing(connection):
                connection.request("GET", "/basket")
                response = connection.getresponse()
                text = response.read().decode().strip()
        except (OSError, http.client.HTTPException) as error:
            raise DemoFailed(f"The application did not answer {self.address}: {error!r}.") from error
        seconds = time.perf_counter() - started
        return Page(response.status, text, response.headers.get("Stagedoor"), seconds, time.time())

    def curl(self, port: int) -> str:
        """The command with which a person plays this visitor."""
        return f"curl --interface {self.address} http://{Bind(self.host, port)}/basket"

    def is_possible(self) -> bool:
        """Whether this machine's loopback has the address."""
        with socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET) as probe:
            try:
                probe.bind((self.address, 0))
            except OSError:
                return False
        return True


#: The developer and somebody else. The whole of 127.0.0.0/8 is loopback on Linux; elsewhere 127.0.0.1 may be all of it.
PAIRS = (
    (Visitor("127.0.0.2", "127.0.0.1"), Visitor("127.0.0.3", "127.0.0.1")),
    (Visitor("127.0.0.1", "127.0.0.1"), Visitor("::1", "::1")),
)


def possible_pair() -> tuple[Visitor, Visitor]:
    """The first of :data:`PAIRS` that this machine can play.

    :raises DemoFailed: if it can play none.
    """
    for pair in PAIRS:
        if all(visitor.is_possible() for visitor in pair):
            return pair
    raise DemoFailed("This machine's loopback has neither 127.0.0.2 and 127.0.0.3 nor ::1, to play two visitors.")
