"""The story that ``stagedoor demo`` tells. Each line that it prints was measured just before: none is only claimed."""

from __future__ import annotations

import os
import platform
import sys
import time
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata

from stagedoor.console import complain, print_paragraph, print_row
from stagedoor.dap.ide import Ide, Stop
from stagedoor.errors import StagedoorError
from stagedoor.window.window import format_time

from . import signals
from .stage import SEES_PROCESSES, Developer, Stage, wait_for
from .visitors import PATIENCE, DemoFailed, Page, Place, Visitor

_MORE_REQUESTS = 20
_LAST = timedelta(seconds=1)  # from when both are stopped until the window ends
_EVENTS = {"opened", "matched", "refused", "paused", "extended", "expired", "resumed"}


@dataclass(frozen=True, slots=True)
class _Session:
    """A developer at work.

    :param paused: their request, which is paused.
    """

    developer: Developer
    ide: Ide
    paused: Future[Page]


def play(places: tuple[Place, Place] | None = None) -> int:
    """Play the demo and print it.

    :param places: where the developers and the visitor are; by default what this machine's loopback can play.
    :returns: the exit code: 0, or 1 if anything was not as it should be, which is then printed.
    """
    started = time.monotonic()
    with signals.raised():
        try:
            with Stage(places=places) as stage:
                _play(stage)
            _check_nothing_left(stage)
        except StagedoorError as error:
            complain(f"The demo failed: {error}")
            return 1
    _title("The demo itself")
    _row("left behind", f"{'no process, ' if SEES_PROCESSES else ''}no open port, no file")
    _row("took", f"{time.monotonic() - started:.1f} s")
    print("\nThe same with your own IDE: stagedoor demo --serve")
    return 0


def _play(stage: Stage) -> None:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("debugpy", "werkzeug"))
    print_paragraph(f"A staging server: Python {platform.python_version()}, {versions}")
    try:
        _before(stage)
        developers = _open_window(stage)
        with ExitStack() as ends:
            ides = _attach(stage, developers, ends)
            sessions = _stop_both(stage, developers, ides)
            _let_window_end(stage, sessions)
            for session in sessions:
                _debug_console(session)
        _afterwards(stage)
        _application_log(stage)
    except StagedoorError:
        for line in stage.log()[-20:]:
            print(f"  {line}", file=sys.stderr)
        raise


def _before(stage: Stage) -> None:
    _title("The application, while no window is open")
    _row("process", f"{stage.pid}, on port {stage.port}")
    stage.page(stage.visitor)  # the first request of all pays for imports
    _undisturbed_pages(stage)
    _check(stage.port_is_closed(), "The debug port is open without a window.")
    _check(not stage.debugger_processes(), "A process of the debugger is there without a window.")
    _row("debugger", f"port {stage.debug_port} closed" + (", no process" if SEES_PROCESSES else ""))


def _open_window(stage: Stage) -> list[Developer]:
    _title("A window is opened, for requests from " + stage.office.address)
    started = time.monotonic()
    window, developers = stage.open_window(timedelta(minutes=10))
    page = stage.first_matching_page(developers[0])
    seconds = time.monotonic() - started
    until = format_time(window.expires_at)
    _check(f"until={until}" in str(page.announcement), f"The header does not say until {until}: {page.announcement}.")
    _row(developers[0].name, f"{page.status} in {_milliseconds(page)}, {seconds:.2f} s after the opening, and")
    _row("", f"Stagedoor: {page.announcement}")
    return developers


def _attach(stage: Stage, developers: list[Developer], ends: ExitStack) -> list[Ide]:
    _title("Two developers at that address attach, each with a pass of their own")
    ides = [ends.enter_context(closing(_attach_one(stage, developer))) for developer in developers]
    processes = stage.debugger_processes()
    _check(bool(processes) or not SEES_PROCESSES, "The debugger's processes can't be seen.")
    listed = f", processes: {', '.join(map(str, processes))}" if processes else ""
    _row("debugger", f"port {stage.debug_port} open{listed}")
    return ides


def _attach_one(stage: Stage, developer: Developer) -> Ide:
    started = time.monotonic()
    ide = wait_for(lambda: _attached(stage, developer), "the debug port")
    seconds = time.monotonic() - started
    _row(developer.name, f"attached in {seconds:.2f} s, with a breakpoint at {stage.code.name}:{developer.line}")
    return ide


def _stop_both(stage: Stage, developers: list[Developer], ides: list[Ide]) -> list[_Session]:
    """Everybody requests the page; both developers' requests are paused at the end."""
    _title("Both request the same page at once, and so does a visitor")
    started = time.monotonic()
    sessions = [_Session(*each, stage.visit(each[0].visitor)) for each in zip(developers, ides, strict=True)]
    other = stage.visit(stage.visitor)
    stops = [(session, session.ide.stopped(), time.monotonic() - started) for session in sessions]
    for stop in stops:
        _show_stop(stage, *stop)
    page = _answer(other, stage.visitor)
    _check_undisturbed(page, stage.visitor)
    _row(stage.visitor.name, f"{page.status} in {_milliseconds(page)}: {page.text}")
    more = [stage.page(stage.visitor) for _ in range(_MORE_REQUESTS)]
    for page in more:
        _check_undisturbed(page, stage.visitor)
    slowest = max(more, key=lambda page: page.seconds)
    _row("", f"{len(more)} more, the slowest in {_milliseconds(slowest)}")
    for session in sessions:
        _check(not session.paused.done(), f"{session.developer.name}'s request did not stay paused.")
    names = " and ".join(session.developer.name for session in sessions)
    _row(names, f"still paused, {time.monotonic() - started:.2f} s after their requests")
    return sessions


