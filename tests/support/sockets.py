"""What processes listen on, from the kernel's own tables."""

from __future__ import annotations

import os
import re
import socket
import struct
from pathlib import Path
from typing import NamedTuple


class Listening(NamedTuple):
    """A listening socket.

    :param pids: the processes that hold it.
    :param address: host and port, or the path of a Unix socket; an abstract one begins with ``@``.
    """

    pids: tuple[int, ...]
    address: tuple[str, int] | str


def socket_inodes(pid: int) -> set[int]:
    """The sockets that a process holds."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry))
        except OSError:
            continue
        if match is not None:
            found.add(int(match[1]))
    return found


def listening(pids: list[int]) -> list[Listening]:
    """Every listening TCP and Unix socket of these processes."""
    held = {pid: socket_inodes(pid) for pid in pids}
    everything = [*_tcp("tcp"), *_tcp("tcp6"), *_unix()]
    return [
        Listening(tuple(pid for pid in pids if inode in held[pid]), address)
        for inode, address in everything
        if any(inode in inodes for inodes in held.values())
    ]


def _tcp(table: str) -> list[tuple[int, tuple[str, int]]]:
    found = []
    for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":  # TCP_LISTEN
            host, _, port = fields[1].partition(":")
            words = [int(host[start : start + 8], 16) for start in range(0, len(host), 8)]
            packed = struct.pack(f"={len(words)}I", *words)
            family = socket.AF_INET if table == "tcp" else socket.AF_INET6
            found.append((int(fields[9]), (socket.inet_ntop(family, packed), int(port, 16))))
    return found


def _unix() -> list[tuple[int, str]]:
    found = []
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if int(fields[3], 16) & 0x10000:  # __SO_ACCEPTCON
            found.append((int(fields[6]), fields[7] if len(fields) > 7 else ""))
    return found
