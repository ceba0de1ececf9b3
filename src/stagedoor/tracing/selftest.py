"""The facts that the promises rest on, asked of the debugpy that is installed, in a process of its own: a few seconds.

Run as ``python -P -m stagedoor.tracing.selftest``; prints one JSON object (:func:`main`). Fitting names prove no
behaviour, so a release that is not known is trusted only where this has passed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .loading import installed_release, load_debugpy
from .rehearsal import (
    FAILING,
    NAME,
    SOURCE,
    VIEW,
    Played,
    Session,
    Wrong,
    goes_on,
    insist,
    nothing_is_left,
    running,
    seconds,
    state_of_process,
)
from .releases import trust
from .tracing import Tracing, stop_on_exception

#: How much longer the loop may take on other threads. What a debugger costs them where it does not let go is 13 to 100.
SLOWER = 3.0


def main(folder: str) -> dict[str, Any]:
    """Prove the installed debugpy.

    :param folder: an empty one, for code to debug.
    :returns: ``debugpy`` (its release), ``file`` (where it is), ``python`` (:data:`sys.version`), and ``failed``: what
        was seen instead, by fact; empty if all are facts.
    """
    release = installed_release()
    if release.is_to_be_proved:
        trust(release.version)
    failed: dict[str, str] = {}
    state: dict[str, Any] = {
        "breakpoint": load_debugpy().breakpoint,
        "file": os.path.join(os.path.realpath(folder), NAME),
    }
    with open(state["file"], "w", encoding="utf-8") as file:
        file.write(SOURCE)
    for name, fact in FACTS.items():
        # The later ones need what the earlier ones have started.
        if not failed:
            try:
                fact(state)
            except Exception as error:
                failed[name] = f"{type(error).__name__}: {error}" if not isinstance(error, Wrong) else str(error)
    return {"debugpy": release.version, "file": release.file, "python": sys.version, "failed": failed}


# -- The facts, in the order in which they are established -------------------------------------------------------------


def _it_starts(state: dict[str, Any]) -> None:
    code: dict[str, Any] = {"__name__": "application", "__file__": state["file"]}
    exec(compile(SOURCE, state["file"], "exec"), code)
    Tracing.prepare()  # Importing it is not starting it, and may leave modules.
    state["code"], state["before"] = code, state_of_process()
    state["alone"] = min(seconds(code["loop"]) for _ in range(10))
    with running(lambda: code["view"](1)) as turns:
        state["session"] = Session(state["file"])
        goes_on(turns, "while the debugger started")


def _only_the_matching_thread_stops(state: dict[str, Any]) -> None:
    session, code = state["session"], state["code"]
    with running(lambda: code["view"](1)) as turns:
        request = session.request(lambda: code["view"](3))
        thread = session.stopped("breakpoint", VIEW)
        insist(
            session.client.locals(session.client.stack(thread)[0]["id"])["number"] == "3", "the wrong thread stopped"
        )
        goes_on(turns, "while another was paused")
        later = Played(lambda: code["view"](4))
        insist(later.finish("a thread that was started later") == 9, "it returned something else")
        session.client.next(thread)
        session.stopped("step", VIEW + 1)
        session.client.resume(thread)
        insist(request.finish("a request that was continued") == 7, "it returned something else")
        goes_on(turns, "after the pause")
    insist(session.stops == 2, f"there were {session.stops} stops and not 2")
    foreign = set(code["seen"]) - {request.ident}
    insist(not foreign, "a client's condition ran on a thread that serves no matching request")
    insist(Played(state["breakpoint"]).finish("debugpy.breakpoint() elsewhere") is None, "debugpy.breakpoint() failed")


def _others_run_at_full_speed(state: dict[str, Any]) -> None:
    session, code, alone = state["session"], state["code"], state["alone"]

    def measure(when: str) -> None:
        taken = Played(lambda: min(seconds(code["loop"]) for _ in range(10))).finish("a loop on another thread")
        insist(taken < SLOWER * alone, f"a loop on another thread took {taken / alone:.0f} times as long {when}")

    measure("with a client attached")
    request = session.request(lambda: code["view"](3))
    thread = session.stopped("breakpoint", VIEW)
    session.client.next(thread)
    session.stopped("step", VIEW + 1)
    measure("while a request was paused")
    session.client.resume(thread)
    request.finish("a request that was continued")
    measure("after a pause")


def _an_error_stops(state: dict[str, Any]) -> None:
    session, code = state["session"], state["code"]

    def fail_elsewhere() -> None:
        try:
            code["failing"]()
        except KeyError as error:
            stop_on_exception(error)

    before = session.stops
    insist(
        Played(fail_elsewhere).finish("an error on another thread") is None, "an error on another thread was changed"
    )
    request = session.request(code["failing"])
    thread = session.stopped("exception", FAILING)
    insist(session.stops == before + 1, "an error stopped a thread that serves no matching request")
    session.client.resume(thread)
    insist(isinstance(request.finish("a request that failed"), KeyError), "the error was changed")


def _the_end_leaves_nothing(state: dict[str, Any]) -> None:
    for again in (True, False):
        session, code = state["session"], state["code"]
        request = session.request(lambda code=code: code["view"](5))
        session.stopped("breakpoint", VIEW)
        session.tracing.stop()
        insist(request.finish("a request that was paused at the end") == 11, "it returned something else")
        session.client.close()
        del request
        nothing_is_left(state["before"])
        if again:
            state["session"] = Session(state["file"])
    taken = min(seconds(state["code"]["loop"]) for _ in range(10))
    insist(taken < SLOWER * state["alone"], f"a loop took {taken / state['alone']:.0f} times as long after the end")


FACTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "it starts, and no thread stands still": _it_starts,
    "only the thread of a matching request stops": _only_the_matching_thread_stops,
    "others run on at full speed": _others_run_at_full_speed,
    "an error stops": _an_error_stops,
    "the end leaves nothing, and it starts again": _the_end_leaves_nothing,
}


if __name__ == "__main__":
    said = sys.stdout
    sys.stdout = sys.stderr
    try:
        # Whoever gives a folder removes it, should this process be killed.
        folder = sys.argv[1] if sys.argv[1:] else tempfile.mkdtemp(prefix="stagedoor-selftest-")
        try:
            answer = main(folder)
        finally:
            with suppress(OSError):
                os.unlink(os.path.join(folder, NAME))
                os.rmdir(folder)
    except Exception as error:
        answer = {"failed": {"it can be loaded": str(error)}}
    print(json.dumps(answer), file=said, flush=True)
    os._exit(0)  # Without waiting for threads that a fact may have left.
