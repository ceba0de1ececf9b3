"""What a worker records of its own pauses: whose they are, also when their session has gone."""

from __future__ import annotations

import logging

import pytest

from stagedoor.audit import LOGGER_NAME, Audit
from stagedoor.tracing import Pause
from stagedoor.worker.recording import Recording


class Recorded(Recording):
    def say(self, sentence: str, session: str | None = None, *, important: bool = False) -> None:
        pass


@pytest.mark.parametrize(
    ("developer", "whose"),
    [("anna", "GET /pay of anna"), ("127.0.0.7", "GET /pay of 127.0.0.7"), ("*", "GET /pay")],
)
def test_a_pause_has_its_developer_to_its_end(developer: str, whose: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER_NAME)
    recorded, pause = Recorded(Audit()), Pause("GET /pay", 1, 0.0, "shop.py", 12, "s1", 7, developer)
    recorded.paused(pause)
    recorded.resumed(pause, 1.5)
    assert caplog.messages == [f"paused: {whose} at shop.py:12", f"resumed: {whose} after 1.5 s"]
    assert [record.developer for record in caplog.records] == [developer] * 2  # type: ignore[attr-defined]


def test_without_a_gatekeeper_who_attaches_is_everybody(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER_NAME)
    recorded = Recorded(Audit())
    recorded.attached()
    recorded.paused(Pause("GET /pay", 1, 0.0, "shop.py", 12))
    recorded.detached()
    assert [record.developer for record in caplog.records] == ["*"] * 3  # type: ignore[attr-defined]
