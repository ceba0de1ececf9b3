"""What is known of the WSGI server around a request: how many threads it has, how to keep its worker alive, and what a
debugger would meet in its process.

A WSGI environ does not tell these, or not the truth. Of a server that can't be asked nothing is assumed.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from .base import A_THREAD_EACH, Server
from .callers import caller, serves_a_request
from .decision import Pauses, pauses
from .embedding import embedding_server
from .inside import entrances, threads_inside
from .process import Process, this_process

__all__ = [
    "A_THREAD_EACH",
    "Pauses",
    "Process",
    "Server",
    "entrances",
    "pauses",
    "serves_a_request",
    "surrounding_server",
    "this_process",
    "threads_inside",
]


def surrounding_server() -> Server:
    """The server that has called the application on this thread. Never raises."""
    with suppress(Exception):
        return embedding_server() or caller(sys._getframe(1)) or Server()
    return Server()
