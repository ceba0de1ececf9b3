"""What every other test relies on."""

from __future__ import annotations

from support.servers import free_port


def test_no_two_servers_are_given_the_same_port() -> None:
    """A server may ask for its own port and for the debug port before it binds either."""
    ports = [free_port() for _ in range(500)]
    assert len(set(ports)) == len(ports)
