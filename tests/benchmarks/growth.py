"""How the costs grow: with networks on the allowlist, with breakpoints, with threads, with workers."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import per_request
from benchmarks.gatekeeper import milliseconds_to_nothing
from benchmarks.generators import generator
from benchmarks.load import CONNECTIONS, server
from benchmarks.measuring import Figure, ratios
from benchmarks.states import BARE, PAUSED, STATES, State, all_at_once, attach, bare, door
from benchmarks.twins import Twin, no_garbage_collection
from benchmarks.workloads import add_many_steps

NETWORKS = (1, 10, 100, 1000)
BREAKPOINTS = (1, 10, 100, 500)
THREADS = (1, 4, 16, 64)
WORKERS = (1, 2, 4, 8)

Rows = list[dict[str, Any]]


def measure(*, quick: bool = False) -> dict[str, Rows]:
    """A table for each of what may grow."""
    few = slice(None, None, 3) if quick else slice(None)  # The smallest and the largest.
    rounds = 3 if quick else 15
    return {
        "breakpoints": by_breakpoints(BREAKPOINTS[few], rounds),
        "threads": by_threads(THREADS[few], rounds),
        "networks": by_networks(NETWORKS[few], rounds),
        "workers": by_workers(WORKERS[:2] if quick else WORKERS, seconds=0.5 if quick else 1.5),
    }


def by_networks(numbers: tuple[int, ...], rounds: int) -> Rows:
    """Nanoseconds more than an empty middleware, open and not matching."""
    empty = per_request.EmptyMiddleware(per_request.application)
    doors = {number: per_request.door(number, is_open=True) for number in numbers}
    more: dict[tuple[int, Callable[[int], list[str]]], list[float]] = {}
    with no_garbage_collection():
        for count in range(rounds):
            for addresses in (per_request.same_address, per_request.other_addresses):
                base = per_request.time_calls(empty, addresses(count))
                for number, made in doors.items():
                    taken = per_request.time_calls(made, addresses(count))
                    more.setdefault((number, addresses), []).append(taken - base)
    return [
        {
            "networks": number,
            "same_address_ns": round(statistics.median(more[number, per_request.same_address])),
            "other_addresses_ns": round(statistics.median(more[number, per_request.other_addresses])),
        }
        for number in numbers
    ]


def by_breakpoints(numbers: tuple[int, ...], rounds: int) -> Rows:
    """The ratio to the bare application of a page whose functions hold so many breakpoints, and what setting them takes."""
    with TemporaryDirectory() as folder:
        wanted = add_many_steps(Path(folder), numbers[-1])
        milliseconds: dict[int, float] = {}

        def set_breakpoints(number: int, twin: Twin, port: int, cleanup: ExitStack) -> None:
            ide = attach(twin, port, cleanup)
            started = time.perf_counter()
            ide.set_breakpoints({file: lines[:number] for file, lines in wanted.items()})
            milliseconds[number] = (time.perf_counter() - started) * 1000
            # A matching request has run over all of them.
            twin.ask("send", "/steps", True)
            twin.ask("answered")

        states = [State(str(number), door, functools.partial(set_breakpoints, number)) for number in numbers]
        with all_at_once([State(BARE, bare), *states]) as twins:
            taken = {name: [twin.ask("time", "/steps", 24)[0]] for name, twin in twins.items()}
            for _ in range(rounds):
                for name, twin in twins.items():
                    taken[name].append(twin.ask("time", "/steps", 24)[0])
    return [
        {
            "breakpoints": number,
            "ratio": Figure.of(ratios(taken[str(number)][1:], taken[BARE][1:])).fields(),
            "set_ms": round(milliseconds[number]),
        }
        for number in numbers
    ]


def by_threads(numbers: tuple[int, ...], rounds: int) -> Rows:
    """The ratio to the bare application with so many threads, which are started while matching requests are paused."""
    with all_at_once([state for state in STATES if state.name in (BARE, PAUSED)]) as twins:
        rows: Rows = []
        for number in numbers:
            taken: dict[str, list[float]] = {name: [] for name in twins}
            for _ in range(rounds):
                for name, twin in twins.items():
                    taken[name].append(twin.ask("time_threads", "/page", max(1, 32 // number), number))
            rows.append({"threads": number, "ratio": Figure.of(ratios(taken[PAUSED], taken[BARE])).fields()})
    return rows


def by_workers(numbers: tuple[int, ...], seconds: float) -> Rows:
    """Requests under load while three are paused, to those before, and the time from the window's end to nothing left."""
    rows: Rows = []
    for number in numbers:
        with server(workers=number, threads=4) as target:
            load = generator(target.port, "/page", CONNECTIONS)
            load.run(seconds / 2)
            before = load.run(seconds)
            ide = target.ready("view")
            pending = [target.start_get("/view?mine") for _ in range(3)]
            stops = [ide.stopped() for _ in pending]
            during = load.run(seconds)
            for stop in stops:
                stop.resume()
            for each in pending:
                each.answer()
            answered, gone = milliseconds_to_nothing(target, ide)
            rows.append(
                {
                    "workers": number,
                    "throughput_ratio": round(during.throughput / before.throughput, 3),
                    "p99_ratio": round(during.p99 / before.p99, 3),
                    "answered_ms": round(answered),
                    "gone_ms": round(gone),
                }
            )
    return rows
