"""``stagedoor pass``: what tells a developer apart from the others who debug in the same window."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from stagedoor.access.passes import SHORTEST_TOKEN, can_make_passes, is_pass_name, make_passes
from stagedoor.console import print_json, print_paragraph
from stagedoor.errors import ConfigurationError, PassRefused
from stagedoor.settings.settings import Settings
from stagedoor.switches import EnvironmentSwitch
from stagedoor.window.window import Window, format_time

from .report import where_else
from .settings import reachable


def print_passes(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print both passes of a name, and how to use them."""
    name = arguments.name
    if not is_pass_name(name):
        remedy = 'Write 1 to 32 small letters, digits, "-" and "_", a letter first, such as anna.'
        raise ConfigurationError("NAME", name, "is no name for a pass", remedy)
    settings = Settings.read(switch=arguments.switch, environ=environ)
    reachable(settings.switch)
    window = _window(settings, name)
    passes = make_passes(name, window.token)
    if arguments.json:
        print_json({"name": passes.name, "request": passes.request, "attach": passes.attach})
        return 0
    print(f"Two passes for {name}.\n")
    print_paragraph(
        'For requests, in the header X-Stagedoor-Token, or for a browser in the cookie "stagedoor_token". They are then'
        f" {name}'s, from whichever address that may debug:"
    )
    print(f"\n  {passes.request}\n")
    print_paragraph('To attach, where the IDE asks for the token, or as "stagedoorToken" in launch.json:')
    print(f"\n  {passes.attach}\n")
    end = format_time(window.expires_at)
    if isinstance(settings.switch, EnvironmentSwitch):
        print_paragraph(f"They last as long as STAGEDOOR_TOKEN is the same. The window ends at {end}.")
    else:
        print_paragraph(f"They end with this window, at {end} as it is, or when it is closed.")
    return 0


def _window(settings: Settings, name: str) -> Window:
    """The open window, of which passes can be made.

    :raises PassRefused: if there is none.
    :raises SwitchError: if the switch can't be trusted.
    """
    switch, refused = settings.switch, f"No pass was made for {name}"
    window = switch.read()
    is_environment = isinstance(switch, EnvironmentSwitch)
    if window is None:
        remedy = "Set STAGEDOOR_UNTIL to a time to come." if is_environment else "Open one: stagedoor open --for 30m."
        raise PassRefused(f"{refused}: no window is open in {switch.name}.", f"{remedy} {where_else(switch)}".strip())
    if not settings.shared_token:
        raise PassRefused(f"{refused}: {switch.token_shown}.")
    if not can_make_passes(window.token):
        raise PassRefused(
            f"{refused}: the window's token has {len(window.token)} characters, and whoever has a pass can try tokens"
            f" without asking the server, so passes need one of {SHORTEST_TOKEN} at least.",
            "Set a longer STAGEDOOR_TOKEN and restart the application.",
        )
    return window
