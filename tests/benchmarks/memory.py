"""Resident memory of a worker: of the bare application, with the closed middleware, and after a window.

The application is the one that everything else is measured with. What it has loaded already, such as OpenSSL (1.8 MiB),
Stagedoor and debugpy do not load again.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.crowded import resident
from benchmarks.gatekeeper import milliseconds_to_stop
from support.gatekeepers import GatedServer

SAMPLES, REQUESTS = 5, 50


def measure(*, quick: bool = False) -> dict[str, Any]:
    """MiB: medians of several workers of each kind, each of which has served the same requests."""
    samples = 1 if quick else SAMPLES
    bare = statistics.median(worker(STAGEDOOR_TESTS_BARE="1")[0] for _ in range(samples))
    closed, after = (statistics.median(column) for column in zip(*(worker() for _ in range(samples)), strict=True))
    return {
        "bare_mib": round(bare, 2),
        "closed_more_mib": round(closed - bare, 2),
        "after_more_mib": round(after - bare, 2),
    }


def worker(**environ: str) -> tuple[float, float]:
    """A new worker's memory while closed, and after a window with a pause if it has Stagedoor around it."""
    with tempfile.TemporaryDirectory() as folder:
        application = "benchmarks.workloads:application"
        server = GatedServer(Path(folder), "gunicorn", options="workers=1 threads=8", app=application, **environ)
        try:
            for _ in range(REQUESTS):
                server.get("/page")
            pid = server.report()["pid"]
            closed = resident(pid)
            if not environ:
                milliseconds_to_stop(server, server.ready("view"))
                server.switch.close()
                server.wait_until_gone(timeout=5)
            return closed, resident(pid)
        finally:
            server.stop()
