"""One connection to the debug port: who it is, and the part of the protocol before it is a session."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from stagedoor import dap, dap_policy
from stagedoor.dap import Message

if TYPE_CHECKING:
    from .process import Gatekeeper

#: Seconds within which a connection must have sent an ``attach`` that is let in.
HANDSHAKE_PATIENCE = 10.0

_EXCEPTION_FILTERS = [
    ("raised", "Raised Exceptions", False, "Break whenever any exception is raised."),
    ("uncaught", "Uncaught Exceptions", True, "Break when the process is exiting due to unhandled exception."),
    ("userUnhandled", "User Uncaught Exceptions", False, "Break when exception escapes into library code."),
]

#: What debugpy's own adapter announces (1.8.22), without what is withheld.
CAPABILITIES: dict[str, Any] = {
    "supportsCompletionsRequest": True,
    "supportsConditionalBreakpoints": True,
    "supportsConfigurationDoneRequest": True,
    "supportsDebuggerProperties": True,
    "supportsDelayedStackTraceLoading": True,
    "supportsEvaluateForHovers": True,
    "supportsExceptionInfoRequest": True,
    "supportsExceptionOptions": True,
    "supportsFunctionBreakpoints": True,
    "supportsHitConditionalBreakpoints": True,
    "supportsLogPoints": True,
    "supportsModulesRequest": True,
    "supportsSetExpression": True,
    "supportsSetVariable": True,
    "supportsValueFormattingOptions": True,
    "supportsGotoTargetsRequest": True,
    "supportsClipboardContext": True,
    "supportsStepInTargetsRequest": True,
    "exceptionBreakpointFilters": [
        {"filter": name, "label": label, "default": default, "description": description}
        for name, label, default, description in _EXCEPTION_FILTERS
    ],
}


class Session(Protocol):
    """What a connection becomes once its ``attach`` is let in."""

    def request(self, message: Message) -> None:
        """A request of the client's."""

    def gone(self) -> None:
        """The client has closed its connection."""


class Client:
    """A connection to the debug port.

    :param gatekeeper: whose port it is.
    :param address: the peer's address, which has passed the allowlist or needs the token.
    """

    def __init__(
        self, gatekeeper: Gatekeeper, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.address = address
        self.initialize_arguments: dict[str, Any] | None = None
        self._gatekeeper = gatekeeper
        self._reader = reader
        self._writer = writer
        self._seq = itertools.count(1)
        self.session: Session | None = None

    @property
    def opens_sessions(self) -> bool:
        """Whether it announced ``startDebugging``."""
        return bool((self.initialize_arguments or {}).get("supportsStartDebuggingRequest"))

    def send(self, message: Message) -> None:
        """Send it one message; without effect once it is gone."""
        if not self._writer.is_closing():
            self._writer.write(dap.encode(message, next(self._seq)))

    def say(self, text: str, category: str = "console") -> None:
        """Write a line to the developer's debug console."""
        self.send(dap.event("output", {"category": category, "output": f"{text}\n"}))

    def refuse(self, request: Message, sentence: str) -> None:
        """Answer with an error that the IDE shows to the developer."""
        self.send(dap.error_response(request, sentence))

    def close(self) -> None:
        """Send what is waiting, and end the connection."""
        self._writer.close()

    async def serve(self) -> None:
        """Read until the peer is gone, breaks the protocol, or has not been let in in time."""
        patience = asyncio.get_running_loop().call_later(HANDSHAKE_PATIENCE, self._lose_patience)
        decoder = dap.Decoder(dap.CLIENT_BODY_CAP)
        try:
            while data := await self._reader.read(65536):
                for message in decoder.feed(data):
                    self._take(message)
                await self._writer.drain()
        except (OSError, dap.ProtocolError):
            pass
        finally:
            patience.cancel()
            self.close()
            if self.session is not None:
                self.session.gone()
            with suppress(OSError):
                await self._writer.wait_closed()

    def _lose_patience(self) -> None:
        if self.session is None:
            self.close()

    def _take(self, message: Message) -> None:
        if message["type"] != "request":
            return  # Answers to startDebugging; whether it was done is seen by the session that comes.
        if self.session is not None:
            self.session.request(message)
        elif message["command"] == "initialize":
            self._initialize(message)
        elif message["command"] in ("disconnect", "terminate"):
            self.send(dap.response(message))
            self.close()
        elif self.initialize_arguments is None:
            self.refuse(message, 'The first request of a client has to be "initialize".')
        else:
            self._attach(message)

    def _initialize(self, message: Message) -> None:
        verdict = dap_policy.from_client(message)
        if isinstance(verdict, dap_policy.Refuse) or self.initialize_arguments is not None:
            self.refuse(message, "Session is already initialized")
            return
        self.initialize_arguments = dict(verdict.message.get("arguments") or {})
        self.send(dap.response(message, CAPABILITIES))

    def _attach(self, message: Message) -> None:
        verdict = dap_policy.from_client(message)
        if isinstance(verdict, dap_policy.Refuse):
            self.refuse(message, verdict.sentence)
        elif message["command"] != "attach":
            self.refuse(message, f'"{message["command"]}" came before "attach".')
        else:
            self._gatekeeper.attach(self, message, verdict)
