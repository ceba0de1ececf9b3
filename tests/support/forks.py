"""What a forked child finds."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Callable
from typing import Any

import pytest

#: Python warns of forks in a process with threads, which are the subject.
forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

#: Seconds that a child has. One that hangs is what these tests look for.
PATIENCE = 20.0


def in_child(work: Callable[[], Any]) -> Any:
    """What ``work`` returns in a forked child, which ends then; JSON carries it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = {"found": work()}
        except BaseException as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        try:
            os.write(writing, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        answers = b""
        with os.fdopen(reading, "rb") as pipe:
            while select.select([pipe], [], [], PATIENCE)[0] and (data := os.read(pipe.fileno(), 65536)):
                answers += data
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert answers, f"the child hung for {PATIENCE:g} s"
    answer = json.loads(answers)
    assert "failed" not in answer, answer["failed"]
    return answer["found"]
