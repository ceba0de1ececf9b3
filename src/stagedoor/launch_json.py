"""The developer's side of an attach: the configuration for VS Code, and the SSH tunnel that it goes through."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from .settings.bind import Bind, parse_bind
from .settings.settings import DEFAULT_BIND

_INSTALL_FOLDERS = {"site-packages", "dist-packages"}
_WILDCARDS = {"0.0.0.0", "::"}


def launch_json(host: str, port: int, root: str, *, name: str = "Stagedoor", installed: bool = False) -> dict[str, Any]:
    """A whole ``.vscode/launch.json`` with one configuration, which attaches to a door: one session for all workers.

    :param host: where the debug port is, as the developer's machine reaches it.
    :param port: the same, its TCP port.
    :param root: the folder with the application's code on the server; a relative one is relative to the directory that
        the workers run in, so ``"."`` is that. VS Code maps the folder that it has open to it; with a wrong one its
        breakpoints stay grey, and say which file is not there.
    :param name: what VS Code lists the configuration as.
    :param installed: whether the application is an installed package. debugpy counts everything in ``site-packages``
        as somebody else's code, where with ``justMyCode`` no breakpoint stops (debugpy issue 354).
    """
    return {
        "version": "0.2.0",
        "configurations": [
            {
                "name": name,
                "type": "debugpy",
                "request": "attach",
                "connect": {"host": host, "port": port},
                "pathMappings": [{"localRoot": "${workspaceFolder}", "remoteRoot": root}],
                "justMyCode": not installed,
                "stagedoorToken": "${input:stagedoorToken}",
            }
        ],
        "inputs": [
            {
                "id": "stagedoorToken",
                "type": "promptString",
                "description": 'The token of the open window, or your pass: "stagedoor status" or "pass" on the server has it',
                "password": True,
            }
        ],
    }


def is_installed(root: str) -> bool:
    """Whether the folder ``root`` lies where packages are installed, so that debugpy takes its code for a library's."""
    return not _INSTALL_FOLDERS.isdisjoint(PurePath(root).parts)


def client_address(bind: Bind, server: str) -> tuple[str, int]:
    """The host and port that a client connects to: its own loopback, where the tunnel begins, for a local ``bind``.

    :param server: this server's name, which stands in for a bind address that means every interface.
    """
    if bind.is_local:
        return "127.0.0.1", _tunnel_port(bind)
    return server if bind.host in _WILDCARDS else bind.host, bind.port


def ssh_line(bind: Bind, server: str) -> str:
    """The command that makes the tunnel to a local ``bind``. ``-N``: nothing is run on the server.

    :param server: this server's name, as the developer's machine knows it.
    """
    return f"ssh -N -L {_tunnel_port(bind)}:{bind.path or bind} {server}"


def _tunnel_port(bind: Bind) -> int:
    """The port at the developer's end: the same as here, where there is one."""
    return bind.port or parse_bind(DEFAULT_BIND).port
