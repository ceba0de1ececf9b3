"""``stagedoor demo --serve``: the same stage, left to a person with an IDE."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta

from stagedoor.console import complain, print_item, print_paragraph
from stagedoor.errors import StagedoorError
from stagedoor.launch_json import launch_json
from stagedoor.settings.bind import parse_bind
from stagedoor.settings.settings import DEFAULT_BIND
from stagedoor.window.window import Window, format_time

from . import signals
from .stage import Developer, Stage, wait_for
from .visitors import DemoFailed, Place

_DURATION = timedelta(minutes=30)
_LOOK_EVERY = 0.2  # seconds between two looks at the window and the application


def serve(places: tuple[Place, Place] | None = None) -> int:
    """Start the application with a window open, print how to attach, and wait for Ctrl-C or the window's end.

    The application's log, with the audit records, is written to stderr.

    :param places: where the developers and the visitor are; by default what this machine's loopback can play.
    :returns: the exit code: 0, or 1 if the application did not start or did not last.
    """
    try:
        with (
            signals.raised(),
            Stage(debug_port=parse_bind(DEFAULT_BIND).port, log_to_stderr=True, places=places) as stage,
        ):
            try:
                window, developers = stage.open_window(_DURATION)
                stage.first_matching_page(developers[0])  # which makes the application open the debug port
                wait_for(lambda: not stage.port_is_closed(), "the debug port")
                _print_instructions(stage, window, developers)
                while stage.switch.read() is not None:
                    if not stage.is_running:
                        raise DemoFailed("The application has ended.")
                    time.sleep(_LOOK_EVERY)
                ended = "The window has ended"
            except KeyboardInterrupt:
                ended = "\nInterrupted"
    except StagedoorError as error:
        complain(f"The demo failed: {error}")
        return 1
    print(f"{ended}; the application has been stopped.")
    return 0


def _print_instructions(stage: Stage, window: Window, developers: list[Developer]) -> None:
    configuration = launch_json("127.0.0.1", stage.debug_port, os.fspath(stage.folder), name="Stagedoor demo")
    until, (anna, ben) = format_time(window.expires_at), developers
    print_paragraph(f"A small shop runs, with its code in {stage.folder}. A window is open until {until}.")
    print()
    print_item(1, f"Open that folder in VS Code: code {stage.folder}")
    print_item(2, "Paste this into its .vscode/launch.json:")
    print(f"\n{json.dumps(configuration, indent=2)}\n")
    print_item(
        3,
        f"Set a breakpoint in {stage.code.name}, line {anna.line}, and press F5. It asks for the token: give it anna's pass.",
    )
    print(f"     {anna.attach_pass}")
    print_item(4, "Request the page as anna, and as a visitor:")
    print(f"     {anna.visitor.curl(stage.port)}    stops")
    print(f"     {stage.visitor.curl(stage.port)}    does not")
    print_item(5, "Attach from a second VS Code with ben's pass, and request the page as ben. It stops there only:")
    print(f"     {ben.attach_pass}")
    print(f"     {ben.visitor.curl(stage.port)}\n")
    print_paragraph("It ends with Ctrl-C, with the window, or when you close the window:")
    print(f"     stagedoor close --switch {stage.switch.path}\n", flush=True)
