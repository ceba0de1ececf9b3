"""The wire format of the Debug Adapter Protocol (DAP), without any input or output of its own.

A message, in either direction, is one header, one blank line and one JSON object (DAP specification, "Base
protocol")::

    Content-Length: 119\\r\\n        30 bytes at most, the blank line included; no other header exists
    \\r\\n
    {"seq": 1, "type": ...}        119 bytes of UTF-8; at most CLIENT_BODY_CAP or DEBUGGER_BODY_CAP

The object has ``seq`` (an integer) and ``type``, and by type:

======== ===================================================================================
request  ``command`` (string), ``arguments`` (object or null, may be absent)
response ``request_seq`` (integer), ``success`` (boolean), ``command`` (string), ``body``
event    ``event`` (string), ``body``
======== ===================================================================================

Reading is strict: what could be read in two ways is refused, and the peer with it. To pass a message on, encode
what was decoded and never the bytes themselves, so that both ends have read the same thing (of a key that is there
twice, the last one counts).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from stagedoor.errors import StagedoorError

#: The largest message that is read from a client, in bytes. The largest ones that clients send list breakpoints.
CLIENT_BODY_CAP = 1024 * 1024

#: The largest message that is read from a debugger, in bytes. pydevd shows up to 65,536 characters of each value, which
#: are up to 12 bytes each in JSON, and hundreds of values at once; and copies a whole value to the clipboard.
DEBUGGER_BODY_CAP = 128 * 1024 * 1024

_HEADER_NAME = b"Content-Length: "
_HEADER_END = b"\r\n\r\n"
_HEADER = re.compile(rb"Content-Length: (0|[1-9][0-9]{0,9})\r\n\r\n")
_HEADER_CAP = len(_HEADER_NAME) + 10 + len(_HEADER_END)

#: One DAP message as it was in the JSON.
Message = dict[str, Any]

_FIELDS: dict[str, dict[str, type]] = {
    "request": {"command": str},
    "response": {"request_seq": int, "success": bool, "command": str},
    "event": {"event": str},
}


class ProtocolError(StagedoorError):
    """The peer broke the protocol, or a message can't be put into it. The connection is of no use any more.

    The sentence never quotes what the peer sent: that may be a piece of a message with a token in it.
    """


class Decoder:
    """Turns the bytes of one peer into messages. After an error it refuses everything.

    :param body_cap: the largest body that is accepted, in bytes. A larger one is refused by its header, before any
        of it is kept.
    """

    def __init__(self, body_cap: int = DEBUGGER_BODY_CAP) -> None:
        #: The largest body that is accepted, in bytes. It may be changed between two messages.
        self.body_cap = body_cap
        self._buffer = bytearray()
        self._body_length: int | None = None
        self._error: ProtocolError | None = None

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that ``data`` completes. Go through all of them before the next call.

        :raises ProtocolError: here or while going through the messages, in the order in which things came.
            Nothing else is ever raised.
        """
        if self._error is not None:
            raise ProtocolError(f"Nothing more is read from this peer. {self._error}")
        self._buffer += data
        return self._messages()

    def _messages(self) -> Iterator[Message]:
        try:
            while (body := self._next_body()) is not None:
                yield _parse(body)
        except ProtocolError as error:
            self._error = error
            self._buffer.clear()
            raise

    def _next_body(self) -> bytes | None:
        if self._body_length is None:
            self._body_length = self._read_header()
        if self._body_length is None or len(self._buffer) < self._body_length:
            return None
        body = bytes(self._buffer[: self._body_length])
        del self._buffer[: self._body_length]
        self._body_length = None
        return body

    def _read_header(self) -> int | None:
        # Told apart as early as possible: whoever speaks something else shall not be waited for.
        if self._buffer[: len(_HEADER_NAME)] != _HEADER_NAME[: len(self._buffer)]:
            raise ProtocolError(
                'A DAP message has to begin with "Content-Length: ", and something else came: '
                "the peer doesn't speak the Debug Adapter Protocol, or lost count."
            )
        if self._buffer.find(_HEADER_END, 0, _HEADER_CAP) < 0 and len(self._buffer) < _HEADER_CAP:
            return None
        header = _HEADER.match(self._buffer)
        if header is None:
            raise ProtocolError(
                "The header of a DAP message has to be Content-Length with a plain decimal number, followed by a "
                "blank line, and this one isn't."
            )
        length = int(header[1])
        if length > self.body_cap:
            raise ProtocolError(
                f"A DAP message of {length} bytes was refused: the largest that is accepted here is {self.body_cap}."
            )
        del self._buffer[: header.end()]
        return length


