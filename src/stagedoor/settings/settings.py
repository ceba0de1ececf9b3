"""Every setting with its default, read from keywords and the environment; a keyword wins."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from stagedoor.access.allowlist import Allowlist
from stagedoor.access.client_address import FORWARDED_CHOICES
from stagedoor.access.decision import SELECT_CHOICES
from stagedoor.access.openness import openness
from stagedoor.application.identity import Application
from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.place import folder_beside, path_beside, socket_path
from stagedoor.control.register import Register
from stagedoor.errors import ConfigurationError
from stagedoor.platforms import missing_for_gatekeeper
from stagedoor.switches import EnvironmentSwitch, FileSwitch, MemorySwitch, default_path, switch_from
from stagedoor.switches.base import Switch
from stagedoor.window.window import SYSTEM_CLOCK, Clock, Window, parse_duration, window_id

from .bind import Bind, parse_bind
from .break_on import BreakOn, parse_break_on

DEFAULT_BIND = "127.0.0.1:5678"
DEFAULT_MAX_WINDOW = timedelta(hours=8)
DEFAULT_MAX_PAUSE = timedelta(minutes=10)
DEFAULT_FORWARDED = "refuse"
DEFAULT_SELECT = "address"
DEBUGGERS = ("listen",) if missing_for_gatekeeper() else ("gatekeeper", "listen")

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
class Settings:
    """The checked settings of one door. See :class:`stagedoor.StageDoor` for what they mean."""

    allow: Allowlist
    switch: Switch
    bind: Bind
    max_window: timedelta
    select: str
    require_token: bool
    forwarded: str
    max_pause: timedelta
    debugger: str
    break_on: BreakOn | None
    threads: int | None
    audit_expressions: bool

    @classmethod
    def read(
        cls,
        *,
        allow: str | Iterable[str] | None = None,
        switch: Switch | str | os.PathLike[str] | None = None,
        bind: str | None = None,
        max_window: timedelta | str | None = None,
        select: str | None = None,
        require_token: bool | None = None,
        forwarded: str | None = None,
        max_pause: timedelta | str | None = None,
        debugger: str | None = None,
        break_on: BreakOn | str | Iterable[str] | None = None,
        threads: int | str | None = None,
        audit_expressions: bool | None = None,
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
            select=_choice(*source.choose("select", select, DEFAULT_SELECT), SELECT_CHOICES),
            require_token=_boolean(*source.choose("require_token", require_token, False)),
            forwarded=_choice(*source.choose("forwarded", forwarded, DEFAULT_FORWARDED), FORWARDED_CHOICES),
            max_pause=_duration(*source.choose("max_pause", max_pause, DEFAULT_MAX_PAUSE)),
            debugger=_choice(*source.choose("debugger", debugger, DEBUGGERS[0]), DEBUGGERS),
            break_on=parse_break_on(*source.choose("break_on", break_on, "")),
            threads=_count(*source.choose("threads", threads, None)),
            audit_expressions=_boolean(*source.choose("audit_expressions", audit_expressions, True)),
        )

    @property
    def control_path(self) -> Path:
        """Where the control socket is: beside a file switch, else in the runtime directory.

        :raises ConfigurationError: if it can't be there.
        """
        if isinstance(self.switch, FileSwitch):
            return path_beside(self.switch.path)
        return socket_path(default_path().parent, str(self.bind), self.switch.name)

    @property
    def shared_token(self) -> bool:
        """Whether every process of the application knows the window by the same token."""
        return not isinstance(self.switch, EnvironmentSwitch) or self.switch.token_given

    def window_id(self, window: Window) -> str:
        """Tells windows apart without giving their tokens away, in every process with these settings alike."""
        return window_id(window, by_token=self.shared_token)

    def register_folder(self, application: Application | None = None) -> Path | None:
        """Where it is kept which application has a window and which workers have seen it; ``None`` if nowhere, because
        the window is one process's own.

        :param application: asked for by this one. Those that share a file share its windows, and of other switches each
            has its own.
        """
        if isinstance(self.switch, FileSwitch):
            return folder_beside(self.switch.path)
        if isinstance(self.switch, MemorySwitch) or application is None:
            return None
        return default_path().parent / f"windows-{application.key}.d"

    def register(self, application: Application) -> Register | None:
        """The register of this application's windows."""
        folder = self.register_folder(application)
        if folder is None:
            return None
        is_file = isinstance(self.switch, FileSwitch)
        return Register(folder, application, self.switch.name, self.window_id, decides=is_file)

    def doubts(self) -> list[str]:
        """What is allowed and hardly meant, each a sentence with its remedy: for the log, and for the checks."""
        by_token = self.select == "token"
        # A local port asks for no address either.
        found = openness(self.allow, only_port=by_token) if not (by_token and self.bind.is_local) else []
        if not self.shared_token and self.switch.read():
            what = "STAGEDOOR_UNTIL has opened a window, and"
            if self.bind.is_local and self.debugger == "gatekeeper":
                found.append(
                    f"{what} nobody can attach to {self.bind}: a peer on loopback or on a Unix socket needs the window's"
                    " token. Set STAGEDOOR_TOKEN."
                )
            if by_token or self.require_token:
                asking = 'select="token"' if by_token else "require_token"
                found.append(
                    f"{what} no request can match: nobody knows the token that {asking} asks for. Set STAGEDOOR_TOKEN."
                )
        return found

    def gatekeeper_config(self) -> GatekeeperConfig:
        """What a gatekeeper for these settings is started with, whatever its window."""
        switch = self.switch
        return GatekeeperConfig(
            bind=str(self.bind),
            # Sorted, because processes to which they were given as a set have them in orders of their own.
            allow=tuple(sorted(self.allow)),
            require_token=self.require_token,
            max_window=self.max_window.total_seconds(),
            switch=switch.name,
            switch_path=str(switch.path) if isinstance(switch, FileSwitch) else None,
            control=str(self.control_path),
            shared_token=self.shared_token,
            audit_expressions=self.audit_expressions,
            token_shown=switch.token_shown,
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


def _count(value: object, name: str) -> int | None:
    if value is None:
        return None
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if isinstance(number, int) and not isinstance(number, bool) and number > 0:
        return number
    raise ConfigurationError(
        name,
        value,
        "is not a number of threads",
        "Write how many requests one process of the server handles at the same time, such as 8.",
    )


def _choice(value: object, name: str, choices: tuple[str, ...]) -> str:
    if isinstance(value, str) and value in choices:
        return value
    raise ConfigurationError(name, value, "is not one of its values", f"Write one of: {', '.join(choices)}.")
