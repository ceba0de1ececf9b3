"""Where the debug port is: a TCP address or a Unix socket."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .allowlist import is_loopback, normalized
from .errors import ConfigurationError

_REMEDY = 'Write a numeric address and a port, such as "127.0.0.1:5678" or "[::1]:5678", or "unix:/path".'


@dataclass(frozen=True, slots=True)
class Bind:
    """A place to listen. Either ``host`` and ``port`` are set, or ``path``."""

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

    :raises ConfigurationError: for anything else. A host name is not looked up: what it means can change.
    """
    if not isinstance(value, str):
        raise ConfigurationError(name, value, "is not a string", _REMEDY)
    text = value.strip()
    if text.startswith("unix:"):
        return Bind(path=_socket_path(text.removeprefix("unix:"), value, name))
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not separator or (":" in host) != bracketed or not port.isascii() or not port.isdigit():
        raise ConfigurationError(name, value, "is not an address and a port", _REMEDY)
    if not 0 < int(port[:6]) < 65536:
        raise ConfigurationError(name, value, "has no port from 1 to 65535", _REMEDY)
    if normalized(host) is None:
        raise ConfigurationError(name, value, "is not a numeric address", _REMEDY)
    return Bind(host, int(port))


def _socket_path(path: str, value: str, name: str) -> str:
    if not os.path.isabs(path) or "\0" in path or len(os.fsencode(path)) > 100:
        raise ConfigurationError(name, value, "is not an absolute path of at most 100 bytes", _REMEDY)
    return path
