"""``python -m stagedoor.gatekeeper``: started by a worker, with its configuration on standard input."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable

from stagedoor.control.burnt import BURNT, TokenBurnt
from stagedoor.control.config import GatekeeperConfig
from stagedoor.errors import StagedoorError

from .process import Gatekeeper

#: The signals by which it is told to end.
ENDING = (signal.SIGTERM, signal.SIGINT)


def main() -> int:
    """Open the ports, say ``ready`` on standard output, detach, and serve until the window's end."""
    # A worker's thread may have blocked all signals, as uWSGI's do, and a mask is inherited.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        gatekeeper = Gatekeeper(*GatekeeperConfig.load(sys.stdin.readline()))
        gatekeeper.listen()
    except (StagedoorError, ValueError) as error:
        print(error)
        return BURNT if isinstance(error, TokenBurnt) else 1
    print("ready", flush=True)
    _detach()
    serve(gatekeeper)
    return 0


def serve(
    gatekeeper: Gatekeeper, on_signal: Callable[[], None] = lambda: None, is_told: Callable[[], bool] = lambda: False
) -> str:
    """Serve until the end, also that by ``SIGTERM`` or ``SIGINT``, which are blocked from then on; returns why it came.

    :param on_signal: called when it is such a signal.
    :param is_told: whether one has come already.
    """

    def end() -> None:
        on_signal()
        gatekeeper.end("The gatekeeper was told to end.")

    async def run() -> str:
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, end)
        if is_told():
            end()
        try:
            return await gatekeeper.run()
        finally:
            # When the loop takes its handlers back, one of these would end the process at once.
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)

    return asyncio.run(run())


def _detach() -> None:
    """Become nobody's child, and let go of the worker's pipes: it waits for both."""
    if os.fork():
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
