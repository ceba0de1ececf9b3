"""The same application in every state, side by side: the table of ratios."""

from __future__ import annotations

from typing import Any

from benchmarks.measuring import Figure, as_fields, ratios
from benchmarks.states import AGAIN, BARE, STATES, all_at_once
from benchmarks.workloads import MEASURED

#: Requests of one state in one round: about 10 ms each, so that no round of one meets another machine than that of the next.
REQUESTS = {"/page": 24, "/hot": 12, "/hello": 4000}
ROUNDS, WARM_UP = 60, 3


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Seconds a request, and the ratio to the bare application's, for each state and view."""
    times = take(5 if quick else ROUNDS, 1 if quick else WARM_UP)
    rows = []
    for state in STATES:
        row: dict[str, Any] = {"state": state.name}
        for view in MEASURED:
            taken, bare = times[state.name, view], times[BARE, view]
            row[view] = {
                "seconds": as_fields(Figure.of(taken)),
                "ratio": as_fields(Figure.of(ratios(taken, bare))),
            }
        rows.append(row)
    return {
        "rounds": len(times[BARE, "/page"]),
        "rows": rows,
        "spread_of_bare": {view: round(Figure.of(times[BARE, view]).spread, 4) for view in MEASURED},
        "control": {view: round(Figure.of(ratios(times[AGAIN, view], times[BARE, view])).median, 4) for view in MEASURED},
    }


def take(rounds: int, warm_up: int) -> dict[tuple[str, str], list[float]]:
    times: dict[tuple[str, str], list[float]] = {(state.name, view): [] for state in STATES for view in MEASURED}
    with all_at_once() as twins:
        for number in range(warm_up + rounds):
            # Every round begins with another state: none always comes after the same one.
            first = number % len(STATES)
            for view, requests in REQUESTS.items():
                for state in STATES[first:] + STATES[:first]:
                    taken = twins[state.name].ask("time", view, max(1, requests // state.slow))
                    if number >= warm_up:
                        times[state.name, view].append(taken)
    return times
