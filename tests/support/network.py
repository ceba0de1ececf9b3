"""A network of its own for a test, in which there are addresses that are not loopback: peers from outside."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_CLONE_NEWNET = 0x40000000

#: The server's own address, and those of the machine beside it, which has all of its network.
SERVER, OUTSIDE = "198.51.100.1", "203.0.113.0/24"
ALLOWED_OUTSIDE, STRANGER_OUTSIDE = "203.0.113.7", "203.0.113.9"

_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """Two network namespaces, for two machines with a cable between them."""

    def __init__(self) -> None:
        self._server = _new_namespace()
        try:
            # Whatever runs in a namespace stands for it where "ip" wants a name.
            with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as stays:
                self._outside = _new_namespace()
                _ip(f"address add {OUTSIDE} dev lo", "link set lo up")
                _ip(f"link add name outside type veth peer name server netns {stays.pid}", "link set outside up")
                _ip(f"route add {SERVER} dev outside")
                _enter(self._server)
            _ip("link set lo up", f"address add {SERVER} dev server", "link set server up")
            _ip(f"route add {OUTSIDE} dev server")
        except BaseException:
            self.close()
            raise

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Make the sockets of the block on the machine beside the server."""
        _enter(self._outside)
        try:
            yield
        finally:
            _enter(self._server)

    def close(self) -> None:
        os.close(self._server)
        os.close(self._outside)


@contextmanager
def network_of_its_own() -> Iterator[Network]:
    """Move the calling thread to the server of a new network, and so the threads and processes that it starts there.

    Sockets that were made before stay in the network that they were made in, and those that are made within stay in the
    new one, which ends with the last of them.
    """
    before = os.open(_NAMESPACE, os.O_RDONLY)
    try:
        network = Network()
        try:
            yield network
        finally:
            network.close()
    finally:
        _enter(before)
        os.close(before)


_NAMESPACE = "/proc/thread-self/ns/net"


def _new_namespace() -> int:
    """Move the calling thread into a new one; returns a descriptor of it."""
    if _libc.unshare(_CLONE_NEWNET) != 0:
        pytest.skip(f"a network namespace can't be made: {os.strerror(ctypes.get_errno())}")
    return os.open(_NAMESPACE, os.O_RDONLY)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "the thread can't go into that network")


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)
