"""A small DAP client for scripts, which attaches as VS Code does: ``stagedoor demo`` and the tests drive it."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from stagedoor import forking
from stagedoor.errors import StagedoorError

from . import wire
from .wire import Message

_Address = tuple[str, int] | str | socket.socket
_Arguments = Mapping[str, Any] | None

# What VS Code 1.100 with the Python Debugger extension sends, but for the names of the client.
_INITIALIZE: Message = {
    "clientID": "stagedoor", "clientName": "Stagedoor", "adapterID": "debugpy", "locale": "en", "pathFormat": "path",
    "linesStartAt1": True, "columnsStartAt1": True, "supportsVariableType": True, "supportsVariablePaging": True,
    "supportsRunInTerminalRequest": True, "supportsProgressReporting": True, "supportsInvalidatedEvent": True,
    "supportsMemoryReferences": True, "supportsArgsCanBeInterpretedByShell": True, "supportsMemoryEvent": True,
    "supportsStartDebuggingRequest": True, "supportsANSIStyling": True,
}  # fmt: skip
_ATTACH: Message = {
    "name": "Stagedoor", "type": "debugpy", "request": "attach", "justMyCode": True, "showReturnValue": True,
    "debugOptions": ["RedirectOutput", "ShowReturnValue"], "clientOS": "unix", "__sessionId": "stagedoor",
}  # fmt: skip


class RequestFailed(StagedoorError):
    """The server refused the request ``command``, for the reason ``sentence``; ``body`` is the response's."""

    def __init__(self, command: str, sentence: str, body: Message) -> None:
        self.command = command
        self.sentence = sentence
        self.body = body
        super().__init__(f'"{command}" was refused: {sentence}')


class WaitFailed(StagedoorError):
    """What was waited for didn't come in time, or can't come any more; the message lists what came instead."""


