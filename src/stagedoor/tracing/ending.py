"""The end of a debugger, step by step."""

from __future__ import annotations

import atexit
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .internals import Internals
from .state import Matching
from .threads import MonitoredThreads, SettraceThreads

Step = Callable[[], object]


def steps_of_end(
    internals: Internals,
    threads: MonitoredThreads | SettraceThreads,
    matching: Callable[[], list[Matching]],
    debugger: Callable[[], Any],
    restoring: list[Step],
) -> list[Step]:
    """The order of a stop. First nothing new is paused and nobody pays any more: what still runs on would stop again
    where it was just resumed. Then pydevd is stopped (:func:`steps_of_stop`), what it keeps on threads is forgotten,
    which would keep the debugger in memory for as long as the threads, and what was put in the place of pydevd's own
    parts is taken away, which it still goes through while it stops. Last of all the application's ``breakpoint()``,
    behind which there is no debugger any more.

    :param matching: gives what threads run of matching requests.
    :param debugger: gives pydevd's debugger, ``None`` if a start has not come as far as to make one.
    :param restoring: the last steps.
    """

    def paused() -> list[threading.Thread]:
        return [each.thread for each in matching() if each.pause is not None]

    def forget_threads() -> None:
        in_progress = {each.thread for each in matching()}
        for thread in threading.enumerate():
            if thread not in in_progress:
                internals.forget_thread(thread)

    return [
        lambda: threads.ended(matching()),
        *steps_of_stop(internals, debugger, paused),
        forget_threads,
        *restoring,
    ]


def steps_of_stop(
    internals: Internals, debugger: Callable[[], Any], paused: Callable[[], list[threading.Thread]]
) -> list[Step]:
    """Stop for real; the order matters.

    1. pydevd's own disconnect. It takes the breakpoints back and resumes what is paused; without it a paused thread
       keeps its suspended state, and hangs in the next window.
    2. What is paused runs on at once and not at pydevd's next turn; this is also what resumes it where 1 fails.
    3. No request of the client's is read any more. Without it pydevd's reader waits for its peer. The writer still
       has to say that the session is over.
    4. pydevd's own stop, which waits for its threads. It takes the debugger's place in ``sys.monitoring`` back, and
       ``sys.settrace``.
    5. The connection ends, for a peer that keeps its end.
    6. pydevd's threads end, where 4 was interrupted or the debugger is not pydevd's current one any more: it gives up
       by itself when its connection ends, also during a start. Without it they and the descriptor stay for good.
    7. ``sys.settrace`` is Python's own; without it pydevd warns whoever uses it, on stderr.
    8. to 11. pydevd's current debugger, its hook at the process's end, its settings, debugpy's flag. Without these
       debugpy refuses to start again ("has already been called"), or the debugger stays in memory.

    :param debugger: gives pydevd's debugger, ``None`` if a start has not come as far as to make one.
    :param paused: gives the threads that are paused.
    """

    def disconnect() -> None:
        if debugger() is not None:
            internals.commands().request_disconnect(debugger(), resume_threads=True)

    def resume() -> None:
        threads = paused()
        for thread in threads:
            internals.run_thread(thread)
        for thread in threads:
            internals.wake(debugger(), thread)

    def end_threads() -> None:
        if debugger() is not None:
            try:
                debugger().dispose_and_kill_all_pydevd_threads(wait=False)
            finally:
                for thread in list(debugger().created_pydb_daemon_threads):
                    thread.do_kill_pydev_thread()

    return [
        disconnect,
        resume,
        lambda: _shut_down(debugger(), socket.SHUT_RD),
        lambda: _stop_pydevd(internals),
        lambda: _shut_down(debugger(), socket.SHUT_RDWR),
        end_threads,
        internals.restore_settrace,
        lambda: internals.forget_debugger(debugger()),
        lambda: atexit.unregister(internals.pydevd.stoptrace),
        lambda: setattr(internals.pydevd.SetupHolder, "setup", None),
        lambda: setattr(internals.api.listen, "called", False),
    ]


def _stop_pydevd(internals: Internals) -> None:
    threading_trace = threading.gettrace()
    try:
        internals.pydevd.stoptrace()
    finally:
        if threading_trace is not None:
            # The application's own: pydevd's is never set.
            threading.settrace(threading_trace)


def _shut_down(debugger: Any, how: int) -> None:
    sock = getattr(getattr(debugger, "reader", None), "sock", None)
    if sock is not None:
        with suppress(OSError):  # The peer was faster.
            sock.shutdown(how)
