"""The settings of a command: what its options say, else the variables ``STAGEDOOR_...`` as in the application."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from stagedoor.errors import ConfigurationError
from stagedoor.settings.settings import Settings
from stagedoor.switches import MemorySwitch, Switch


def settings_of(arguments: Namespace, environ: Mapping[str, str]) -> Settings:
    """Those of a command that has the options of a setting.

    :raises ConfigurationError: if one is wrong, or the switch is one that no command reaches.
    """
    settings = Settings.read(switch=arguments.switch, bind=arguments.bind, allow=arguments.allow, environ=environ)
    reachable(settings.switch)
    return settings


def reachable(switch: Switch) -> Switch:
    """``switch`` itself.

    :raises ConfigurationError: if it is one that no command reaches.
    """
    if isinstance(switch, MemorySwitch):
        problem = "is inside the application's own process, where no command reaches it"
        raise ConfigurationError("switch", "memory", problem, "Give the path of a file.")
    return switch
