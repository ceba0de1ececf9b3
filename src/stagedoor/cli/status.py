"""``stagedoor status``: the window, and what the gatekeeper tells of clients, workers, paused requests and refused peers."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stagedoor.console import print_json, print_paragraph, print_row
from stagedoor.control.connection import ControlConnection, silent
from stagedoor.control.place import ControlError
from stagedoor.errors import SwitchError
from stagedoor.platforms import missing_for_gatekeeper
from stagedoor.settings.settings import Settings
from stagedoor.window.window import Window

from .report import print_window, where_else, window_document
from .settings import settings_of

#: Seconds between two pictures of ``--watch``.
WATCH_EVERY = 1.0

_ANSWER_PATIENCE = 2.0
_CLEAR_SCREEN = "\033[H\033[2J"


def show_status(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """The command."""
    settings = settings_of(arguments, environ)
    if arguments.watch:
        return watch_status(settings, as_json=arguments.json)
    try:
        window = settings.switch.read()
    except SwitchError as error:
        if not arguments.json:
            raise
        print_json(status_document(settings, None, error.for_a_command))
        return 1
    if arguments.json:
        print_json(status_document(settings, window))
    else:
        print_status(settings, window)
    return 1 if window is None else 0


def gatekeeper_status(settings: Settings) -> tuple[dict[str, Any] | None, str | None]:
    """What the gatekeeper of this switch and this debug port tells; ``None`` if none runs for this user, or none answers.
    Of one that does not answer also what to do about it, a sentence.

    ================ ==========================================================================================
    ``pid``          its process
    ``bind``         its debug port
    ``opened_by``    who opened the window that it serves
    ``expires_at``   when that ends, RFC 3339 in UTC
    ``seconds_left`` whole seconds until the window's end, by its clocks
    ``allow``        the allowlist's entries
    ``sessions``     a list, who is attached: ``owner``, ``address``, ``since``, and their ``requests``, a list of
                     ``request``, ``worker``, ``paused``, ``place`` (null while it runs), ``seconds`` (since it is
                     paused, or runs)
    ``workers``      a list: ``pid``, ``seconds`` (since it said hello), ``joined`` (its debugger runs),
                     ``joined_seconds`` (since then, or null), ``attached``, and ``paused``, a list of ``request``,
                     ``place``, ``seconds``
    ``refused``      the last refused peers: ``address``, ``reason``, ``at`` (the last time), ``times``
    ================ ==========================================================================================
    """
    if missing_for_gatekeeper():
        return None, None
    with suppress(OSError, EOFError, ControlError):
        connection = ControlConnection(Path(settings.gatekeeper_config().control))
        try:
            answer = connection.ask({"status": {}}, _ANSWER_PATIENCE)
        except TimeoutError:
            return None, f"process {connection.peer}, which does not answer: {silent(connection.peer)}"
        finally:
            connection.close()
        if isinstance(answer.get("status"), dict):
            return dict(answer["status"]), None
    return None, None


def status_document(settings: Settings, window: Window | None, problem: str | None = None) -> dict[str, Any]:
    """What ``status --json`` prints: :func:`~stagedoor.cli.report.window_document`, and as ``gatekeeper`` what
    :func:`gatekeeper_status` tells.
    """
    status, silence = gatekeeper_status(settings)
    if silence is not None and problem is None:
        problem = f"The gatekeeper is {silence}."
    # The application may have a bind=... of its own, and its gatekeeper knows.
    bind = {"bind": status["bind"]} if status is not None else {}
    return window_document(settings, window, problem) | bind | {"gatekeeper": status}


def print_status(settings: Settings, window: Window | None) -> None:
    """Print the picture for a person, within 80 columns."""
    status, silence = gatekeeper_status(settings)
    print("No window is open.\n" if window is None else "A window is open.\n")
    print_window(settings, window, status["bind"] if status is not None else None)
    if window is None and (hint := where_else(settings.switch)):
        print()
        print_paragraph(hint)
    if status is None:
        if silence is not None:
            print_row("gatekeeper", silence)
        elif window is not None and settings.debugger == "gatekeeper":
            print_row("gatekeeper", "not running: the next matching request starts it")
        return
    print_row("gatekeeper", f"process {status['pid']}, allowlist: {', '.join(status['allow']) or 'nobody'}")
    for session in status["sessions"]:
        _print_session(session)
    if not status["sessions"]:
        print_row("attached", "nobody")
    for worker in status["workers"]:
        _print_worker(worker)
    for refused in status["refused"][-5:]:
        print_row("refused", f"{refused['address']} at {refused['at']}: {refused['reason']}")


def watch_status(settings: Settings, *, as_json: bool = False) -> int:
    """Print the picture again and again, until Ctrl-C or the window's end. Returns the exit code.

    :param as_json: print one document a line instead, also of a switch that can't be trusted.
    :raises SwitchError: without ``as_json``, of a switch that can't be trusted.
    """
    try:
        while True:
            try:
                window = settings.switch.read()
            except SwitchError as error:
                if not as_json:
                    raise
                print(json.dumps(status_document(settings, None, error.for_a_command)))
                return 1
            if as_json:
                print(json.dumps(status_document(settings, window)), flush=True)
            else:
                if sys.stdout.isatty():
                    print(_CLEAR_SCREEN, end="")
                print_status(settings, window)
                print(flush=True)
            if window is None:
                return 1
            time.sleep(WATCH_EVERY)
    except KeyboardInterrupt:
        return 0


def _print_session(session: Mapping[str, Any]) -> None:
    number, paused = len(session["requests"]), sum(request["paused"] for request in session["requests"])
    who = "everybody" if session["owner"] == "*" else session["owner"]
    requests = f"{number} request{'' if number == 1 else 's'}, {paused} paused"
    print_row("attached", f"{who}, from {session['address']} since {session['since']}: {requests}")
    for request in session["requests"]:
        if request["paused"]:
            print_row("", f"paused for {_span(request['seconds'])} in worker {request['worker']}: {request['request']}")
            print_row("", f"  at {request['place']}")


def _print_worker(worker: dict[str, Any]) -> None:
    number = len(worker["paused"])
    paused = f", {number} paused" if number else ""
    if worker["joined"]:
        state = "attached, joined" if worker["attached"] else "joined"
        print_row("worker", f"{worker['pid']}, {state} {_span(worker['joined_seconds'])} ago{paused}")
    else:
        print_row("worker", f"{worker['pid']}, not joined, known for {_span(worker['seconds'])}{paused}")


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
