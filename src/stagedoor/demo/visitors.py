"""Those who request pages from the demo's application: two developers, who share an address and are told apart by their
passes, and a visitor with another one.
"""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing
from dataclasses import dataclass, field

from stagedoor.errors import StagedoorError
from stagedoor.settings.bind import Bind

#: Seconds that anything may take before the demo gives up: ten times what it takes on a slow machine.
PATIENCE = 20.0

_HEADER = "X-Stagedoor-Token"


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
class Place:
    """Where requests come from, and the server's address that they go to."""

    address: str
    host: str

    def is_possible(self) -> bool:
        """Whether this machine's loopback has the address."""
        with socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET) as probe:
            try:
                probe.bind((self.address, 0))
            except OSError:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who requests pages.

    :param request_pass: what their browser sends, of a developer.
    """

    name: str
    place: Place
    request_pass: str | None = field(default=None, repr=False)

    @property
    def path(self) -> str:
        return f"/basket/{self.name}"

    def request(self, port: int) -> Page:
        """Request the page.

        :raises DemoFailed: if there is no answer.
        """
        started = time.perf_counter()
        source = (self.place.address, 0)
        connection = http.client.HTTPConnection(self.place.host, port, timeout=PATIENCE, source_address=source)
        headers = {_HEADER: self.request_pass} if self.request_pass is not None else {}
        try:
            with closing(connection):
                connection.request("GET", self.path, headers=headers)
                response = connection.getresponse()
                text = response.read().decode().strip()
        except (OSError, http.client.HTTPException) as error:
            raise DemoFailed(
                f"The application did not answer {self.name} at {self.place.address}: {error!r}."
            ) from error
        seconds = time.perf_counter() - started
        return Page(response.status, text, response.headers.get("Stagedoor"), seconds, time.time())

    def curl(self, port: int) -> str:
        """The command with which a person plays this visitor."""
        header = f"-H {_HEADER}:{self.request_pass} " if self.request_pass is not None else ""
        return f"curl --interface {self.place.address} {header}http://{Bind(self.place.host, port)}{self.path}"


#: The developers' place and the visitor's. The whole of 127.0.0.0/8 is loopback on Linux; elsewhere 127.0.0.1 may be all.
PAIRS = (
    (Place("127.0.0.2", "127.0.0.1"), Place("127.0.0.3", "127.0.0.1")),
    (Place("127.0.0.1", "127.0.0.1"), Place("::1", "::1")),
)


def possible_pair() -> tuple[Place, Place]:
    """The first of :data:`PAIRS` that this machine can play.

    :raises DemoFailed: if it can play none.
    """
    for pair in PAIRS:
        if all(place.is_possible() for place in pair):
            return pair
    raise DemoFailed("This machine's loopback has neither 127.0.0.2 and 127.0.0.3 nor ::1, to play two places.")
