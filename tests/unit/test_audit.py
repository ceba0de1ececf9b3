"""The records: complete, never an exception, never more than a log can bear."""

from __future__ import annotations

import ast
import logging
import re
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from stagedoor import audit as module
from stagedoor.audit import BURST, INTERVAL, LOGGER_NAME, PERIOD, REMEMBERED, Audit, Limit
from stagedoor.dap.deeds import CHANGED, EVALUATED, INSTRUMENTED, JUMPED
from support.clock import SettableClock
from support.modules import ROOT


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def audit(clock: SettableClock, caplog: pytest.LogCaptureFixture) -> Audit:
    caplog.set_level(logging.INFO, logger=LOGGER_NAME)
    return Audit(clock.monotonic)


def test_a_record_has_its_fields_as_attributes(audit: Audit, caplog: pytest.LogCaptureFixture) -> None:
    audit.record("paused", "GET /checkout at shop.py:12", request="GET /checkout", place="shop.py:12")
    (record,) = caplog.records
    assert record.name == "stagedoor.audit"
    assert record.levelno == logging.INFO
    assert record.getMessage() == "paused: GET /checkout at shop.py:12"
    assert (record.event, record.request, record.place) == (  # type: ignore[attr-defined]
        "paused",
        "GET /checkout",
        "shop.py:12",
    )


def test_percent_signs_are_text(audit: Audit, caplog: pytest.LogCaptureFixture) -> None:
    audit.record("matched", "GET /100%s %d %(event)s")
    assert caplog.messages == ["matched: GET /100%s %d %(event)s"]


@pytest.fixture
def failing_handler() -> Iterator[None]:
    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("the disk is full")

    handler = Failing()
    logging.getLogger(LOGGER_NAME).addHandler(handler)
    yield
    logging.getLogger(LOGGER_NAME).removeHandler(handler)


@pytest.mark.usefixtures("failing_handler")
def test_a_log_that_fails_fails_nobody(audit: Audit) -> None:
    audit.record("opened", "a window")
    audit.record("opened", "a field that logging forbids", message="x")
    audit.refused("10.0.0.1", "address", "not on the list")
    audit.failed("something", "it failed")
    audit.error("doing something", ValueError("no"))


# -- Refusals ----------------------------------------------------------------------------------------------------------


def refused(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.address for record in caplog.records if record.event == "refused"]  # type: ignore[attr-defined]


def test_the_same_address_is_recorded_once_in_a_while(
    audit: Audit, clock: SettableClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        audit.refused("10.0.0.1", "address", "not on the list")
        clock.pass_time(timedelta(seconds=INTERVAL / 100.5))
    assert refused(caplog) == ["10.0.0.1"]
    clock.pass_time(timedelta(seconds=1))
    audit.refused("10.0.0.1", "address", "not on the list")
    assert refused(caplog) == ["10.0.0.1"] * 2
    assert "99 refusals before this one were not recorded" in caplog.messages[-1]
    assert caplog.records[-1].suppressed == 99  # type: ignore[attr-defined]


def test_all_addresses_together_are_recorded_only_so_often(
    audit: Audit, clock: SettableClock, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(500):
        audit.refused(f"10.0.{number >> 8}.{number & 255}", "address", "not on the list")
    assert len(refused(caplog)) == BURST
    clock.pass_time(timedelta(seconds=PERIOD))
    audit.refused("10.9.9.9", "address", "not on the list")
    assert refused(caplog)[BURST:] == ["10.9.9.9"]
    assert f"({500 - BURST} refusals before" in caplog.messages[-1]


def test_a_flood_of_one_kind_hides_no_other(audit: Audit, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(500):
        audit.refused(f"10.0.{number >> 8}.{number & 255}", "address", "not on the list")
    audit.refused("10.0.0.1", "token", "a wrong token", level=logging.WARNING)
    audit.failed("server", "no threads")
    assert caplog.messages[-2:] == ["refused: a wrong token", "failed: no threads"]


def test_a_failure_is_recorded_once_in_a_while(
    audit: Audit, clock: SettableClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(100):
        audit.error("deciding on a request", KeyError("REMOTE_ADDR"))
        audit.failed("server", "no threads")
    assert caplog.messages == [
        "failed: KeyError while deciding on a request: 'REMOTE_ADDR'. The request goes on undebugged.",
        "failed: no threads",
    ]
    clock.pass_time(timedelta(seconds=INTERVAL))
    audit.failed("server", "no threads")
    assert len(caplog.messages) == 3


@pytest.mark.parametrize("known", [True, False], ids=["an address that is known", "an address that is new"])
def test_being_quiet_agrees_with_what_would_be_written(known: bool, clock: SettableClock) -> None:
    limit = Limit()
    for number in range(BURST - known):
        assert not limit.is_quiet(number, clock.monotonic())
        assert limit.allows(number, clock.monotonic())
    key: object = 0 if known else "new"
    assert limit.is_quiet(key, clock.monotonic())
    assert not limit.allows(key, clock.monotonic())
    assert limit.suppressed == 2


def test_a_silenced_key_takes_nothing_from_the_others(clock: SettableClock) -> None:
    limit = Limit()
    for number in range(10 * BURST):
        limit.silence(number, clock.monotonic())
    assert limit.is_quiet(3, clock.monotonic())
    assert limit.allows("another", clock.monotonic())


def test_what_is_remembered_is_bounded(clock: SettableClock) -> None:
    limit = Limit()
    for number in range(5 * REMEMBERED):
        limit.silence(number, clock.monotonic())
        assert len(limit.quiet_until) <= REMEMBERED


def test_threads_write_no_more_than_one_record_each_too_many() -> None:
    limit, allowed, start = Limit(), [], threading.Event()

    def ask() -> None:
        start.wait(5)
        mine = threading.get_ident()
        allowed.extend(number for number in range(2000) if limit.allows((mine, number), 1000.0))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    start.set()
    for thread in threads:
        thread.join(10)
    assert BURST <= len(allowed) <= BURST + len(threads)


# -- What is written of it ---------------------------------------------------------------------------------------------


def recorded() -> set[str]:
    """The events that the code records: those that it names where it does so, and those that the history of windows and the
    deeds of developers are chosen from.
    """
    found = set()
    for path in (ROOT / "src" / "stagedoor").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record"
            if named and node.args and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    chosen = {"opened", "extended", "closed", "expired"}
    history = {
        node.value
        for node in ast.walk(ast.parse((ROOT / "src/stagedoor/worker/history.py").read_text()))
        if isinstance(node, ast.Constant)
    }
    assert chosen <= history
    deeds = {EVALUATED, CHANGED, JUMPED, INSTRUMENTED}
    return found | chosen | deeds


def words(text: str) -> set[str]:
    return set(re.findall(r"`+([a-z]+)`+", text))


def test_the_modules_list_of_events_is_what_is_recorded() -> None:
    listed = str(module.__doc__).partition("is one of")[2].partition(";")[0]
    assert words(listed) == recorded()


def test_the_readmes_list_of_events_is_what_is_recorded() -> None:
    section = (ROOT / "README.md").read_text().partition("## What is logged")[2].partition("## ")[0]
    listed = section.partition("in `extra`:")[2].partition(". What happens")[0]
    assert words(listed) == recorded()
