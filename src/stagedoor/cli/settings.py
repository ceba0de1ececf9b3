"""The settings of a command: what its options say, else the variables ``STAGEDOOR_...`` as in the application."""

from __future__ import annotations

from argparse import Namespace

from stagedoor.errors import ConfigurationError
from stagedoor.settings.settings import Settings
from stagedoor.switches import MemorySwitch, Switch


def settings_of(arguments: Namespace) -> Settings:
    settings = Settings.read(switch=arguments.switch, bind=arguments.bind, allow=arguments.allow)
    reachable(settings.switch)
    return settings


def reachable(switch: Switch) -> Switch:
    if isinstance(switch, MemorySwitch):
        problem = "is inside the application's own process, where no command reaches it"
        raise ConfigurationError("switch", "memory", problem, "Give the path of a file.")
    return switch
