"""A small DAP client for scripts, which attaches as VS Code does: ``stagedoor demo`` and the tests drive it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from .conversation import Arguments, Conversation, RequestFailed, WaitFailed, body_of
from .wire import Message

__all__ = ["DapClient", "RequestFailed", "WaitFailed"]

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


class DapClient(Conversation):
    """A client, with the calls that a script needs."""

    #: What the server announced in answer to ``initialize``.
    capabilities: Mapping[str, Any] = MappingProxyType({})

    def attach(
        self, breakpoints: Mapping[str | os.PathLike[str], Sequence[int | Message]] | None = None,
        arguments: Arguments = None, exception_filters: Sequence[str] = (),
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
        body_of(self.claim(what, None, lambda m: m.get("event") == "initialized" or m.get("success") is False))
        taken = {os.fspath(path): self.set_breakpoints(path, given) for path, given in (breakpoints or {}).items()}
        self.request("setExceptionBreakpoints", {"filters": list(exception_filters)})
        self.request("configurationDone")
        self.wait_response(attach)
        return taken

    def set_breakpoints(self, path: str | os.PathLike[str], given: Sequence[int | Message]) -> list[Message]:
        """Replace the breakpoints of a file; returns them as the server took them.

        :param given: lines, or ``SourceBreakpoint`` objects.
        """
        wanted = [{"line": one} if isinstance(one, int) else one for one in given]
        body = self.request("setBreakpoints", {"source": {"path": os.fspath(path)}, "breakpoints": wanted})
        return list(body["breakpoints"])

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
