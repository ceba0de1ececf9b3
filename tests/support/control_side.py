"""The gatekeeper's side of one worker: the test answers on the control socket, and is pydevd's only client."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from stagedoor import StageDoor
from stagedoor.control.place import path_beside, private_directory
from stagedoor.dap.client import DapClient
from stagedoor.dap.wire import Message
from support import sessions_site
from support.servers import free_port
from support.stage import Worker
from support.waiting import wait_for


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """``/visit`` and ``/sleep``, with the number in the query."""
    number = int(environ["QUERY_STRING"] or 0)
    result = sessions_site.visit(number) if environ["PATH_INFO"] == "/visit" else number
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(result).encode()]


class ControlSide:
    """A gatekeeper of which only the messages are there.

    :param folder: where the switch is.
    :param owners: who is attached when the worker comes.
    """

    def __init__(self, folder: Path, owners: Mapping[str, str] | None = None, **settings: Any) -> None:
        switch = folder / "window"
        self._control = control = path_beside(switch)
        private_directory(control.parent)
        self.received: list[dict[str, Any]] = []
        #: What pydevd is asked before the worker's debugger counts as configured.
        self.breakpoints: dict[str, list[Message]] = {}
        self.client: DapClient | None = None
        self._revision, self._owners = 1, dict(owners or {})
        self._worker: socket.socket | None = None
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(control))
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        usual: dict[str, Any] = {
            "allow": "127.0.0.0/8", "switch": switch, "bind": f"127.0.0.1:{free_port()}", "debugger": "gatekeeper",
            "threads": 100,
        }  # fmt: skip
        self.door = StageDoor(application, **(usual | settings))
        self.door.open(timedelta(minutes=10))
        self.workers = [Worker(self.door, f"worker-{number}") for number in range(4)]

    def say(self, message: Mapping[str, Any]) -> None:
        assert self._worker is not None
        self._worker.sendall(json.dumps(message).encode() + b"\n")

    def attach(self, **owners: str) -> None:
        """These are attached from now on, and the worker has seen it."""
        self.owners_are(owners)

    def owners_are(self, owners: Mapping[str, str]) -> None:
        self._revision += 1
        self._owners = dict(owners)
        self.say({"sessions": self.told})
        wait_for(lambda: {"seen": self._revision} in self.received, "the worker to have seen who is attached")

    @property
    def told(self) -> dict[str, Any]:
        return {"revision": self._revision, "owners": self._owners}

    def wait_for(self, name: str, number: int = 1) -> dict[str, Any]:
        """The message of that name; with ``number``, that one."""
        wait_for(lambda: len(self.all(name)) >= number, f'a message "{name}", not only {self.received}')
        return self.all(name)[number - 1]

    def all(self, name: str) -> list[dict[str, Any]]:
        return [message for message in list(self.received) if name in message]

    def close(self) -> None:
        self._server.close()
        self._control.unlink()
        self.door.close()
        if self.client is not None:
            self.client.close()
        if self._worker is not None:
            self._worker.close()
        for worker in self.workers:
            worker.stop()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = b""
        with suppress(OSError):
            while data := connection.recv(1 if not buffer.endswith(b"\n") else 65536):
                buffer += data
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    if "debuggee" in message:
                        self._configure(connection)
                        return
                    if "hello" in message:
                        self._worker = connection
                        self.say({"welcome": {"sessions": self.told}})
                    self.received.append(message)

    def _configure(self, connection: socket.socket) -> None:
        client = DapClient(connection)
        client.attach(self.breakpoints)
        self.client = client