class DapClient:
    """A connection to a DAP server. Every call waits for its answer; a thread of its own reads.

    Calls that wait raise :class:`WaitFailed`, calls that send a request :class:`RequestFailed` too. What came before
    the end of the connection can still be waited for after it.

    :param address: host and port, the path of a Unix socket, or a socket that is connected already.
    :param timeout: seconds to wait wherever a call doesn't say; default 10: attaching includes the start of a debugger.
    :param source_address: the local address to connect from, such as ``("127.0.0.2", 0)``; not for Unix sockets.
    :param answer_reverse_requests: answer what the server asks for (``startDebugging``) with success. Nothing is
        started: that is left to the script.
    :raises OSError: if there is no connection.
    """

    def __init__(
        self, address: _Address, timeout: float = 10, *, source_address: tuple[str, int] | None = None,
        answer_reverse_requests: bool = True,
    ) -> None:  # fmt: skip
        self.address = address
        self.timeout = timeout
        #: What the server announced in answer to ``initialize``.
        self.capabilities: Message = {}
        self._answer_reverse_requests = answer_reverse_requests
        self._seq = itertools.count(1)
        self._commands: dict[int, str] = {}
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._received: list[Message] = []
        self._unclaimed: list[Message] = []
        self._over = ""
        self._socket = _connected(address, timeout, source_address)
        self._reader = threading.Thread(target=self._read, name="stagedoor-dapclient", daemon=True)
        self._reader.start()
        forking.register(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()

    def forget_in_child(self) -> None:
        """In a forked child: the connection is the parent's, and the thread that reads it is not here."""
        self._sending, self._changed = threading.Lock(), threading.Condition()
        self._over = self._over or "it is the parent process's"
        self._socket.close()

    @property
    def events(self) -> list[Message]:
        """All events so far, waited for or not."""
        with self._changed:
            return [message for message in self._received if message["type"] == "event"]

    def send(self, command: str, arguments: _Arguments = None) -> int:
        """Send a request without waiting; returns its sequence number for :meth:`wait_response`."""
        return self._write(wire.request(command, arguments))

    def wait_response(self, seq: int, timeout: float | None = None) -> Message:
        """The body of the response to the request ``seq``; each can be waited for once."""
        what = f'the response to "{self._commands[seq]}"'
        return _body(self._claim(what, timeout, lambda message: message.get("request_seq") == seq))

    def request(self, command: str, arguments: _Arguments = None, timeout: float | None = None) -> Message:
        """Send a request and return the body of its response."""
        return self.wait_response(self.send(command, arguments), timeout)

    def wait_event(
        self, name: str, predicate: Callable[[Message], bool] = lambda body: True, timeout: float | None = None
    ) -> Message:
        """The body of the first event ``name`` (that satisfies ``predicate``) which nobody has waited for yet."""
        what = f'an event "{name}"'
        return _body(self._claim(what, timeout, lambda m: m.get("event") == name and predicate(_body(m))))

    def wait_reverse_request(self, command: str, timeout: float | None = None) -> Message:
        """The arguments of the first request ``command`` of the server which nobody has waited for yet."""
        what = f'a request "{command}" of the server'
        found = self._claim(what, timeout, lambda m: m["type"] == "request" and m["command"] == command)
        return found.get("arguments") or {}

    def wait_closed(self, timeout: float | None = None) -> None:
        """Wait until the peer has hung up."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._over, self.timeout if timeout is None else timeout):
                raise self._failed("the end of the connection")

    def attach(
        self, breakpoints: Mapping[str | os.PathLike[str], Sequence[int | Message]] | None = None,
        arguments: _Arguments = None, exception_filters: Sequence[str] = (),
    ) -> dict[str, list[Message]]:  # fmt: skip
        """The whole handshake in VS Code's order; returns each file's breakpoints as the server took them.

        :param breakpoints: by file: lines, or ``SourceBreakpoint`` objects (``{"line": 3, "condition": "x > 1"}``).
        :param arguments: of ``attach``, in addition to what VS Code always sends, or instead of it.
        :param exception_filters: such as ``"uncaught"``.
        """
        self.capabilities = self.request("initialize", _INITIALIZE)
        address = self.address
        connect = {"host": address[0], "port": address[1]} if isinstance(address, tuple) else {}
        attach = self.send("attach", {**_ATTACH, "connect": connect, **(arguments or {})})
        # A server answers attach after configurationDone, unless it refuses.
        what = 'an event "initialized" or a refusal of "attach"'
        _body(self._claim(what, None, lambda m: m.get("event") == "initialized" or m.get("success") is False))
        taken = {}
        for path, given in (breakpoints or {}).items():
            wanted = [{"line": one} if isinstance(one, int) else one for one in given]
            body = self.request("setBreakpoints", {"source": {"path": os.fspath(path)}, "breakpoints": wanted})
            taken[os.fspath(path)] = body["breakpoints"]
        self.request("setExceptionBreakpoints", {"filters": list(exception_filters)})
        self.request("configurationDone")
        self.wait_response(attach)
        return taken

    def stopped(self, timeout: float | None = None) -> Message:
        """The next ``stopped`` event: ``threadId``, ``reason``."""
        return self.wait_event("stopped", timeout=timeout)

    def stack(self, thread_id: int) -> list[Message]:
        """The frames of a paused thread, innermost first: ``id``, ``name``, ``line``, ``source``."""
        return list(self.request("stackTrace", {"threadId": thread_id})["stackFrames"])

    def scopes(self, frame_id: int) -> list[Message]:
        """The scopes of a frame: ``name``, ``variablesReference``."""
        return list(self.request("scopes", {"frameId": frame_id})["scopes"])

    def variables(self, reference: int) -> list[Message]:
        """What is behind a ``variablesReference``: ``name``, ``value``, ``type``."""
        return list(self.request("variables", {"variablesReference": reference})["variables"])

    def locals(self, frame_id: int) -> dict[str, str]:
        """A frame's local variables as the IDE shows them, without debugpy's groups ("special variables")."""
        reference = next(scope["variablesReference"] for scope in self.scopes(frame_id) if scope["name"] == "Locals")
        return {found["name"]: found["value"] for found in self.variables(reference) if found["type"]}

    def evaluate(self, expression: str, frame_id: int | None, context: str = "repl") -> str:
        """The value of an expression as text; ``context`` as in DAP: ``repl``, ``watch``, ``hover``, ``clipboard``."""
        frame = {} if frame_id is None else {"frameId": frame_id}
        return str(self.request("evaluate", {"expression": expression, "context": context, **frame})["result"])

    def resume(self, thread_id: int) -> Message:
        """Continue a paused thread (``continue``)."""
        return self.request("continue", {"threadId": thread_id})

    def next(self, thread_id: int) -> None:
        """Step over."""
        self.request("next", {"threadId": thread_id})

    def step_in(self, thread_id: int) -> None:
        """Step into."""
        self.request("stepIn", {"threadId": thread_id})

    def step_out(self, thread_id: int) -> None:
        """Step out."""
        self.request("stepOut", {"threadId": thread_id})

    def disconnect(self) -> None:
        """End the session, leave the application running and hang up."""
        self.request("disconnect", {"restart": False, "terminateDebuggee": False})
        self.close()

    def _write(self, message: Message) -> int:
        with self._sending:
            seq = next(self._seq)
            self._commands[seq] = message["command"]
            with suppress(OSError):  # the reader notices too, and tells whoever waits for the answer
                self._socket.sendall(wire.encode(message, seq))
            return seq

    def _read(self) -> None:
        decoder, over = wire.Decoder(), "the peer hung up"
        try:
            while data := self._socket.recv(65536):
                for message in decoder.feed(data):
                    if message["type"] == "request" and self._answer_reverse_requests:
                        self._write(wire.response(message))
                    with self._changed:
                        self._received.append(message)
                        self._unclaimed.append(message)
                        self._changed.notify_all()
        except (OSError, wire.ProtocolError) as error:
            over = str(error)
        with self._changed:
            self._over = over
            self._changed.notify_all()

    def _claim(self, what: str, timeout: float | None, wanted: Callable[[Message], bool]) -> Message:
        def find() -> Message | str:
            index = next((i for i, message in enumerate(self._unclaimed) if wanted(message)), None)
            return self._over if index is None else self._unclaimed.pop(index)

        with self._changed:
            found = self._changed.wait_for(find, self.timeout if timeout is None else timeout)
            if isinstance(found, str):
                raise self._failed(what)
            return found

    def _failed(self, what: str) -> WaitFailed:
        # Names only: a child session's configuration holds the window's token.
        came = ", ".join(f"{m['type']} {m.get('event') or m.get('command')}" for m in self._received[-30:]) or "nothing"
        return WaitFailed(f"Waited for {what}, but {self._over or 'it took too long'}. Came so far: {came}.")


def _connected(address: _Address, timeout: float, source_address: tuple[str, int] | None) -> socket.socket:
    if isinstance(address, socket.socket):
        connection = address
    elif not isinstance(address, str):
        connection = socket.create_connection(address, timeout, source_address)
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(address)
    connection.settimeout(None)
    return connection


def _body(message: Message) -> Message:
    body: Message = message.get("body") or {}
    if message.get("success") is False:
        raise RequestFailed(message["command"], message.get("message") or "no reason was given", body)
    return body