def encode(message: Mapping[str, Any], seq: int | None = None) -> bytes:
    """The bytes of one message.

    :param seq: its sequence number, counted by whoever sends; default: the one that it already has.
    :raises ProtocolError: if it has no sequence number, is nested too deeply or holds a number that JSON doesn't
        have.
    """
    if seq is not None:
        message = {**message, "seq": seq}
    elif "seq" not in message:
        raise ProtocolError("A DAP message can't be sent without a sequence number.")
    try:
        # Escaped to ASCII, as pydevd does it: half of a surrogate pair can be in a string, but not in UTF-8.
        body = json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii")
    except RecursionError:
        raise ProtocolError("A DAP message is nested too deeply to be sent.") from None
    except ValueError as error:
        raise ProtocolError(f"A DAP message can't be written as JSON: {error}.") from None
    return b"%s%d%s%s" % (_HEADER_NAME, len(body), _HEADER_END, body)


def request(command: str, arguments: Mapping[str, Any] | None = None) -> Message:
    """A request, still without ``seq``: :func:`encode` sets it."""
    message: Message = {"type": "request", "command": command}
    return message if arguments is None else message | {"arguments": arguments}


def response(request: Mapping[str, Any], body: Mapping[str, Any] | None = None) -> Message:
    """The answer that ``request`` succeeded, still without ``seq``: :func:`encode` sets it."""
    message: Message = {
        "type": "response",
        "request_seq": request["seq"],
        "success": True,
        "command": request["command"],
    }
    return message if body is None else message | {"body": body}


def error_response(request: Mapping[str, Any], sentence: str, *, show_user: bool = True) -> Message:
    """The answer that ``request`` was refused, still without ``seq``: :func:`encode` sets it.

    :param sentence: what was refused and why, for the person in front of the IDE.
    :param show_user: the client shows the sentence in a dialog or a notification of its own; false where it is
        seen anyway, such as in the debug console.
    """
    # Braces are placeholders in `format`, so those of the sentence become placeholders for themselves.
    escaped = re.sub(r"[{}]", lambda brace: "{_open}" if brace[0] == "{" else "{_close}", sentence)
    error: Message = {"id": 1, "format": escaped, "showUser": show_user}
    if escaped != sentence:
        error["variables"] = {"_open": "{", "_close": "}"}
    return response(request, {"error": error}) | {"success": False, "message": sentence}


def event(name: str, body: Mapping[str, Any] | None = None) -> Message:
    """An event, still without ``seq``: :func:`encode` sets it."""
    message: Message = {"type": "event", "event": name}
    return message if body is None else message | {"body": body}


def _parse(body: bytes) -> Message:
    try:
        message = _JSON.decode(body.decode("utf-8"))
    except RecursionError:
        raise ProtocolError("A DAP message is nested too deeply to be read.") from None
    except ValueError:  # not UTF-8, not JSON, or an integer with more digits than Python converts
        raise ProtocolError("A DAP message has to be a JSON object in UTF-8, and this one isn't.") from None
    if not isinstance(message, dict):
        raise ProtocolError("A DAP message has to be a JSON object, and this one is another JSON value.")
    kind = message.get("type")
    fields = _FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None:
        raise ProtocolError('The "type" of a DAP message has to be "request", "response" or "event".')
    for name, wanted in {"seq": int, **fields}.items():
        if type(message.get(name)) is not wanted:  # not isinstance: true is no integer here
            raise ProtocolError(f'A DAP {kind} needs "{name}", of type {wanted.__name__}.')
    if kind == "request" and not isinstance(message.get("arguments"), dict | None):
        raise ProtocolError('The "arguments" of a DAP request have to be an object.')
    return message


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
