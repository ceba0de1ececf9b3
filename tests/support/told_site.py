"""A WSGI application that makes its own pages of errors, and tells the server of them (PEP 3333: ``exc_info``).

The lines at which tests stop end in ``# stop: NAME``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]


class Trouble(Exception):
    pass


def fail(wanted: str) -> None:
    raise Trouble(wanted)  # stop: fail


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """``/pid``, or ``/STATUS`` and ``/partly/STATUS``, where a part of the response has been sent before."""
    if environ["PATH_INFO"] == "/pid":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
    *partly, status = environ["PATH_INFO"].split("/")[1:]
    if partly:
        start_response("200 OK", [("Content-Type", "text/plain")])(b"first ")
    try:
        fail(status)
    except Trouble:
        start_response(f"{status} Trouble", [("Content-Type", "text/plain")], sys.exc_info())
    return [f"page {status}".encode()]
