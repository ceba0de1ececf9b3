"""The worker's side of the gatekeeper: one gated port for all workers of the application.

While a window is open, the first matching request makes this process say hello to the gatekeeper, which is started if
there is none. Only when a client is attached *and* a matching request is there does pydevd start here; it dials out to
the gatekeeper's Unix socket and listens nowhere.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from stagedoor.audit import Audit
from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.connection import ControlConnection
from stagedoor.control.leftovers import sweep
from stagedoor.control.place import ControlError
from stagedoor.control.protocol import ControlMessage
from stagedoor.tracing import Pause, Sessions, Tracing
from stagedoor.window.document import dump_window
from stagedoor.window.window import Window, format_duration

from .backend import Debugger
from .joining import Joining
from .launcher import say_hello
from .life import Terms
from .link import Link
from .preflight import Preflight, refuse_other_debugger
from .run import Armed, Run
from .servers import Server
from .watch import WindowWatch


def gatekeeper_debugger(
    config: GatekeeperConfig, watch: WindowWatch, audit: Audit, max_pause: timedelta, threads: int | None = None
) -> Debugger:
    """What debugs this worker through the gatekeeper.

    :param config: what a gatekeeper is started with; its window is filled in for each.
    :param watch: what this process knows of the window.
    :param audit: where it is recorded.
    :param max_pause: a request that is paused longer is continued.
    :param threads: how many threads the server has, as the operator says; of one that can be asked its own word counts.
    """
    return Debugger(partial(Membership, config, Terms(watch, audit, max_pause)), audit, Preflight(threads))


class Membership(Run):
    """One worker's part in one window of the gatekeeper, from its hello until one of the two goes away.

    :param config: what a gatekeeper is started with.
    """

    name = "gatekeeper"

    def __init__(self, config: GatekeeperConfig, terms: Terms, window: Window, server: Server) -> None:
        super().__init__(terms, window, server)
        self._config = config
        #: The gatekeeper can't read the window's switch, and hears of changes from its workers.
        self._tells_of_window = config.switch_path is None
        #: What the gatekeeper was told. An earlier process of the server may have started it with an earlier end.
        self._known_end: datetime | None = None
        self._link = Link()
        self._joining = Joining(terms.patience.join)
        self._explained: set[tuple[str, str]] = set()
        self._loader: threading.Thread | None = None
        self._is_loaded = False
        self._join_is_due = False

    def begin(self) -> None:
        refuse_other_debugger()
        connection = say_hello(self._config, self.window, self._audit, self._patience)
        self._link.connect(connection)
        self._hear_of_sessions(connection.received)

    def end(self, tracing: Tracing | None) -> None:
        self._joining.give_up()
        window = self._watch.window
        is_closed = window is None or window.token != self.window.token
        self._link.close({"over": "The window was closed."} if self._tells_of_window and is_closed else None)
        if tracing is not None:
            with suppress(Exception):
                tracing.stop()

    def leave(self) -> None:
        sweep(self._config)

    def forget_in_child(self) -> None:
        super().forget_in_child()
        self._joining.forget_in_child()
        self._link.forget_in_child()

    # On a request's thread

    def is_worth_waiting(self) -> bool:
        # Where no gatekeeper is, no client can be.
        return os.path.exists(self._config.control)

    def armed(self, request: str, owner: str) -> Armed:
        joining = self._joining
        if joining.sessions.of(owner) is None:
            return Armed(None, None, others=tuple(joining.sessions.owners))
        if not self._is_attached:
            joining.wait(
                is_settled=lambda: joining.sessions.of(owner) is None or self.failure is not None or self._is_attached,
                is_needed=lambda: self.tracing is None or not self.tracing.alive,
                ask=lambda: self._link.post({"join": request}),
            )
        tracing, session = self.tracing, joining.sessions.of(owner)
        if session is None:
            return Armed(None, None)
        if tracing is not None and tracing.attached:
            return Armed(tracing, None, session or None)
        return Armed(None, self.failure or joining.doing)

    @property
    def _is_attached(self) -> bool:
        tracing = self.tracing
        return tracing is not None and tracing.attached

    def say(self, sentence: str, session: str | None = None, *, important: bool = False) -> None:
        message: dict[str, object] = {"console": sentence}
        if session is not None:
            message["session"] = session
        if important:
            message["important"] = True
        self._link.post(message)

    def explain(self, reason: str, owner: str) -> None:
        session = self._joining.sessions.of(owner)
        if session is not None and (session, reason) not in self._explained:
            self._explained.add((session, reason))
            self.say(f"Your requests are not paused. {reason}", session or None)

    # On the window's thread

    def wait(self, seconds: float) -> bool:
        """Speak with the gatekeeper for up to ``seconds``; returns whether the run is over."""
        if not self._link.is_connected:
            return super().wait(seconds)
        try:
            is_spoken_to = self._link.wait(seconds)
            self._send()
            if is_spoken_to:
                for message in self._link.received():
                    self._take(message)
                self._send()
                if self._joining.sessions.owners:
                    # The first matching request then finds debugpy imported, the slower half of a join.
                    self._load()
            if self._join_is_due and self._is_loaded:
                self._join_is_due = False
                self._join()
        except (OSError, EOFError, ControlError):
            return True  # The gatekeeper is gone, and with it the debugging.
        return self.is_cancelled

    def wake(self) -> None:
        self._link.wake()

    def _send(self) -> None:
        for message in self._link.sent():
            if "join" in message:
                self._join_is_due = True
                self._load()

    def _load(self) -> None:
        """Import the debugger, on a thread of its own: that may take seconds, in which others attach and leave."""
        if self._loader is None:
            self._loader = threading.Thread(target=self._prepare, name="stagedoor-loading", daemon=True)
            self._loader.start()

    def _prepare(self) -> None:
        Tracing.prepare()
        self._is_loaded = True
        self._link.wake()

    def _join(self) -> None:
        """Start pydevd over a connection to the gatekeeper."""
        self._drop_dead_debugger()
        tracing = Tracing(self)
        try:
            # Before this worker announces itself: from then on the client is waited for, which can't hurry the import.
            tracing.load()
            self._joining.loaded()
            connection = ControlConnection(Path(self._config.control))
            try:
                connection.send({"debuggee": {"pid": os.getpid()}})
                tracing.start_over(connection.detach())
            except BaseException:
                connection.close()
                raise
            tracing.sessions = self._joining.sessions
            self.take(tracing)
            if self.server.warning is not None:
                self.say(self.server.warning)
        except Exception as error:
            self.failed(error)
        self._joining.over()

    def _drop_dead_debugger(self) -> None:
        """pydevd gives up when its connection ends; the next matching request brings a new one."""
        tracing = self.tracing
        if tracing is not None and not tracing.alive:
            self.tracing = None
            with suppress(Exception):
                tracing.stop()

    def _take(self, message: ControlMessage) -> None:
        if "sessions" in message:
            self._link.post({"seen": self._hear_of_sessions(message)})
        elif "audit" in message:
            record = message["audit"]
            self._audit.record(
                str(record["event"]), str(record["sentence"]), level=int(record["level"]), **dict(record["fields"])
            )
        elif "closed" in message:
            self.cancel_soon()

    def _hear_of_sessions(self, message: ControlMessage) -> int:
        """Treat requests as ``message`` says from now on; returns what confirms that."""
        told = message["sessions"]
        sessions = Sessions({str(owner): str(key) for owner, key in told["owners"].items()})
        if self.tracing is not None:
            self.tracing.sessions = sessions
        self._joining.sessions_are(sessions)
        self._explained = {each for each in self._explained if each[0] in sessions.keys}
        return int(told["revision"])

    def tick(self) -> bool:
        self._drop_dead_debugger()
        self._tell_of_moved_end()
        pauses = self.tracing.pauses if self.tracing is not None else []
        if self.holds_up_the_end:
            why = "has lost its parent process" if self.limits.is_orphan else "has to end"
            sentence = f"worker {os.getpid()} {why}, so its requests run on."
            for session in dict.fromkeys(pause.session for pause in pauses):
                self.say(sentence, session, important=True)
            with suppress(OSError):
                self._send()
            return False
        if (pauses or self._joining.waiting) and self.server.keep_alive is not None:
            with suppress(Exception):
                self.server.keep_alive()
        for pause, sentence in self.limits.warnings(pauses):
            self.say(sentence, pause.session)
        return True

    def _tell_of_moved_end(self) -> None:
        window = self._watch.window
        if self._tells_of_window and window is not None and window.expires_at != self._known_end:
            self._known_end = window.expires_at
            self._link.post({"window": dump_window(window)})

    # TracingListener

    def attached(self) -> None:
        self._joining.look_again()

    def detached(self) -> None:
        pass  # The gatekeeper records its clients.

    def paused(self, pause: Pause) -> None:
        super().paused(pause)
        place = f"{pause.file}:{pause.line}"
        told = {"thread": pause.thread, "request": pause.request, "place": place}
        self._link.post({"paused": {**told, "session": pause.session, "number": pause.number}})

    def resumed(self, pause: Pause, seconds: float) -> None:
        super().resumed(pause, seconds)
        self._link.post({"resumed": {"thread": pause.thread, "session": pause.session, "number": pause.number}})
        if seconds > self.limits.max_pause and not self.limits.is_servers(pause):
            said = format_duration(timedelta(seconds=self.limits.max_pause))
            self.say(f"{pause.request} was continued after {said} (max_pause).", pause.session, important=True)
