"""``stagedoor launch-json``: the configuration with which VS Code attaches, for this server."""

from __future__ import annotations

import os
import socket
import sys
from argparse import Namespace
from collections.abc import Mapping

from stagedoor.console import print_json, printable
from stagedoor.errors import ConfigurationError
from stagedoor.launch_json import client_address, is_installed, launch_json, ssh_line
from stagedoor.settings.settings import Settings


def print_launch_json(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print the configuration, and on stderr what to do with it."""
    bind = Settings.read(switch="memory", bind=arguments.bind, environ=environ).bind
    root = os.path.abspath(arguments.root)
    if not os.path.isdir(root):
        remedy = "Give the folder that holds the application's code."
        raise ConfigurationError("--root", arguments.root, "is not a folder on this server", remedy)
    server = socket.gethostname()
    installed = arguments.installed or is_installed(root)
    host, port = client_address(bind, server)
    print_json(launch_json(host, port, root, name=f"Stagedoor: {server}", installed=installed))
    notes = ["Save it as .vscode/launch.json in the folder that VS Code has open."]
    if bind.is_local:
        notes.append(f"Before you attach, on your own machine: {ssh_line(bind, server)}")
    notes.append("Where others debug too, give it your pass as the token: stagedoor pass NAME prints it.")
    if installed:
        notes.append('"justMyCode" is false: else no breakpoint stops in an installed package (debugpy issue 354).')
    for note in notes:  # on stderr, so that stdout is the file
        print(printable(note), file=sys.stderr)
    return 0
