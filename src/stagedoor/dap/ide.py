"""As much of an IDE as a script needs: a session, the child sessions that it is asked to open, and all their stops.

``stagedoor demo`` and the tests drive it. It attaches as VS Code does, to either debugger back end.
"""

from __future__ import annotations

import os
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

    def resume(self) -> None:
        self.session.resume(self.thread_id)


class Ide:
    """An IDE with breakpoints, attached. A session that ends is left as VS Code leaves it, with a ``disconnect``.

    :param address: host and port, or the path of a Unix socket.
    :param breakpoints: lines, or whole breakpoints of DAP's, by file.
    :param token: the window's token.
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
        self._address = address
        self._source_address = source_address
        self._breakpoints: dict[str | os.PathLike[str], Sequence[int | dict[str, Any]]] = {}
        self._breakpoints.update((breakpoints or {}).items())
        self._filters = exception_filters
        self._timeout = timeout
        self._stops: queue.SimpleQueue[Stop] = queue.SimpleQueue()
        self._closed = False
        forking.register(self)
        #: Child sessions by the process id of their worker.
        self.children: dict[int, DapClient] = {}
        #: Child sessions that could not be opened, and why.
        self.troubles: list[str] = []
        self.root = self._connect()
        configuration = dict(arguments or {})
        if token is not None:
            configuration["stagedoorToken"] = token
        if isinstance(address, tuple):
            configuration.setdefault("connect", {"host": address[0], "port": address[1]})
        try:
            self._attach(self.root, configuration)
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._open_children, name="ide-children", daemon=True).start()

    def forget_in_child(self) -> None:
        """In a forked child: its sessions are the parent's, and forget themselves."""
        self._stops = queue.SimpleQueue()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def stopped(self, timeout: float | None = None) -> Stop:
        """The next stop of any session.

        :raises WaitFailed: if there is none within ``timeout`` seconds.
        """
        timeout = self._timeout if timeout is None else timeout
        try:
            return self._stops.get(timeout=timeout)
        except queue.Empty:
            children = ", ".join([*map(str, self.children), *self.troubles]) or "none"
            raise WaitFailed(f"Waited {timeout:g} s for a stop; child sessions: {children}.") from None

    def console(self) -> list[str]:
        """What the debug console has shown so far."""
        return [
            message["body"]["output"].rstrip("\n")
            for message in self.root.events
            if message["event"] == "output" and message["body"].get("category") == "console"
        ]

    def set_breakpoints(self, breakpoints: Mapping[str, Sequence[int | dict[str, Any]]]) -> None:
        """Replace the breakpoints of these files, in every session."""
        self._breakpoints.update(breakpoints.items())
        for session in [self.root, *self.children.values()]:
            for file, lines in breakpoints.items():
                session.set_breakpoints(file, lines)

    def disconnect(self) -> None:
        """Leave as an IDE does, all sessions."""
        self._closed = True
        for session in [*self.children.values(), self.root]:
            with suppress(StagedoorError, OSError):
                session.disconnect()
        self.close()

    def close(self) -> None:
        """Drop every connection."""
        self._closed = True
        for session in [*self.children.values(), self.root]:
            session.close()

    def _connect(self) -> DapClient:
        return DapClient(self._address, self._timeout, source_address=self._source_address)

    def _attach(self, session: DapClient, configuration: Mapping[str, Any]) -> None:
        session.attach(self._breakpoints, configuration, self._filters)
        for work in (self._pass_stops, self._say_farewell):
            threading.Thread(target=work, args=(session,), name="ide", daemon=True).start()

    def _open_children(self) -> None:
        with suppress(WaitFailed):
            while not self._closed:
                asked = self.root.wait_reverse_request("startDebugging", timeout=_FOR_GOOD)
                threading.Thread(target=self._open_child, args=(asked["configuration"],), daemon=True).start()

    def _open_child(self, configuration: Mapping[str, Any]) -> None:
        pid = configuration["subProcessId"]
        try:
            session = self.children[pid] = self._connect()
            self._attach(session, configuration)
        except (StagedoorError, OSError) as error:
            if not self._closed:
                self.troubles.append(f"worker {pid}: {error}")

    def _pass_stops(self, session: DapClient) -> None:
        with suppress(WaitFailed):
            while not self._closed:
                body = session.wait_event("stopped", timeout=_FOR_GOOD)
                self._stops.put(Stop(session, body["threadId"], body["reason"]))

    def _say_farewell(self, session: DapClient) -> None:
        with suppress(StagedoorError, OSError):
            session.wait_event("terminated", timeout=_FOR_GOOD)
            session.disconnect()
