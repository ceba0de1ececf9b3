"""Switches: where a window is stored and read from; :func:`switch_from` chooses one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta

from stagedoor.errors import ConfigurationError
from stagedoor.window.window import SYSTEM_CLOCK, Clock

from .base import Switch
from .environment import EnvironmentSwitch
from .file import FileSwitch, checked_path, default_path, windows_elsewhere
from .memory import MemorySwitch
from .private_file import user_name

__all__ = [
    "EnvironmentSwitch",
    "FileSwitch",
    "MemorySwitch",
    "Switch",
    "default_path",
    "switch_from",
    "user_name",
    "windows_elsewhere",
]

_REMEDY = 'Give an absolute path, "file:" and an absolute path, "memory", or a switch.'


def switch_from(
    spec: Switch | str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    max_window: timedelta,
    clock: Clock = SYSTEM_CLOCK,
) -> Switch:
    """The switch that the keyword ``switch`` and the environment ask for.

    :param spec: a switch, taken as it is; an absolute path, as text or path object or after ``file:``, for
        the file switch; ``"memory"`` for the memory switch; ``None``, the default, to ask the environment:
        ``STAGEDOOR_UNTIL`` for the environment switch, else ``STAGEDOOR_SWITCH`` for the file switch at that
        path, else the file switch at its default path. An empty variable counts as unset.
    :param environ: the environment; :data:`os.environ` by default.
    :param max_window: the longest window that the switch opens or believes.
    :param clock: the clock seam.
    :raises ConfigurationError: for everything else, and if both variables are set: which of the two was meant
        decides whether the debugger is on.
    """
    if isinstance(spec, Switch):
        return spec
    if spec is not None:
        if spec == "memory":
            return MemorySwitch(max_window=max_window, clock=clock)
        return _file_switch(spec, "switch", max_window, clock)
    until, path = environ.get("STAGEDOOR_UNTIL", "").strip(), environ.get("STAGEDOOR_SWITCH", "").strip()
    if until and path:
        raise ConfigurationError(
            "STAGEDOOR_SWITCH",
            path,
            f"is set, and so is STAGEDOOR_UNTIL={until!r}: there can be one switch only",
            "Unset one of the two.",
        )
    if until:
        return EnvironmentSwitch(environ, max_window=max_window, clock=clock)
    if path:
        return _file_switch(path, "STAGEDOOR_SWITCH", max_window, clock)
    return FileSwitch(default_path(environ), max_window=max_window, clock=clock)


def _file_switch(spec: str | os.PathLike[str], name: str, max_window: timedelta, clock: Clock) -> FileSwitch:
    if not isinstance(spec, str | os.PathLike):
        raise ConfigurationError(name, spec, "is neither a switch nor a path", _REMEDY)
    if isinstance(spec, str):
        if spec.startswith(("redis:", "rediss:")):
            raise ConfigurationError(name, spec, "asks for the Redis switch, which this version does not have", _REMEDY)
        spec = spec.removeprefix("file:")
    return FileSwitch(checked_path(spec, name), max_window=max_window, clock=clock)
