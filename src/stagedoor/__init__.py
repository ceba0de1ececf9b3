"""Attach VS Code to a running WSGI application: for requests from allowed addresses only, and only for a while."""

# ruff: noqa: E402  Before anything that an older Python can't read.
from .platforms import require_python

require_python()

from .errors import ConfigurationError, DebuggerError, StagedoorError, SwitchError, WindowRefused
from .jobs import traced
from .middleware import StageDoor
from .tracing import stop_on_exception
from .window.window import Window

__all__ = [
    "ConfigurationError",
    "DebuggerError",
    "StageDoor",
    "StagedoorError",
    "SwitchError",
    "Window",
    "WindowRefused",
    "stop_on_exception",
    "traced",
]
