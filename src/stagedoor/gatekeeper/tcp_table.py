"""TCP sockets of this machine and whose they are, from the kernel: its table below ``/proc``, and one socket by a
question (``NETLINK_SOCK_DIAG``), which costs the same however many there are.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from stagedoor.access.addresses import normalized

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NO_COOKIE = 0xFFFFFFFF
#: Seconds to wait for the kernel's answer, which it has put there before the question is through.
_ANSWER_PATIENCE = 0.5


class TcpSocket(NamedTuple):
    """One socket.

    :param host: its own address, canonical; an IPv4 address within IPv6 is written as IPv4.
    :param uid: whose it is. Without meaning if it is not held.
    :param is_held: some process has it; else it only waits for its end (``TIME_WAIT``).
    """

    host: str
    port: int
    peer_host: str
    peer_port: int
    uid: int
    is_held: bool


def sockets_at(port: int) -> Iterator[TcpSocket]:
    """All sockets of this network namespace whose own port is ``port``.

    :raises OSError: if the system does not tell.
    """
    return _matching(1, port)


def sockets_to(port: int) -> Iterator[TcpSocket]:
    """All sockets of this network namespace whose peer's port is ``port``.

    :raises OSError: if the system does not tell.
    """
    return _matching(2, port)


def _matching(column: int, port: int) -> Iterator[TcpSocket]:
    end = f":{port:04X}"
    for number, table in enumerate(_TABLES):
        try:
            lines = table.read_text().splitlines()
        except OSError:
            if number:  # A machine without IPv6 has one table only.
                return
            raise
        for line in lines[1:]:
            if end not in line:
                continue
            fields = line.split(maxsplit=10)
            if fields[column].endswith(end):
                yield TcpSocket(*_endpoint(fields[1]), *_endpoint(fields[2]), int(fields[7]), fields[9] != "0")


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return _written(host), int(port, 16)


@lru_cache(maxsize=256)
def _written(host: str) -> str:
    # Words of four bytes, each in the order of this machine.
    words = [int(host[start : start + 8], 16) for start in range(0, len(host), 8)]
    return canonical(socket.inet_ntop(_family(len(words)), struct.pack(f"={len(words)}I", *words)))


def _family(words: int) -> socket.AddressFamily:
    return socket.AF_INET if words == 1 else socket.AF_INET6


def canonical(host: str) -> str:
    """``host``, a numeric address as a socket gives it, in the one form that is compared. A zone, which such a one may
    have, belongs to the way to it and not to the address.

    :raises ValueError: if it is none.
    """
    spelling = normalized(host.partition("%")[0])
    if spelling is None:
        raise ValueError(f"{host!r} is no address of a socket")
    return spelling


def owner(host: str, port: int, peer_host: str, peer_port: int) -> int | None:
    """Whose socket of this machine it is that has these two ends, its own first; ``None`` if there is none that a
    process still has.

    :raises OSError: if the system does not tell.
    """
    own, peer = canonical(host), canonical(peer_host)
    family = socket.AF_INET6 if ":" in own else socket.AF_INET
    question = (
        struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF)
        + struct.pack("!HH", port, peer_port)
        + socket.inet_pton(family, own).ljust(16, b"\0")
        + socket.inet_pton(family, peer).ljust(16, b"\0")
        + struct.pack("=III", 0, _NO_COOKIE, _NO_COOKIE)
    )
    header = struct.pack("=IHHII", 16 + len(question), _SOCK_DIAG_BY_FAMILY, 1, 1, 0)
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError("this system has no netlink")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as asking:
        asking.settimeout(_ANSWER_PATIENCE)
        asking.send(header + question)
        answer = asking.recv(4096)
    kind = struct.unpack_from("=H", answer, 4)[0]
    if kind == _SOCK_DIAG_BY_FAMILY and len(answer) >= 88:
        uid, inode = struct.unpack_from("=II", answer, 80)
        return int(uid) if inode else None
    with suppress(struct.error):
        error = -struct.unpack_from("=i", answer, 16)[0]
        if error == 2:  # ENOENT: no such socket
            return None
    raise OSError("the kernel did not understand the question")
