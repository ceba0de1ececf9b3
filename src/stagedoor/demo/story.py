"""The story that ``stagedoor demo`` tells. Each line that it prints was measured just before: none is only claimed."""

from __future__ import annotations

import os
import platform
import sys
import time
from concurrent.futures import Future
from contextlib import closing
from datetime import timedelta
from importlib import metadata

from stagedoor.console import complain, print_paragraph, print_row
from stagedoor.dap.ide import Ide
from stagedoor.errors import StagedoorError
from stagedoor.window.window import Window, format_time

from . import signals
from .stage import SEES_PROCESSES, Stage, wait_for
from .visitors import PATIENCE, DemoFailed, Page, Visitor

_MORE_REQUESTS = 20
_EVENTS = {"opened", "matched", "refused", "paused", "extended", "expired", "resumed"}


def play(visitors: tuple[Visitor, Visitor] | None = None) -> int:
    """Play the demo and print it.

    :param visitors: the developer and somebody else; by default those that this machine's loopback can play.
    :returns: the exit code: 0, or 1 if anything was not as it should be, which is then printed.
    """
    started = time.monotonic()
    with signals.raised():
        try:
            with Stage(visitors=visitors) as stage:
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
        window = _open_window(stage)
        with closing(_attach(stage, window)) as ide:
            paused = _stop_one(stage, ide)
            _let_window_end(stage, ide, paused)
            _debug_console(ide)
        _afterwards(stage)
        _application_log(stage)
    except StagedoorError:
        for line in stage.log()[-20:]:
            print(f"  {line}", file=sys.stderr)
        raise


def _before(stage: Stage) -> None:
    _title("The application, while no window is open")
    _row("process", f"{stage.pid}, on port {stage.port}")
    stage.page(stage.somebody)  # the first request of all pays for imports
    _undisturbed_pages(stage)
    _check(stage.port_is_closed(), "The debug port is open without a window.")
    _check(not stage.debugger_processes(), "A process of the debugger is there without a window.")
    _row("debugger", f"port {stage.debug_port} closed" + (", no process" if SEES_PROCESSES else ""))


def _open_window(stage: Stage) -> Window:
    _title("A window is opened, for requests from " + stage.developer.address)
    started = time.monotonic()
    window = stage.switch.open(timedelta(minutes=10), opened_by="the demo")
    page = stage.first_matching_page()
    seconds = time.monotonic() - started
    until = format_time(window.expires_at)
    _check(f"until={until}" in str(page.announcement), f"The header does not say until {until}: {page.announcement}.")
    _row(stage.developer.address, f"{page.status} in {_milliseconds(page)}, {seconds:.2f} s after the opening, and")
    _row("", f"Stagedoor: {page.announcement}")
    return window


def _attach(stage: Stage, window: Window) -> Ide:
    _title("The developer attaches a debugger")
    started = time.monotonic()
    ide = wait_for(lambda: _attached(stage, window), "the debug port")
    seconds = time.monotonic() - started
    _row("attached", f"after {seconds:.2f} s, with a breakpoint at {stage.code.name}:{stage.breakpoint_line}")
    processes = stage.debugger_processes()
    _check(bool(processes) or not SEES_PROCESSES, "The debugger's processes can't be seen.")
    listed = f", processes: {', '.join(map(str, processes))}" if processes else ""
    _row("debugger", f"port {stage.debug_port} open{listed}")
    return ide


