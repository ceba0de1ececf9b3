"""A network of its own for a test, in which there are addresses that are not loopback: peers from outside."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_CLONE_NEWNET = 0x40000000

#: All of this network are addresses of the namespace, so that one can be connected from and to.
NETWORK = "198.51.100.0/24"
SERVER, ALLOWED_OUTSIDE, STRANGER_OUTSIDE = "198.51.100.1", "198.51.100.7", "198.51.100.9"


@contextmanager
def network_of_its_own() -> Iterator[None]:
    """Move the calling thread into a new network namespace, and so the threads and processes that it starts there.

    Sockets that were made before stay in the network that they were made in, and those that are made within stay in the
    new one, which ends with the last of them.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET) != 0:
            pytest.skip(f"a network namespace can't be made: {os.strerror(ctypes.get_errno())}")
        try:
            for command in (f"address add {SERVER}/24 dev lo", "link set lo up"):
                subprocess.run(["ip", *command.split()], check=True)
            yield
        finally:
            if libc.setns(before, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "the thread can't go back into its network")
    finally:
        os.close(before)
