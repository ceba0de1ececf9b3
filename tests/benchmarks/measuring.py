"""Medians with their spread, and when not to believe them."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

#: Above this spread of the bare application's own runs, a machine does too much else for its figures to be believed.
NOISY = 0.10


@dataclass(frozen=True, slots=True)
class Figure:
    """A median with its quartiles.

    :param low: the lower quartile.
    :param high: the upper quartile.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Figure:
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    @property
    def spread(self) -> float:
        """The distance of the quartiles as a share of the median."""
        return (self.high - self.low) / self.median

    def fields(self) -> dict[str, float]:
        return {name: float(f"{value:.4g}") for name, value in asdict(self).items()}


def ratios(values: Sequence[float], base: Sequence[float]) -> list[float]:
    """Each value to that of the base which was taken next to it."""
    return [value / reference for value, reference in zip(values, base, strict=True)]


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def is_noisy(sections: dict[str, Any]) -> bool:
    """Whether the bare application's own runs of the page or the loop spread by more than :data:`NOISY`."""
    spread = sections.get("side_by_side", {}).get("spread", {})
    return any(spread.get(view, 0.0) > NOISY for view in ("/page", "/hot"))
