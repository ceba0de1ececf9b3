"""Requests of others under load: before, during and after a session in which three requests are paused."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.generators import Load, generator
from benchmarks.measuring import Figure, ratios
from benchmarks.workloads import breakpoints
from support.gatekeepers import GatedServer

#: The second one shows how much two phases differ in which nothing is different.
PHASES = ("before", "before, again", "during", "after")
CONNECTIONS, PAUSED = 64, 3
#: Servers, and the seconds of one phase.
SERVERS, SECONDS = 5, 2.5


@contextmanager
def server(workers: int, threads: int, **environ: str) -> Iterator[GatedServer]:
    """gunicorn with the measured application behind Stagedoor."""
    with tempfile.TemporaryDirectory() as folder:
        # Else it is by chance how many connections each worker gets, from half of them to all. That makes more of a
        # difference from one phase to the next than everything that is measured here. A few are for the paused ones.
        fair = CONNECTIONS // workers + 8
        options = f"workers={workers} threads={threads} worker_connections={fair}"
        made = GatedServer(Path(folder), options=options, app="benchmarks.workloads:application", **environ)
        try:
            yield made
        finally:
            made.stop()


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Throughput and latency of requests that do not match, by phase, and the ratios to the phase before."""
    connections, servers, seconds = (16, 2, 0.5) if quick else (CONNECTIONS, SERVERS, SECONDS)
    taken: defaultdict[str, list[Load]] = defaultdict(list)
    name = ""
    for _ in range(servers):
        with server(workers=2, threads=8) as target:
            load = generator(target.port, "/page", connections)
            name = load.name
            load.run(seconds / 2)
            taken["before"].append(load.run(seconds))
            taken["before, again"].append(load.run(seconds))
            ide = target.ready(breakpoints=breakpoints())
            pending = [target.start_get("/page") for _ in range(PAUSED)]
            for _ in pending:
                ide.stopped()
            taken["during"].append(load.run(seconds))
            assert not any(each.done for each in pending)
            target.switch.close()
            for each in pending:
                assert each.answer().status == 200
            target.wait_until_gone(timeout=5)
            taken["after"].append(load.run(seconds))
    return {
        "server": "gunicorn -w 2 --threads 8",
        "generator": name,
        "paused": PAUSED,
        "sessions": servers,
        "rows": [row(phase, taken) for phase in PHASES],
    }


def row(phase: str, taken: dict[str, list[Load]]) -> dict[str, Any]:
    fields: dict[str, Any] = {"phase": phase}
    for measured in Load._fields:
        values = [getattr(load, measured) for load in taken[phase]]
        before = [getattr(load, measured) for load in taken["before"]]
        fields[measured] = Figure.of(values).fields()
        fields[f"{measured}_ratio"] = Figure.of(ratios(values, before)).fields()
    return fields
