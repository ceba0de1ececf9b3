"""A module that the application loads: before a debugger starts, while it does, or later."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagedoor.tracing.arrival import Arrival

NAME = "stagedoor_test_arriving"
SOURCE = """
import sys
begun, go_on = sys.stagedoor_test
begun.set()
assert go_on.wait(20)
class Whole: pass
"""


@pytest.fixture
def signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    (tmp_path / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = threading.Event(), threading.Event()
    monkeypatch.setattr(sys, "stagedoor_test", made, raising=False)
    yield made
    made[1].set()
    sys.modules.pop(NAME, None)


@pytest.mark.parametrize("when", ["before", "meanwhile", "later"])
def test_it_is_whole_when_it_has_arrived(signals: tuple[threading.Event, threading.Event], when: str) -> None:
    begun, go_on = signals
    found: list[Any] = []
    arrival = Arrival(NAME, lambda module: found.append(hasattr(module, "Whole")))
    loading = threading.Thread(target=importlib.import_module, args=(NAME,))
    waiting = threading.Thread(target=arrival.wait)
    if when == "later":
        waiting.start()
        waiting.join(10)
    loading.start()
    assert begun.wait(10), "the import to begin"
    if when == "meanwhile":
        waiting.start()
        # It may be as far as to wait for the import, or not yet: both ways it has to find all of it.
        waiting.join(0.05)
    go_on.set()
    loading.join(10)
    if when == "before":
        waiting.start()
    waiting.join(10)
    assert found == [True]
    assert arrival not in sys.meta_path


def test_one_that_can_not_be_loaded_is_waited_for_still(signals: tuple[threading.Event, threading.Event]) -> None:
    found: list[Any] = []
    arrival = Arrival("stagedoor_test_missing", found.append)
    arrival.wait()
    with pytest.raises(ImportError):
        importlib.import_module("stagedoor_test_missing")
    assert found == []
    arrival.give_up()
    assert arrival not in sys.meta_path
