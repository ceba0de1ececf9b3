"""What became of each test, by its id, and which warnings came: of pytest's tests and of unittest's."""

from __future__ import annotations

import re
import sys
import unittest
import warnings
from dataclasses import dataclass, field
from typing import Any

#: What differs between any two runs: addresses of objects, numbers of threads, descriptors and ports, folders.
_VARYING = re.compile(r"0x[0-9a-f]+|\d+|/tmp/\S+|(?<=[-_ '\"])[a-z0-9_]{8}(?=['\"/ ]|$)")
_WORST = ("error", "failed", "passed unexpectedly", "failed as expected", "skipped", "passed")


@dataclass
class Outcomes:
    """Of one run."""

    tests: dict[str, str] = field(default_factory=dict)
    #: The last line of what a failed test said.
    reasons: dict[str, str] = field(default_factory=dict)
    warnings: set[str] = field(default_factory=set)

    def add(self, test: str, outcome: str, reason: str = "") -> None:
        """A part of a test, such as its tear-down; the worst one counts."""
        before = self.tests.get(test, "passed")
        self.tests[test] = min(before, outcome, key=_WORST.index)
        if reason:
            self.reasons.setdefault(test, reason[-2000:])

    def warn(self, category: str, text: str) -> None:
        self.warnings.add(f"{category}: {_VARYING.sub('*', text)[:500]}")

    def as_json(self) -> dict[str, Any]:
        return {"tests": self.tests, "reasons": self.reasons, "warnings": sorted(self.warnings)}


class Plugin:
    """Pytest's."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def pytest_runtest_logreport(self, report: Any) -> None:
        outcome = report.outcome
        if outcome == "failed" and report.when != "call":
            outcome = "error"
        if hasattr(report, "wasxfail"):
            outcome = "failed as expected" if report.skipped else "passed unexpectedly"
        self._outcomes.add(report.nodeid, outcome, report.longreprtext if report.failed else "")

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._outcomes.add(report.nodeid, "error", report.longreprtext)

    def pytest_warning_recorded(self, warning_message: Any) -> None:
        self._outcomes.warn(warning_message.category.__name__, str(warning_message.message))


def recording_result(base: type[unittest.TextTestResult], outcomes: Outcomes) -> type[unittest.TextTestResult]:
    """A class of unittest results that records too."""

    class Result(base):  # type: ignore[valid-type, misc]
        def _add(self, test: Any, outcome: str, error: Any = None) -> None:
            reason = self._exc_info_to_string(error, test) if isinstance(error, tuple) else ""
            outcomes.add(test.id(), outcome, reason)

        def addSuccess(self, test: Any) -> None:
            super().addSuccess(test)
            self._add(test, "passed")

        def addError(self, test: Any, err: Any) -> None:
            super().addError(test, err)
            self._add(test, "error", err)

        def addFailure(self, test: Any, err: Any) -> None:
            super().addFailure(test, err)
            self._add(test, "failed", err)

        def addSkip(self, test: Any, reason: str) -> None:
            super().addSkip(test, reason)
            self._add(test, "skipped")

        def addExpectedFailure(self, test: Any, err: Any) -> None:
            super().addExpectedFailure(test, err)
            self._add(test, "failed as expected")

        def addUnexpectedSuccess(self, test: Any) -> None:
            super().addUnexpectedSuccess(test)
            self._add(test, "passed unexpectedly")

        def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
            super().addSubTest(test, subtest, err)
            if err is not None:
                outcome = "failed" if issubclass(err[0], test.failureException) else "error"
                self._add(subtest, outcome, err)
                self._add(test, outcome)

    return Result


def record_warnings(outcomes: Outcomes) -> None:
    """Record what is shown as a warning outside of pytest, and what is raised where nobody can catch it."""
    shown, hooked = warnings.showwarning, sys.unraisablehook

    def show(message: Any, category: Any, *arguments: Any, **keywords: Any) -> None:
        outcomes.warn(category.__name__, str(message))
        shown(message, category, *arguments, **keywords)

    def unraisable(found: Any) -> None:
        outcomes.warn("unraisable", f"{found.exc_type.__name__}: {found.exc_value} in {found.object!r}")
        hooked(found)

    warnings.showwarning, sys.unraisablehook = show, unraisable
    warnings.simplefilter("default", ResourceWarning)
