"""Every setting with its default, read from keywords and the environment; a keyword wins."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .allowlist import Allowlist, normalized
from .clientaddr import FORWARDED_CHOICES
from .errors import ConfigurationError
from .switches import switch_from
from .switches.base import Switch
from .window import SYSTEM_CLOCK, Clock, parse_duration

DEFAULT_BIND = "127.0.0.1:5678"
DEFAULT_MAX_WINDOW = timedelta(hours=8)
DEFAULT_MAX_PAUSE = timedelta(minutes=10)
DEFAULT_FORWARDED = "refuse"
DEBUGGERS = ("listen",)

_BOOLEANS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
    "": False,
}


@dataclass(frozen=True, slots=True)
class Bind:
    """Where the debug port is: a TCP address or a Unix socket."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        return Allowlist.is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings of one door. See :class:`stagedoor.StageDoor` for what they mean."""

    allow: Allowlist
    switch: Switch
    bind: Bind
    max_window: timedelta
    require_token: bool
    forwarded: str
    max_pause: timedelta
    debugger: str

    @classmethod
    def read(
        cls,
        *,
        allow: str | Iterable[str] | None = None,
        switch: Switch | str | os.PathLike[str] | None = None,
        bind: str | None = None,
        max_window: timedelta | str | None = None,
        require_token: bool | None = None,
        forwarded: str | None = None,
        max_pause: timedelta | str | None = None,
        debugger: str | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Settings:
        """Check every setting.

        :param environ: the process environment; :data:`os.environ` by default.
        :raises ConfigurationError: naming the first setting that is wrong, its value, and what would be right.
        """
        source = _Source(os.environ if environ is None else environ)
        entries, allow_name = source.choose("allow", allow, "")
        longest = _duration(*source.choose("max_window", max_window, DEFAULT_MAX_WINDOW))
        return cls(
            allow=Allowlist(entries, allow_name),
            switch=switch_from(switch, environ=source.environ, max_window=longest, clock=clock),
            bind=parse_bind(*source.choose("bind", bind, DEFAULT_BIND)),
            max_window=longest,
            require_token=_boolean(*source.choose("require_token", require_token, False)),
            forwarded=_choice(*source.choose("forwarded", forwarded, DEFAULT_FORWARDED), FORWARDED_CHOICES),
            max_pause=_duration(*source.choose("max_pause", max_pause, DEFAULT_MAX_PAUSE)),
            debugger=_choice(*source.choose("debugger", debugger, DEBUGGERS[0]), DEBUGGERS),
        )


class _Source:
    """Where a setting comes from: the keyword, else its environment variable, else its default."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def choose(self, keyword: str, value: Any, default: Any) -> tuple[Any, str]:
        """The value, and the name under which it was given."""
        if value is not None:
            return value, keyword
        variable = f"STAGEDOOR_{keyword.upper()}"
        if variable in self.environ:
            return self.environ[variable], variable
        return default, keyword


def parse_bind(value: object, name: str = "bind") -> Bind:
    """Read ``ADDRESS:PORT`` with a numeric address; an IPv6 one stands in brackets.

    :raises ConfigurationError: for anything else. A host name is not looked up: what it means can change.
    """
    remedy = 'Write a numeric address and a port, such as "127.0.0.1:5678" or "[::1]:5678".'
    if not isinstance(value, str):
        raise ConfigurationError(name, value, "is not a string", remedy)
    host, separator, port = value.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    if not separator or (":" in host) != bracketed or not port.isascii() or not port.isdigit():
        raise ConfigurationError(name, value, "is not an address and a port", remedy)
    if not 0 < int(port[:6]) < 65536:
        raise ConfigurationError(name, value, "has no port from 1 to 65535", remedy)
    if normalized(host) is not None:
        return Bind(host, int(port))
    raise ConfigurationError(name, value, "is not a numeric address", remedy)


def _duration(value: object, name: str) -> timedelta:
    if isinstance(value, timedelta):
        if value > timedelta(0):
            return value
        raise ConfigurationError(name, value, "lasts no time at all")
    if isinstance(value, str):
        return parse_duration(value, name)
    raise ConfigurationError(name, value, "is not a duration", 'Write a timedelta, or a string such as "30m".')


def _boolean(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _BOOLEANS:
        return _BOOLEANS[value.strip().lower()]
    raise ConfigurationError(name, value, "is neither true nor false", 'Write "1" or "0".')


def _choice(value: object, name: str, choices: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in choices:
        return value
    raise ConfigurationError(name, value, "is not one of its values", f"Write one of: {', '.join(choices)}.")
