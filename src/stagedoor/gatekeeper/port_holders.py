"""Who else has the debug port, and whether a Unix socket's directory is private: what decides if a token is safe there."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .tcp_table import TcpSocket, sockets_at

#: Symbolic links that are followed in one path, as the kernel does.
_LINKS = 40

#: What an address does not say: ``localhost`` is both, and a tunnel is often made to that name.
_LOCALHOST = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Holders:
    """Who has sockets at a debug port.

    :param others: the user ids of other users' processes, and the addresses of their sockets.
    :param own: a process of this user has one.
    :param ending: one waits for its end, and belongs to no process any more.
    """

    others: frozenset[tuple[int, str]] = frozenset()
    own: bool = False
    ending: bool = False


def holders(host: str, port: int) -> Holders | None:
    """Who has sockets at a port now; ``None`` where the system does not tell."""
    if not hasattr(os, "geteuid"):
        return None
    try:
        return sorted_out(sockets_at(port), host, os.geteuid())
    except OSError:
        return None


def holders_beside(host: str, port: int, listening: str) -> Holders | None:
    """:func:`holders` of a port at ``host``, without what this process itself has at ``listening``."""
    if not hasattr(os, "geteuid"):
        return None
    try:
        return sorted_out((each for each in sockets_at(port) if each.host != listening), host, os.geteuid())
    except OSError:
        return None


def sorted_out(sockets: Iterable[TcpSocket], host: str, own_uid: int) -> Holders:
    """What ``sockets``, all of one port, mean for a debug port at ``host``."""
    covering = [each for each in sockets if meets(host, each.host)]
    held = {(each.uid, each.host) for each in covering if each.is_held}
    return Holders(
        others=frozenset(pair for pair in held if pair[0] != own_uid),
        own=any(uid == own_uid for uid, _ in held),
        ending=any(not each.is_held for each in covering),
    )


def meets(host: str, other: str) -> bool:
    """Whether a socket at ``other`` may get connections that were meant for a debug port at ``host``, or takes its place.

    A wildcard meets everything: the kernel's table does not say whether one of IPv6 takes IPv4 as well.
    """
    if host == other or {host, other} == _LOCALHOST:
        return True
    return ipaddress.ip_address(host).is_unspecified or ipaddress.ip_address(other).is_unspecified


def why_burnt(before: Holders | None, after: Holders | None) -> str | None:
    """Whether a port that could not be had was somebody else's, so that what was said to it has to be forgotten.

    :param before: who had it right before the attempt.
    :param after: and right after that.
    :returns: who had it, a clause, or ``None``: this user's own, or nobody any more.
    """
    if before is None or after is None:
        return "it is taken, and this system does not tell by whom"
    if others := before.others | after.others:
        return told(others)
    if before.own or after.own or before.ending or after.ending:
        return None
    return "it is taken by a process that this system does not show"


def told(others: Iterable[tuple[int, str]]) -> str:
    """A clause that says who has the port, and at which address."""
    uid, host = min(others)
    try:
        import pwd  # Here, because Windows has none.

        who = f"{pwd.getpwuid(uid).pw_name}, uid {uid}"
    except (ImportError, KeyError):
        who = f"uid {uid}"
    return f"another user's process ({who}) has it at {host}"


def not_private(directory: Path) -> str | None:
    """Why somebody else than this user or root could put something of theirs at a path in ``directory``; a clause, or
    ``None`` if nobody can. A directory that does not exist yet is judged by the one in which it would be made.

    :param directory: an absolute path. Symbolic links in it are followed one by one: each could be replaced by whoever
        can write to the directory that it is in.
    """
    here, parts, links = Path("/"), deque(directory.parts[1:]), 0
    while True:
        try:
            found = here.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"{here} can't be looked at ({error.strerror})"
        if found.st_uid not in (os.geteuid(), 0):
            return f"{here} belongs to uid {found.st_uid}"
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > _LINKS:
                return f"{directory} has too many symbolic links"
            target = Path(os.readlink(here))
            parts.extendleft(reversed(target.parts[1:] if target.is_absolute() else target.parts))
            here = Path("/") if target.is_absolute() else here.parent
            continue
        if not stat.S_ISDIR(found.st_mode):
            return f"{here} is no directory"
        # Of a directory with the sticky bit (as /tmp) others can't remove what is in it, but they can be the first.
        is_first = not parts or not os.path.lexists(here / parts[0])
        if found.st_mode & 0o022 and (is_first or not found.st_mode & stat.S_ISVTX):
            return f"other users can write to {here} (mode {stat.S_IMODE(found.st_mode):04o})"
        if not parts:
            return None
        name = parts.popleft()
        here = here.parent if name == ".." else here / name
