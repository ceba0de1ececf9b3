"""Attach VS Code to a running WSGI application: for requests from allowed addresses only, and only for a while.

What is public stands in ``__all__``. Who talks to whom, while a window is open::

    stagedoor open --> switch (a file) <-- looked at twice a second by each worker and by the gatekeeper

    visitor --HTTP--> StageDoor --> application              middleware: the gate is one early return
    anna's page --HTTP--> StageDoor --> request --> application
                              |            |  enters and leaves, part by part
                              |         tracing: pydevd, for the threads that run a matching request
                           worker: a thread that starts it, watches the window and ends it
                              |
                              +--control socket (Unix, this user's)-----> gatekeeper: one a switch
          one such pair       +--pydevd's DAP, over the same socket------>  |  workers: one debugger each, set up by it
          for each worker                                                   |  sessions: one a developer, in front of all
    IDE of anna --TCP or a tunnel--> the debug port, gated ---------------->+  workers; their threads are the requests
    IDE of ben  --TCP or a tunnel--> the same port ------------------------>+  of that developer, wherever they run

Whose a request is the worker decides (``access``), and who is attached the gatekeeper tells it. So a stop, a condition or
a log message is one developer's, and never another's or a visitor's.

The packages, each of which imports only from those above it (a test holds that): ``application`` what is wrapped,
``access`` who is let in, ``window`` and ``switches``, ``dap`` the protocol, ``control`` what the processes share, ``settings``,
``tracing`` pydevd and nothing else of it elsewhere, ``worker`` this process, ``gatekeeper`` the one that owns the port; beside
them ``request`` and ``middleware``; on top ``cli``, ``integrations`` and ``demo``.
"""

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
