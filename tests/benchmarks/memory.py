"""Resident memory of a worker with the closed middleware, over that of one that serves the bare application."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.gatekeeper import resident
from benchmarks.load import server
from benchmarks.workloads import MEASURED

SAMPLES, REQUESTS = 5, 50


def measure(*, quick: bool = False) -> dict[str, Any]:
    """MiB: medians of several workers of each kind, each of which has served the same requests."""
    samples = 1 if quick else SAMPLES
    bare = [worker(STAGEDOOR_TESTS_BARE="1") for _ in range(samples)]
    closed = [worker() for _ in range(samples)]
    return {
        "bare_mib": round(statistics.median(bare), 2),
        "closed_mib": round(statistics.median(closed), 2),
        "more_mib": round(statistics.median(closed) - statistics.median(bare), 2),
    }


def worker(**environ: str) -> float:
    with server(workers=1, threads=8, **environ) as target:
        for _ in range(REQUESTS):
            for view in MEASURED:
                target.get(view)
        return resident(target.report()["pid"])
