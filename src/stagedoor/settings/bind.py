"""Where the debug port is: a TCP address or a Unix socket."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from stagedoor.access.addresses import is_loopback, normalized
from stagedoor.control.place import PATH_CAP
from stagedoor.errors import ConfigurationError

_NUMBER = re.compile(r"[1-9][0-9]*", re.ASCII)
_REMEDY = 'Write a numeric address and a port, such as "127.0.0.1:5678" or "[::1]:5678", or "unix:/path".'


@dataclass(frozen=True, slots=True)
class Bind:
    """A place to listen: either ``host``, a canonical address, and ``port`` are set, or ``path``."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_local(self) -> bool:
        """Whether only processes of this machine can connect, an SSH tunnel's end for example."""
        return bool(self.path) or is_loopback(self.host)

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_bind(value: object, name: str = "bind") -> Bind:
    """Read ``ADDRESS:PORT`` with a numeric address, an IPv6 one in brackets, or ``unix:/path``.

    :param value: the setting.
    :param name: the keyword or variable that it comes from, for the message of an error.
    :raises ConfigurationError: for anything else. A host name is not looked up: what it means can change. Port 0 is
        refused, because the port that it stands for would be unknown to the client.
    """
    if not isinstance(value, str):
        raise ConfigurationError(name, value, "is not a string", _REMEDY)
    text = value.strip()
    if text.startswith("unix:"):
        return Bind(path=_socket_path(text.removeprefix("unix:"), value, name))
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not separator or (":" in host) != bracketed or _NUMBER.fullmatch(port) is None:
        raise ConfigurationError(name, value, "is not an address and a port", _REMEDY)
    if len(port) > 5 or int(port) > 65535:
        raise ConfigurationError(name, value, "has no port from 1 to 65535", _REMEDY)
    address = normalized(host)
    if address is None:
        raise ConfigurationError(name, value, "is not a numeric address", _REMEDY)
    return Bind(address, int(port))


def _socket_path(path: str, value: str, name: str) -> str:
    try:
        size = len(os.fsencode(path))
    except UnicodeEncodeError:  # half of a surrogate pair
        size = 0
    if not os.path.isabs(path) or not path.isprintable() or not 0 < size <= PATH_CAP:
        raise ConfigurationError(name, value, f"is not an absolute path of at most {PATH_CAP} bytes", _REMEDY)
    return path
