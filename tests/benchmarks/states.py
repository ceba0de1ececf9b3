"""The states in which the application is measured, and how each is brought about."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.crowded import passes
from benchmarks.per_request import EmptyMiddleware
from benchmarks.twins import Twin, time_requests
from benchmarks.workloads import MEASURED, Application, application, breakpoints
from stagedoor import StageDoor
from stagedoor.dap.ide import Ide
from stagedoor.dap.wire import Message
from stagedoor.switches import FileSwitch
from support.servers import ALLOWED, free_port, is_listening
from support.waiting import wait_for

BARE, AGAIN = "bare application", "bare application, again"
CLOSED, OPEN = "Stagedoor closed", "Stagedoor open, no client"
ATTACHED, PAUSED, AFTER = "Stagedoor, client attached", "Stagedoor, requests paused", "Stagedoor, after the window"
CROWDED, DEVELOPERS = "Stagedoor, 8 clients attached", 8
TODAY = "debugpy.listen at start-up"

#: Breakpoints as people set them who have every request traced: they stop for their own address.
FOR_ME = f"environ['REMOTE_ADDR'] == '{ALLOWED}'"


@dataclass(frozen=True, slots=True)
class State:
    """A state of the process that serves requests.

    :param wrap: puts around the application what belongs there; its keyword ``port`` is for a debug port.
    :param arrange: brings the state about with a debugger's client, from outside.
    :param slow: divides the requests of a round, where each of them takes much longer than bare.
    """

    name: str
    wrap: Callable[..., Application]
    arrange: Callable[[Twin, int, ExitStack], object] = lambda twin, port, cleanup: None
    slow: int = 1


def door(app: Application, port: int) -> Application:
    return StageDoor(
        app, allow=ALLOWED, switch=switch_path(port), bind=f"127.0.0.1:{port}", debugger="gatekeeper", threads=100
    )


def switch_path(port: int) -> Path:
    return Path(os.environ["XDG_RUNTIME_DIR"]) / str(port) / "window.json"


def open_window(twin: Twin, port: int, cleanup: ExitStack) -> None:
    """The first matching request has started the gatekeeper, and no client is there."""
    cleanup.callback(twin.ask, "close")
    twin.ask("open")
    twin.ask("send", "/hello", True)
    twin.ask("answered")
    wait_for(lambda: is_listening(port), "the gatekeeper to listen")


def attach(twin: Twin, port: int, cleanup: ExitStack) -> Ide:
    """A developer has stopped and stepped in every view, on the very thread that serves the others now."""
    open_window(twin, port, cleanup)
    window = FileSwitch(switch_path(port), max_window=timedelta(hours=8)).read()
    token = window.token if window is not None else None
    ide = Ide(("127.0.0.1", port), breakpoints(), token=token, source_address=(ALLOWED, 0), timeout=60)
    cleanup.callback(ide.close)
    for view in MEASURED:
        twin.ask("send", view, True)
        stop = ide.stopped()
        stop.session.next(stop.thread_id)
        ide.stopped().resume()
        twin.ask("answered")
    return ide


def attach_many(twin: Twin, port: int, cleanup: ExitStack) -> None:
    """And more developers have the same breakpoints, each for requests with a pass of their own."""
    attach(twin, port, cleanup)
    window = FileSwitch(switch_path(port), max_window=timedelta(hours=8)).read()
    assert window is not None
    for token in passes(window.token, DEVELOPERS)[1:]:
        ide = Ide(("127.0.0.1", port), breakpoints(), token=token, source_address=(ALLOWED, 0), timeout=60)
        cleanup.callback(ide.close)
        # It is told so before its breakpoints are set in the worker that has joined already, or after.
        wait_for(
            lambda ide=ide: sum(_is_verified(event) for event in ide.session.received) >= len(MEASURED),
            "the worker to have the breakpoints of all",
        )


def _is_verified(message: Message) -> bool:
    return message.get("event") == "breakpoint" and message["body"]["breakpoint"]["verified"]


def pause(twin: Twin, port: int, cleanup: ExitStack) -> Ide:
    """And a matching request is paused in every view, after a step, each on a thread of its own."""
    ide = attach(twin, port, cleanup)
    for view in MEASURED:
        twin.ask("send", view, False)
        stop = ide.stopped()
        if view != "/hello":  # Its one line is its last.
            stop.session.next(stop.thread_id)
            ide.stopped()
    return ide


def close(twin: Twin, port: int, cleanup: ExitStack) -> None:
    """The window has ended with these requests paused."""
    pause(twin, port, cleanup)
    twin.ask("close")
    assert twin.ask("answered") == len(MEASURED)
    left = [name for name in twin.ask("threads") if "pydevd" in name.lower() or "stagedoor" in name]
    assert not left, left


def listening(app: Application, port: int) -> Application:
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    import debugpy

    debugpy.listen(("127.0.0.1", port))
    return app


def listening_with_settrace(app: Application, port: int) -> Application:
    os.environ["PYDEVD_USE_SYS_MONITORING"] = "0"
    return listening(app, port)


def attach_today(twin: Twin, port: int, cleanup: ExitStack) -> None:
    ide = Ide(("127.0.0.1", port), breakpoints(FOR_ME))
    cleanup.callback(ide.disconnect)


def werkzeug_debugger(app: Application, port: int) -> Application:
    from werkzeug.debug import DebuggedApplication

    return DebuggedApplication(app, evalex=True)  # type: ignore[return-value]


def bare(app: Application, port: int) -> Application:
    return app


STATES = [
    State(BARE, bare),
    State(AGAIN, bare),
    State("empty middleware", lambda app, port: EmptyMiddleware(app)),
    State(CLOSED, door),
    State(OPEN, door, open_window),
    State(ATTACHED, door, attach),
    State(CROWDED, door, attach_many),
    State(PAUSED, door, pause),
    State(AFTER, door, close),
    State("Werkzeug's DebuggedApplication", werkzeug_debugger),
    State(f"{TODAY}, no client", listening, slow=4),
    State(f"{TODAY}, attached", listening, attach_today, slow=10),
]
if sys.version_info >= (3, 12):
    STATES.append(State(f"{TODAY}, attached, PYDEVD_USE_SYS_MONITORING=0", listening_with_settrace, attach_today, 10))


@contextmanager
def all_at_once(states: list[State]) -> Iterator[dict[str, Twin]]:
    """A twin in each of the states, all alive at the same time."""
    # A fork would take over the locks of threads, but not the threads.
    wait_for(lambda: threading.active_count() == 1, "the threads of earlier clients to end")
    for view in MEASURED:
        # Before the fork, so that all of them begin with the same specialised bytecode.
        time_requests(application, view, 200)
    with ExitStack() as cleanup:
        os.environ["XDG_RUNTIME_DIR"] = cleanup.enter_context(TemporaryDirectory(prefix="stagedoor-"))
        made: list[tuple[State, int, Twin]] = []
        for state in states:
            port = free_port()
            twin = Twin(functools.partial(state.wrap, port=port))
            cleanup.callback(twin.end)
            made.append((state, port, twin))
        for state, port, twin in made:
            state.arrange(twin, port, cleanup)
        yield {state.name: twin for state, _, twin in made}
