"""The same application in every state, side by side: the table of ratios."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.measuring import Figure, ratios
from benchmarks.states import AGAIN, BARE, STATES, all_at_once
from benchmarks.twins import Twin
from benchmarks.workloads import MEASURED

#: Requests of one state in one round: about 10 ms each, so that the next one meets the machine as this one did.
REQUESTS = {"/page": 24, "/hot": 12, "/hello": 4000}
ROUNDS, WARM_UP = 12, 2
#: Sets of twins, one after the other. Where a process has its memory makes a loop faster or slower by some percent, for
#: as long as it lives; so no state is judged by one process.
SETS = 6

#: Of one state and view: for each round, seconds a request, and those of them on a processor.
Times = dict[tuple[str, str], list[tuple[float, float]]]


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Each state's seconds a request, and their ratios to the bare application's of the same round, by view."""
    times = take(1, 5, 1) if quick else take(SETS, ROUNDS, WARM_UP)
    rows: list[dict[str, Any]] = []
    for state in STATES:
        row: dict[str, Any] = {"state": state.name}
        for view in MEASURED:
            seconds, on_processor = columns(times[state.name, view])
            bare, bare_on_processor = columns(times[BARE, view])
            row[view] = {
                "seconds": Figure.of(seconds).fields(),
                "ratio": Figure.of(ratios(seconds, bare)).fields(),
                "processor_ratio": Figure.of(ratios(on_processor, bare_on_processor)).fields(),
                "runs": [float(f"{one:.5g}") for one in seconds],
            }
        rows.append(row)
    return {
        "rounds": len(times[BARE, "/page"]),
        "rows": rows,
        "spread": {view: round(Figure.of(columns(times[BARE, view])[0]).spread, 4) for view in MEASURED},
        "control": {row["state"]: {view: row[view]["ratio"]["median"] for view in MEASURED} for row in rows}[AGAIN],
    }


def columns(times: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [seconds for seconds, _ in times], [on_processor for _, on_processor in times]


def take(sets: int, rounds: int, warm_up: int) -> Times:
    times: Times = {(state.name, view): [] for state in STATES for view in MEASURED}
    for _ in range(sets):
        with all_at_once(STATES) as twins:
            for number in range(warm_up + rounds):
                for key, taken in take_round(twins, number):
                    if number >= warm_up:
                        times[key].append(taken)
    return times


def take_round(twins: dict[str, Twin], number: int) -> Iterator[tuple[tuple[str, str], tuple[float, float]]]:
    """Each state and view once, with what it took. Every round begins with another state: none always comes after the
    same one.
    """
    first = number % len(STATES)
    for view, requests in REQUESTS.items():
        for state in STATES[first:] + STATES[:first]:
            yield (state.name, view), twins[state.name].ask("time", view, max(1, requests // state.slow))