def _show_stop(stage: Stage, session: _Session, stop: Stop, seconds: float) -> None:
    developer, frame = session.developer, stop.frame()
    place = (frame["source"]["path"], frame["line"], frame["name"])
    _check(place == (os.fspath(stage.code), developer.line, "basket"), f"{developer.name} stopped elsewhere: {place}.")
    shown = stop.locals()
    _check(shown.get("customer") == repr(developer.name), f"{developer.name} sees the variables {shown}.")
    listed = [thread["name"] for thread in stop.session.request("threads")["threads"]]
    requests = [name for name in listed if name.startswith("GET ")]
    expected = [f"GET {developer.visitor.path} (worker {stage.pid})"]
    _check(requests == expected, f"{developer.name} sees the requests {requests}.")
    where = f"{frame['name']}(), {stage.code.name}:{frame['line']}"
    _row(developer.name, f"stopped in {where}, after {seconds * 1000:.1f} ms")
    for name, value in shown.items():
        _row("", f"{name} = {value}")


def _let_window_end(stage: Stage, sessions: list[_Session]) -> None:
    window, _ = stage.open_window(_LAST)
    _title("The window ends, with those requests still paused")
    end = window.expires_at.timestamp()
    for session in sessions:
        visitor = session.developer.visitor
        page = _answer(session.paused, visitor)
        _check(page.arrived_at > end - 0.1, f"{visitor.name}'s paused request went on before the window's end.")
        _check_page(page, visitor)
        late = max(0.0, page.arrived_at - end)
        _row(visitor.name, f"{page.status}, {late * 1000:.0f} ms after the end: {page.text}")
    for session in sessions:
        session.ide.session.wait_closed(PATIENCE)
    _row("debugger", f"both cut off after {time.time() - end:.2f} s")
    wait_for(lambda: stage.port_is_closed() and not stage.debugger_processes(), "the debugger to be gone")
    gone = "port closed, no process left" if SEES_PROCESSES else "port closed"
    _row("", f"{gone}, after {time.time() - end:.2f} s")


def _debug_console(session: _Session) -> None:
    if lines := session.ide.console():
        _title(f"What {session.developer.name}'s debug console said meanwhile")
        for line in lines:
            print_paragraph(line)


def _afterwards(stage: Stage) -> None:
    _title("The application, afterwards")
    _check(stage.is_running, "The application has ended.")
    _undisturbed_pages(stage)


def _application_log(stage: Stage) -> None:
    _title("The application's log")

    def told() -> list[tuple[str, str]] | None:
        stage.page(stage.visitor)  # The application looks at its switch when a request comes.
        return _records(stage)

    for event, sentence in wait_for(told, "the application's log to tell all of it"):
        _row(event, sentence)


def _records(stage: Stage) -> list[tuple[str, str]] | None:
    """The audit records, once all are there: the last ones are written while the debugger ends."""
    lines = [line.partition(" stagedoor.audit ")[2] for line in stage.log()]
    found = [(event, sentence) for event, separator, sentence in (line.partition(": ") for line in lines) if separator]
    return found if {event for event, _ in found} >= _EVENTS else None


def _undisturbed_pages(stage: Stage) -> None:
    for visitor in (Visitor("developer", stage.office), stage.visitor):
        page = stage.page(visitor)
        _check_undisturbed(page, visitor)
        _row(visitor.name, f"{page.status} in {_milliseconds(page)}: {page.text}")


def _attached(stage: Stage, developer: Developer) -> Ide | None:
    breakpoints = {os.fspath(stage.code): [developer.line]}
    try:
        return Ide(("127.0.0.1", stage.debug_port), breakpoints, token=developer.attach_pass, timeout=PATIENCE)
    except OSError:
        return None


def _answer(request: Future[Page], visitor: Visitor) -> Page:
    try:
        return request.result(PATIENCE)
    except TimeoutError:
        raise DemoFailed(f"{visitor.name} got no answer.") from None


def _check_undisturbed(page: Page, visitor: Visitor) -> None:
    _check_page(page, visitor)
    _check(page.announcement is None, f"{visitor.name} was told about the window: {page.announcement}.")


def _check_page(page: Page, visitor: Visitor) -> None:
    right = page.status == 200 and page.text.startswith(f"{visitor.name} pays ")
    _check(right, f"{visitor.name} got the wrong page: {page.status} {page.text!r}.")


def _check_nothing_left(stage: Stage) -> None:
    _check(not stage.is_running and not stage.debugger_processes(), "A process of the demo is left.")
    _check(stage.port_is_closed(), "The debug port is still open.")
    _check(not stage.folder.exists(), f"The folder {stage.folder} is left.")


def _check(condition: bool, sentence: str) -> None:
    if not condition:
        raise DemoFailed(sentence)


def _title(text: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")
    print(f"\n{bold}{text}{plain}", flush=True)


def _row(label: str, text: str) -> None:
    print_row(label, text, width=16)


def _milliseconds(page: Page) -> str:
    return f"{page.seconds * 1000:.1f} ms"
