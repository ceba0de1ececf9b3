"""As much of an IDE as a script needs: a session with its breakpoints, and its stops.

``stagedoor demo`` and the tests drive it. It attaches as VS Code does, to either debugger back end.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

from stagedoor import forking
from stagedoor.errors import StagedoorError

from .client import DapClient, WaitFailed

_FOR_GOOD = 24 * 3600.0


class Stop(NamedTuple):
    """A pause.

    :param session: the session in which it happened, to speak to about it.
    :param thread_id: the paused thread.
    :param reason: DAP's reason, such as ``"breakpoint"``.
    """

    session: DapClient
    thread_id: int
    reason: str

    def frame(self) -> dict[str, Any]:
        """The innermost frame: ``name``, ``line``, ``source``, ``id``."""
        return self.session.stack(self.thread_id)[0]

    def locals(self) -> dict[str, str]:
        return self.session.locals(self.frame()["id"])

    def name(self) -> str:
        """What the IDE calls the thread: the request and, behind the gatekeeper, its worker."""
        threads = self.session.request("threads")["threads"]
        return next(str(thread["name"]) for thread in threads if thread["id"] == self.thread_id)

    def worker(self) -> int:
        """The process id of the worker in which it is, behind the gatekeeper."""
        return int(self.name().rpartition("(worker ")[2].rstrip(")"))

    def resume(self) -> None:
        self.session.resume(self.thread_id)


class Ide:
    """An IDE with breakpoints, attached. When its session ends it leaves as VS Code does, with a ``disconnect``.

    :param address: host and port, or the path of a Unix socket.
    :param breakpoints: lines, or whole breakpoints of DAP's, by file.
    :param token: the window's token, or a pass.
    :param arguments: further keys of the attach configuration.
    :param exception_filters: such as ``("uncaught",)``.
    :param source_address: the local address to connect from.
    :param timeout: seconds to wait for anything.
    :raises OSError: if there is no connection.
    :raises RequestFailed: if the attach is refused.
    """

    def __init__(
        self,
        address: tuple[str, int] | str,
        breakpoints: Mapping[str, Sequence[int | dict[str, Any]]] | None = None,
        *,
        token: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        exception_filters: Sequence[str] = (),
        source_address: tuple[str, int] | None = None,
        timeout: float = 10,
    ) -> None:
        self._timeout = timeout
        self._stops: queue.SimpleQueue[Stop] = queue.SimpleQueue()
        self._closed = False
        forking.register(self)
        self.session = DapClient(address, timeout, source_address=source_address)
        configuration = dict(arguments or {})
        if token is not None:
            configuration["stagedoorToken"] = token
        if isinstance(address, tuple):
            configuration.setdefault("connect", {"host": address[0], "port": address[1]})
        try:
            self.session.attach(dict((breakpoints or {}).items()), configuration, exception_filters)
        except BaseException:
            self.close()
            raise
        for work in (self._pass_stops, self._say_farewell):
            threading.Thread(target=work, name="ide", daemon=True).start()

    def forget_in_child(self) -> None:
        """In a forked child: its session is the parent's, and forgets itself."""
        self._stops = queue.SimpleQueue()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def stopped(self, timeout: float | None = None) -> Stop:
        """The next stop.

        :raises WaitFailed: if there is none within ``timeout`` seconds.
        """
        timeout = self._timeout if timeout is None else timeout
        try:
            return self._stops.get(timeout=timeout)
        except queue.Empty:
            said = " | ".join(self.console()) or "nothing"
            raise WaitFailed(f"Waited {timeout:g} s for a stop; the console said: {said}.") from None

    def console(self) -> list[str]:
        """What the debug console has shown so far."""
        return [
            message["body"]["output"].rstrip("\n")
            for message in self.session.events
            if message["event"] == "output" and message["body"].get("category") in ("console", "important")
        ]

    def set_breakpoints(self, breakpoints: Mapping[str, Sequence[int | dict[str, Any]]]) -> None:
        """Replace the breakpoints of these files."""
        for file, lines in breakpoints.items():
            self.session.set_breakpoints(file, lines)

    def disconnect(self) -> None:
        """Leave as an IDE does."""
        self._closed = True
        with suppress(StagedoorError, OSError):
            self.session.disconnect()
        self.close()

    def close(self) -> None:
        """Drop the connection."""
        self._closed = True
        self.session.close()

    def _pass_stops(self) -> None:
        with suppress(WaitFailed):
            while not self._closed:
                body = self.session.wait_event("stopped", timeout=_FOR_GOOD)
                self._stops.put(Stop(self.session, body["threadId"], body["reason"]))

    def _say_farewell(self) -> None:
        with suppress(StagedoorError, OSError):
            self.session.wait_event("terminated", timeout=_FOR_GOOD)
            self.session.disconnect()