def _stop_one(stage: Stage, ide: Ide) -> Future[Page]:
    """Both visitors request the page; returns the developer's request, which is paused."""
    _title("Both request the same page at once")
    started = time.monotonic()
    paused, other = stage.visit(stage.developer), stage.visit(stage.somebody)
    stop = ide.stopped()
    seconds = time.monotonic() - started
    frame = stop.frame()
    place = (frame["source"]["path"], frame["line"], frame["name"])
    _check(place == (os.fspath(stage.code), stage.breakpoint_line, "basket"), f"It stopped elsewhere: {place}.")
    shown = stop.locals()
    _check(shown.get("visitor") == repr(stage.developer.address), f"The paused request's variables are {shown}.")
    where = f"{frame['name']}(), {stage.code.name}:{frame['line']}"
    _row(stage.developer.address, f"stopped in {where}, after {seconds * 1000:.1f} ms")
    for name, value in shown.items():
        _row("", f"{name} = {value}")
    page = _answer(other, stage.somebody)
    _check_undisturbed(page, stage.somebody)
    _row(stage.somebody.address, f"{page.status} in {_milliseconds(page)}: {page.text}")
    more = [stage.page(stage.somebody) for _ in range(_MORE_REQUESTS)]
    for page in more:
        _check_undisturbed(page, stage.somebody)
    slowest = max(more, key=lambda page: page.seconds)
    _row("", f"{len(more)} more, the slowest in {_milliseconds(slowest)}")
    _check(not paused.done(), "The developer's request did not stay paused.")
    _row(stage.developer.address, f"still paused, {time.monotonic() - started:.2f} s after its request")
    return paused


def _let_window_end(stage: Stage, ide: Ide, paused: Future[Page]) -> None:
    window = stage.switch.open(timedelta(seconds=1), opened_by="the demo")
    _title("The window ends, with that request still paused")
    end = window.expires_at.timestamp()
    page = _answer(paused, stage.developer)
    _check(page.arrived_at > end - 0.1, "The paused request went on before the window's end.")
    _check_page(page, stage.developer)
    late = max(0.0, page.arrived_at - end)
    _row(stage.developer.address, f"{page.status}, {late * 1000:.0f} ms after the end: {page.text}")
    ide.session.wait_closed(PATIENCE)
    _row("debugger", f"client cut off after {time.time() - end:.2f} s")
    wait_for(lambda: stage.port_is_closed() and not stage.debugger_processes(), "the debugger to be gone")
    gone = "port closed, no process left" if SEES_PROCESSES else "port closed"
    _row("", f"{gone}, after {time.time() - end:.2f} s")


def _debug_console(ide: Ide) -> None:
    if lines := ide.console():
        _title("What the developer's debug console said meanwhile")
        for line in lines:
            print_paragraph(line)


def _afterwards(stage: Stage) -> None:
    _title("The application, afterwards")
    _check(stage.is_running, "The application has ended.")
    _undisturbed_pages(stage)


def _application_log(stage: Stage) -> None:
    _title("The application's log")

    def told() -> list[tuple[str, str]] | None:
        stage.page(stage.somebody)  # The application looks at its switch when a request comes.
        return _records(stage)

    for event, sentence in wait_for(told, "the application's log to tell all of it"):
        _row(event, sentence)


def _records(stage: Stage) -> list[tuple[str, str]] | None:
    """The audit records, once all are there: the last ones are written while the debugger ends."""
    lines = [line.partition(" stagedoor.audit ")[2] for line in stage.log()]
    found = [(event, sentence) for event, separator, sentence in (line.partition(": ") for line in lines) if separator]
    return found if {event for event, _ in found} >= _EVENTS else None


def _undisturbed_pages(stage: Stage) -> None:
    for visitor in (stage.developer, stage.somebody):
        page = stage.page(visitor)
        _check_undisturbed(page, visitor)
        _row(visitor.address, f"{page.status} in {_milliseconds(page)}: {page.text}")


def _attached(stage: Stage, window: Window) -> Ide | None:
    # No probe of the port before: debugpy's is mute for good after two connections that say nothing.
    breakpoints = {os.fspath(stage.code): [stage.breakpoint_line]}
    try:
        return Ide(("127.0.0.1", stage.debug_port), breakpoints, token=window.token, timeout=PATIENCE)
    except OSError:
        return None


def _answer(request: Future[Page], visitor: Visitor) -> Page:
    try:
        return request.result(PATIENCE)
    except TimeoutError:
        raise DemoFailed(f"{visitor.address} got no answer.") from None


def _check_undisturbed(page: Page, visitor: Visitor) -> None:
    _check_page(page, visitor)
    _check(page.announcement is None, f"{visitor.address} was told about the window: {page.announcement}.")


def _check_page(page: Page, visitor: Visitor) -> None:
    right = page.status == 200 and page.text.startswith(f"{visitor.address} pays ")
    _check(right, f"{visitor.address} got the wrong page: {page.status} {page.text!r}.")


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
