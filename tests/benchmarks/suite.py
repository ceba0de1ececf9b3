"""Every run as a suite of `pyperf <https://pyperf.readthedocs.io>`_'s: ``python -m pyperf check FILE`` tells how stable the
machine was, ``python -m pyperf compare_to BEFORE AFTER --table`` what a change has done.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyperf

from benchmarks.workloads import LABELS


def write_suite(result: dict[str, Any], path: Path) -> None:
    """Write the runs of the states side by side, with what pyperf finds out about the machine.

    :raises ValueError: if they were not measured.
    """
    section = result["sections"].get("side_by_side")
    if section is None:
        raise ValueError("Only side_by_side makes a suite, and it was not measured.")
    runs = [
        pyperf.Run(row[view]["runs"], metadata={"name": f"{label}: {row['state']}", "unit": "second"})
        for view, label in LABELS.items()
        for row in section["rows"]
    ]
    pyperf.BenchmarkSuite([pyperf.Benchmark([run]) for run in runs]).dump(str(path), replace=True)
