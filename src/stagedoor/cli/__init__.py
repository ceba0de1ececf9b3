"""The command ``stagedoor``: what it is given, what each of its commands does, and how it speaks on a terminal.

``command`` finds what was asked for, runs it and makes the exit code, ``grammar`` holds the commands' names and options,
``settings`` what these come to together with the environment. The commands, each loaded only when it is asked for:
``windows`` (open, close, until), ``status``, ``passes``, ``check``, ``launch_json``, ``running`` (gatekeeper, demo).
``report`` shows a window and its switch, ``port_check`` looks at the debug port before one is opened.
"""

from .command import main

__all__ = ["main"]
