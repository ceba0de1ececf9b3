"""Many breakpoints in a long function, which pydevd is slow to set: requests run on meanwhile. pydevd is real."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from stagedoor.dap.rules import Rule, encode
from support.gatekeeper_side import Side
from support.sessions_site import visit

LINES, BREAKPOINTS = 3000, 60


def test_requests_run_on_while_breakpoints_are_set(tmp_path: Path) -> None:
    long = tmp_path / "long.py"
    long.write_text("def long(a):\n" + "    a = a + 1\n" * LINES + "    return a\n")
    wanted = [
        {"line": 2 + number * (LINES // BREAKPOINTS), "condition": encode(Rule("s1", key=str(number)))}
        for number in range(BREAKPOINTS)
    ]
    with closing(Side()) as side:
        side.set(("visit", Rule("s1", key="a")))
        threads = side.thread("visitor"), side.thread("developer")
        asked = side.client.send("setBreakpoints", {"source": {"path": str(long)}, "breakpoints": wanted})
        ran = 0
        while not any(message.get("request_seq") == asked for message in list(side.client._received)):
            assert side.start(None, visit, 1, on=threads[0]).result(5) == 3
            assert side.start("s2", visit, 2, on=threads[1]).result(5) == 5
            ran += 1
        answers = side.client.wait_response(asked)["breakpoints"]
        assert all(answer["verified"] for answer in answers)
        mine = side.start("s1", visit, 3)
        side.resume(side.stopped("s1"))
        assert mine.result(5) == 7
        if ran < 2:
            pytest.skip(f"pydevd has set {BREAKPOINTS} breakpoints before two requests could run")
