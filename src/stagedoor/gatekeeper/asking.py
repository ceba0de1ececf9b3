"""What one session asks of the workers' debuggers, and their answers in the order in which they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from stagedoor.dap import wire
from stagedoor.dap.ids import IdTable
from stagedoor.dap.translation import Concern
from stagedoor.dap.wire import Message

from .client import Client
from .company import Company
from .requests import Requests
from .workers import Worker


class Asking:
    """A session's way to the debuggers.

    :param client: its connection.
    :param company: everybody else.
    :param requests: the session's.
    :param ids: the session's numbers.
    :param is_over: whether the session has ended: no answer is handed on any more.
    """

    def __init__(
        self, client: Client, company: Company, requests: Requests, ids: IdTable, is_over: Callable[[], bool]
    ) -> None:
        self._client = client
        self._company = company
        self._requests = requests
        self._ids = ids
        self._is_over = is_over
        #: How many of its requests each worker has not answered yet.
        self._unanswered: Counter[str] = Counter()

    def paused_in(self, message: Message, concern: Concern) -> Worker | None:
        """The worker of the paused request that a message concerns; ``None`` if there is none, which is answered."""
        if concern.worker is None or concern.request is None:
            self.fail(message, "That concerns none of your requests.")
            return None
        request = self._requests.of(concern.worker, concern.request)
        if request is None:
            self.fail(message, "That request is over.")
        elif not request.is_paused and message["command"] != "pause":
            self.fail(message, "That request is running.", show_user=False)
        elif request.is_paused and message["command"] == "pause":
            self._client.send(wire.response(message))
        else:
            return request.worker
        return None

    def ask(
        self,
        message: Message,
        key: str,
        number: int | None,
        command: str,
        arguments: Mapping[str, Any],
        mapped: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    ) -> None:
        """Ask a worker's debugger, and hand its answer on in the order in which it comes."""
        worker = next((each for each in self._company.workers if each.key == key), None)
        if worker is None or worker.joined is None:
            self.fail(message, "Its worker has ended.")
            return
        most = self._company.patience.unanswered
        # Of this session's: what another one has asked for is no reason.
        if self._unanswered[key] >= most:
            self._client.refuse(message, f"Worker {worker.pid} has not answered {most} of your requests yet.")
            return
        self._unanswered[key] += 1

        def answered(answer: Message | None) -> None:
            self._unanswered[key] -= 1
            if self._is_over():
                return
            if answer is None:
                self.fail(message, f"Worker {worker.pid} has ended.")
                return
            # The table may have sent another command than the client's.
            relayed = answer | {"request_seq": message["seq"], "command": message["command"]}
            body = relayed.pop("body", None)
            if answer["success"] and isinstance(body, dict):
                relayed["body"] = mapped(body) if command != "continue" else {"allThreadsContinued": False}
            self._client.send(relayed)

        # Its thread may serve somebody else when this comes there: the worker compares. A client's own word is no number.
        own = {key: value for key, value in arguments.items() if key != "stagedoor"}
        addressee = {} if number is None or own == {"request": number} else {"stagedoor": {"request": number}}
        worker.joined.request(command, own | addressee, answered, self._client.tally)

    def fail(self, message: Message, sentence: str, *, show_user: bool = True) -> None:
        """What a message was to be done to is not there, or not any more."""
        thread = (message.get("arguments") or {}).get("threadId")
        if message["command"] == "continue" and thread != self._requests.window and self._ids.was_given(thread):
            # It has run on, which is what was wanted: a click on "Continue" that comes too late is no error.
            self._client.send(wire.response(message, {"allThreadsContinued": False}))
        else:
            self._client.send(wire.error_response(message, sentence, show_user=show_user))

    def parted(self, worker: str) -> None:
        """A worker's debugger has gone."""
        self._unanswered.pop(worker, None)
