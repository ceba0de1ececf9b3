"""What the costs are meant to be at most, and whether they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.measuring import is_noisy
from benchmarks.states import AFTER, ATTACHED, CROWDED, PAUSED

Sections = dict[str, Any]

PAGE, HOT = "/page", "/hot"


@dataclass(frozen=True, slots=True)
class Target:
    """One of the costs that matter.

    :param what: the cost, for people.
    :param limit: the most that it may be.
    :param unit: of the limit and of what was measured; ``x`` is a ratio.
    :param section: where it is measured.
    :param find: gets it out of that section's result.
    :param find_on_processor: the same by processor time, which what else runs on the machine disturbs less.
    """

    what: str
    limit: float
    unit: str
    section: str
    find: Callable[[Any], float]
    find_on_processor: Callable[[Any], float] | None = None

    @property
    def at_most(self) -> str:
        return f"{self.limit:.2f}x" if self.unit == "x" else f"{self.limit:g} {self.unit}"

    def cell(self, sections: Sections) -> str:
        """What was measured, and the verdict."""
        if self.section not in sections:
            return "not measured"
        measured = self.find(sections[self.section])
        return f"{self.shown(measured)} {self._verdict(sections, measured)}"

    def shown(self, value: float) -> str:
        return f"{self._rounded(value)}{'' if self.unit == 'x' else ' '}{self.unit}"

    def _rounded(self, value: float) -> str:
        if self.unit == "x":
            return f"{value:.2f}"
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"

    def _verdict(self, sections: Sections, measured: float) -> str:
        if self._is_met(measured):
            return "met"
        if self.find_on_processor is not None:
            on_processor = self.find_on_processor(sections[self.section])
            if self._is_met(on_processor):
                return f"met by processor time, {self.shown(on_processor)}"
        # What else runs on a machine has no part in nanoseconds on the processor, and none in memory.
        is_disturbed = self.unit in ("x", "ms") and is_noisy(sections)
        return "missed, but too noisy to tell" if is_disturbed else "MISSED"

    def _is_met(self, value: float) -> bool:
        # As it is shown: the digit after that is another one in the next run.
        return float(self._rounded(value)) <= self.limit


def per_request(variant: str) -> Callable[[Any], float]:
    def find(section: Any) -> float:
        (row,) = (row for row in section["rows"] if row["variant"] == variant)
        return float(row["more_than_empty_ns"])

    return find


def state(name: str, *views: str, figure: str = "ratio") -> Callable[[Any], float]:
    def find(section: Any) -> float:
        (row,) = (row for row in section["rows"] if row["state"] == name)
        return float(max(row[view][figure]["median"] for view in views))

    return find


def ratio_of(what: str, limit: float, name: str, *views: str) -> Target:
    on_processor = state(name, *views, figure="processor_ratio")
    return Target(what, limit, "x", "side_by_side", state(name, *views), on_processor)


def gatekeeper(measured: str) -> Callable[[Any], float]:
    def find(section: Any) -> float:
        (row,) = (row for row in section["rows"] if row["measured"].startswith(measured))
        return float(row["median"])

    return find


def p99(section: Any) -> float:
    (row,) = (row for row in section["rows"] if row["phase"] == "during")
    return float(row["p99_ratio"]["median"])


def memory(measured: str) -> Callable[[Any], float]:
    return lambda section: float(section[measured])


_OPEN = "open, not matching, 1,000 networks"
_OPEN_OTHERS = "open, every request from another address, 1,000 networks"
_GATEKEEPER = "gatekeeper, sessions: {}, workers: {},"
_OPEN_BESIDE = "open, every request from another address beside 1,000 networks"

TARGETS = [
    Target("closed, more than an empty middleware", 80, "ns", "per_request", per_request("closed")),
    Target("open, no client, 1,000 networks, more than empty", 500, "ns", "per_request", per_request(_OPEN)),
    Target("the same, each request from another address", 500, "ns", "per_request", per_request(_OPEN_OTHERS)),
    Target("the same, each of them next to an allowed one", 500, "ns", "per_request", per_request(_OPEN_BESIDE)),
    ratio_of("attached, not matching: page", 1.02, ATTACHED, PAGE),
    ratio_of("attached, not matching: hot loop in the function with the breakpoint", 1.05, ATTACHED, HOT),
    ratio_of("8 developers attached, not matching: page", 1.02, CROWDED, PAGE),
    ratio_of("while matching requests are paused: page and hot loop", 1.05, PAUSED, PAGE, HOT),
    ratio_of("after the window: page and hot loop", 1.01, AFTER, PAGE, HOT),
    Target("p99 under load, three paused, to that before", 1.1, "x", "load", p99),
    Target("first match of a new worker to stopped", 40, "ms", "gatekeeper", gatekeeper("first match of a new")),
    Target("later matches to stopped", 5, "ms", "gatekeeper", gatekeeper("later match")),
    Target("window's end to all closed, three paused", 300, "ms", "gatekeeper", gatekeeper("window's end to nothing")),
    Target("the same with 16 sessions", 300, "ms", "gatekeeper", gatekeeper("window's end, 16 sessions")),
    Target(
        "memory of the gatekeeper: 1 session, 1 worker", 24, "MiB", "gatekeeper", gatekeeper(_GATEKEEPER.format(1, 1))
    ),
    Target("the same: 16 sessions, 64 workers", 40, "MiB", "gatekeeper", gatekeeper(_GATEKEEPER.format(16, 64))),
    Target("memory of a worker, closed, over bare", 3, "MiB", "memory", memory("closed_more_mib")),
    Target("memory of a worker after a window, over bare", 12, "MiB", "memory", memory("after_more_mib")),
    Target("memory that each further window adds", 0.1, "MiB", "gatekeeper", gatekeeper("worker, growth per window")),
]
