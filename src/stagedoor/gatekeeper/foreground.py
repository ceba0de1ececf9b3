"""``stagedoor gatekeeper --foreground``: a gatekeeper for each window, in the terminal's or the supervisor's process.

For systemd, Docker, and for looking at what it does. While this runs, no worker starts one of its own.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from stagedoor.control.burnt import BurntWindows, TokenBurnt
from stagedoor.control.lock import clear_away, start_lock
from stagedoor.control.place import private_directory
from stagedoor.errors import StagedoorError
from stagedoor.settings.settings import Settings

from .__main__ import ENDING, serve
from .patience import FOREGROUND
from .process import Gatekeeper

_logger = logging.getLogger("stagedoor.gatekeeper")


def run_in_foreground(settings: Settings) -> int:
    """Serve every window of the switch until ``SIGTERM`` or Ctrl-C. Returns the exit code: 1 if another one runs.

    :raises ControlError: if the directory of the control socket can't be trusted.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    config = settings.gatekeeper_config()
    path = Path(config.control)
    burnt = BurntWindows(config)
    private_directory(path.parent)
    told_to_end = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        told_to_end.set()

    def handle_signals() -> None:
        """At the beginning, and when serve() has had them."""
        for number in ENDING:
            signal.signal(number, end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    with start_lock(path) as is_ours:
        if not is_ours:
            _logger.error(
                "Another gatekeeper is there for %s, or is just being started: a switch has one.", settings.switch.name
            )
            return 1
        handle_signals()
        _logger.info("Waiting for a window of %s.", settings.switch.name)
        window, trouble, served = None, "", ""
        while not told_to_end.wait(FOREGROUND.tick):
            try:
                window = settings.switch.read()
            except StagedoorError as error:
                window = None
                if str(error) != trouble:
                    trouble = str(error)
                    _logger.warning("%s", error)
            else:
                burnt.forget_all_but(window)
            # One that has ended is not opened again, though its switch may hold it still: see the reason in the log.
            if window is None or window.token == served:
                continue
            trouble, served = "", window.token
            try:
                gatekeeper = Gatekeeper(config, window, patience=FOREGROUND, switch=settings.switch)
                gatekeeper.listen()
            except TokenBurnt as error:
                _logger.error("%s", error)
                continue
            except StagedoorError as error:
                _logger.error("%s", error)
                served = ""
                told_to_end.wait(5)
                continue
            _logger.info("A window is open; listening on %s.", settings.bind)
            why = serve(gatekeeper, told_to_end.set, told_to_end.is_set)
            _logger.info("%s", why)
            handle_signals()
        clear_away(config)
    return 0
