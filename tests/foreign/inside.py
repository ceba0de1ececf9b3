"""Runs one suite in a process of its own, bare or behind a door: ``inside.py RESULT MODE KIND PLACE... -- ARGUMENTS``.

MODE is ``bare`` or ``BACK_END:VISITORS_EVERY``. Behind a door it says on which port it can be attached to, in a file next to
RESULT, and begins when somebody is.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    split = sys.argv.index("--")
    result, mode, kind, *places = sys.argv[1:split]
    arguments = sys.argv[split + 1 :]
    # The suites have modules of these names too: ours are imported first, and not to be found after that.
    sys.path[0:1] = [str(_ROOT / "src"), str(_ROOT / "tests")]
    from foreign.outcomes import Outcomes

    outcomes, door = Outcomes(), None
    if mode != "bare":
        # Here only: a bare run has nothing of ours.
        from foreign.door import Door
        from foreign.places import PLACES
        from support.waiting import wait_for

        debugger, _, every = mode.partition(":")
        door = Door(debugger, int(every))
        door.wait_for_client("waiting")
        _say(Path(result).with_suffix(".door"), {"port": door.port, "token": door.window.token})
        door.wait_for_client("attached")
        # Requests can be debugged before the client has heard that its attach is complete.
        wait_for(Path(result).with_suffix(".go").exists, "the client to be ready", timeout=60)
        for place in places:
            PLACES[place](door.wrap)
        door.start_counting()
    sys.path[0:2] = [os.getcwd()]
    try:
        KINDS[kind](arguments, outcomes)
    finally:
        counted = door.close() if door is not None else {}
        _say(Path(result), outcomes.as_json() | {"counted": counted})


def _pytest(arguments: list[str], outcomes: Any) -> None:
    import pytest

    from foreign.outcomes import Plugin

    code = pytest.main(arguments, plugins=[Plugin(outcomes)])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(f"pytest broke off: {code!r}")


def _unittest(arguments: list[str], outcomes: Any) -> None:
    import unittest

    from foreign.outcomes import record_warnings, recording_result

    record_warnings(outcomes)
    runner = unittest.TextTestRunner(resultclass=recording_result(unittest.TextTestResult, outcomes))
    unittest.main(module=None, argv=["unittest", *arguments], testRunner=runner, exit=False)


def _django(arguments: list[str], outcomes: Any) -> None:
    import unittest

    from django.test.runner import DiscoverRunner

    from foreign.outcomes import record_warnings, recording_result

    record_warnings(outcomes)
    found = DiscoverRunner.get_resultclass
    DiscoverRunner.get_resultclass = lambda self: recording_result(found(self) or unittest.TextTestResult, outcomes)
    sys.argv = ["runtests.py", *arguments]
    try:
        runpy.run_path("runtests.py", run_name="__main__")
    except SystemExit as ended:
        print("runtests.py ended with", ended.code)


KINDS = {"pytest": _pytest, "unittest": _unittest, "django": _django}


def _say(path: Path, what: dict[str, Any]) -> None:
    """Write a file that nobody sees half written."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(what))
    new.replace(path)


if __name__ == "__main__":
    main()
    # Threads and servers that a suite has left are no affair of its results.
    sys.stdout.flush()
    os._exit(0)
