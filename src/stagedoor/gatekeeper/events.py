"""What the workers' debuggers say by themselves, and whose session hears it.

Everything that comes from a request says which (``stagedoor`` in its body). What says nothing belongs to nobody: it is
dropped, and what it has paused runs on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagedoor.dap.translation import EVENTS_OF_WORKERS
from stagedoor.dap.wire import Message

from .joined import Joined
from .session import Session
from .workers import Worker


class Events:
    """Hands the events of all workers to the sessions.

    :param sessions: them, by key.
    """

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self._sessions = sessions

    def take(self, worker: Worker, joined: Joined, event: Message) -> None:
        """An event of a worker's debugger."""
        if worker.joined is not joined:
            return
        name, body = event["event"], event.get("body")
        body = dict(body) if isinstance(body, dict) else {}
        tag = body.pop("stagedoor", None)
        if name == "stagedoorRequest":
            self._begun(worker, body)
        elif name == "stagedoorRequestOver":
            self._over(worker, body)
        elif name == "breakpoint":
            self._breakpoint(worker, body)
        elif name == "module":
            for session in list(self._sessions.values()):
                session.module(worker, body)
        elif name in EVENTS_OF_WORKERS:
            self._of_request(worker, joined, name, body, tag if isinstance(tag, dict) else {})

    def _begun(self, worker: Worker, body: dict[str, Any]) -> None:
        session = self._sessions.get(str(body.get("session")))
        if session is not None and session.configured:
            thread = body.get("thread")
            session.requests.begun(
                worker, int(body["request"]), str(body.get("label")), thread if type(thread) is int else None
            )

    def _over(self, worker: Worker, body: dict[str, Any]) -> None:
        for session in list(self._sessions.values()):
            session.requests.over(worker.key, int(body["request"]))

    def _breakpoint(self, worker: Worker, body: dict[str, Any]) -> None:
        answer = body.get("breakpoint")
        if isinstance(answer, dict):
            for session in list(self._sessions.values()):
                if (called := session.wanted.called(worker.key, answer.get("id"))) is not None:
                    session.wanted.confirm(worker.key, called, answer)

    def _of_request(self, worker: Worker, joined: Joined, name: str, body: dict[str, Any], tag: dict[str, Any]) -> None:
        session = self._sessions.get(str(tag.get("session")))
        number = tag.get("request")
        if session is not None and session.configured and type(number) is int:
            session.event(worker, number, name, body, str(tag.get("place") or "")[:1000])
        elif name == "stopped" and type(body.get("threadId")) is int:
            # For this one only: the thread may serve somebody else when it comes there.
            stagedoor = {"request": number if type(number) is int else None}
            arguments = {"threadId": body["threadId"], "singleThread": True, "stagedoor": stagedoor}
            joined.request("continue", arguments, lambda answer: None)
