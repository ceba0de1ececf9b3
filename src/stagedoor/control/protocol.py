"""The control socket between a gatekeeper and the workers and commands of the same user: what is said on it.

Both ways, one JSON object a line, in ASCII, at most :data:`LINE_CAP` bytes with its line feed::

    worker  -> {"hello": {"digest": "...", "window": "...", "pid": 4242, "cwd": "/srv"}}
            <- {"welcome": {"sessions": S}}             or {"refused": "why"}, and the connection ends; it is asked
                                                        again if "again" is true, and "remedy" says what to do
            <- {"sessions": S}                          S = {"revision": 7, "owners": {"anna": "s1", "*": "s2"}}
    worker  -> {"seen": 7}                              requests are treated so from now on
            -> {"join": "GET /checkout"}                about to bring its debugger, for this request
            -> {"paused": {"thread": 1, "request": "GET /checkout", "place": "views.py:12", "session": "s1", "number": 3}}
            -> {"resumed": {"thread": 1, "session": "s1", "number": 3}}
            -> {"console": "...", "session": "s1", "important": true}   without a session: to everybody
            -> {"window": {...}}, {"over": "why"}       of a switch that only workers read: moved, closed
            <- {"audit": {"event": "...", "sentence": "...", "level": 20, "fields": {}}}
            <- {"closed": "why"}, and the connection ends

    debuggee -> {"debuggee": {"pid": 4242}}             from here on the connection carries pydevd's own DAP

    command -> {"status": {}}     <- {"status": {...}}
            -> {"close": {}}      <- {"closed": "why"}

The first line decides what the connection is for: one thing. Both ends ask the kernel who their peer is
(``SO_PEERCRED``) before they read or say anything. Where the socket is: :mod:`.place`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .place import ControlError

#: The longest line, in bytes.
LINE_CAP = 256 * 1024

ControlMessage = dict[str, Any]


def encode(message: Mapping[str, Any]) -> bytes:
    """One line.

    :raises ControlError: if it would be too long.
    """
    line = json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"
    if len(line) > LINE_CAP:
        raise ControlError(f"A control message of {len(line)} bytes was not sent: the longest is {LINE_CAP}.")
    return line


def decode(line: bytes) -> ControlMessage:
    """The message of one line.

    :raises ControlError: if it is not one.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ControlError("The peer on the control socket sent something that is no control message.")
    return message
