"""What the middleware costs a request that is not debugged: ``python tests/benchmarks/per_request.py [--json]``.

All variants are measured interleaved in one run, and compared round by round with an empty middleware of the same kind,
so that a machine that is slower for a while is slower for all of them.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from stagedoor import StageDoor  # noqa: E402

#: Requests of one variant in one round, and rounds. About 8 seconds altogether.
CALLS, ROUNDS = 4_000, 61
#: No address is seen again until this many other sets of them were: more than are remembered anywhere.
ADDRESS_SETS = 10
#: Targets, in nanoseconds more than the empty middleware.
TARGET_CLOSED, TARGET_OPEN = 80, 500

Environ = dict[str, Any]


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    return ()


def start_response(status: str, headers: list[tuple[str, str]]) -> None:
    pass


class EmptyMiddleware:
    """The least that a middleware written as a class can do."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        return self._app(environ, start_response)  # type: ignore[no-any-return]


def environs(addresses: Iterable[str]) -> list[Environ]:
    common = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/checkout",
        "QUERY_STRING": "",
        "SERVER_NAME": "staging",
        "SERVER_PORT": "80",
        "HTTP_HOST": "staging",
        "HTTP_USER_AGENT": "Mozilla/5.0",
        "HTTP_COOKIE": "session=abc",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
    }
    return [common | {"REMOTE_ADDR": address} for address in addresses]


def door(networks: int, *, is_open: bool) -> StageDoor:
    allow = [f"100.{number // 256}.{number % 256}.0/28" for number in range(networks)]
    made = StageDoor(application, allow=allow, switch="memory")
    if is_open:
        made.open(timedelta(hours=1))
    return made


def variants() -> dict[str, tuple[Callable[..., Any], list[Environ]]]:
    same = environs(["203.0.113.7"] * CALLS)
    others = environs(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in range(CALLS * ADDRESS_SETS))
    return {
        "bare application": (application, same),
        "empty middleware": (EmptyMiddleware(application), same),
        "closed": (door(1, is_open=False), same),
        "open, not matching, 1 network": (door(1, is_open=True), same),
        "open, not matching, 1,000 networks": (door(1000, is_open=True), same),
        "open, every request from another address, 1 network": (door(1, is_open=True), others),
        "open, every request from another address, 1,000 networks": (door(1000, is_open=True), others),
    }


def measure() -> dict[str, list[float]]:
    """Nanoseconds a request, for each variant and round."""
    measured = variants()
    times: dict[str, list[float]] = {name: [] for name in measured}
    gc.collect()
    gc.disable()
    for number in range(ROUNDS + 3):
        for name, (call, requests) in measured.items():
            first = number * CALLS % len(requests)
            requests = requests[first : first + CALLS]
            started = time.perf_counter_ns()
            for environ in requests:
                call(environ, start_response)
            taken = (time.perf_counter_ns() - started) / CALLS
            if number >= 3:  # The first rounds warm up.
                times[name].append(taken)
    gc.enable()
    return times


def summary(times: dict[str, list[float]]) -> list[dict[str, Any]]:
    empty = times["empty middleware"]
    rows = []
    for name, taken in times.items():
        more = [one - base for one, base in zip(taken, empty, strict=True)]
        target = TARGET_CLOSED if name == "closed" else TARGET_OPEN if name.startswith("open") else None
        rows.append(
            {
                "variant": name,
                "ns": round(statistics.median(taken), 1),
                "spread_ns": round(statistics.quantiles(taken, n=4)[2] - statistics.quantiles(taken, n=4)[0], 1),
                "ratio_to_empty": round(statistics.median(taken) / statistics.median(empty), 2),
                "more_than_empty_ns": round(statistics.median(more), 1),
                "target_ns": target,
                "met": None if target is None else statistics.median(more) <= target,
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'variant':58} {'ns':>8} {'spread':>7} {'ratio':>6} {'more':>7}  target"]
    for row in rows:
        target = "" if row["target_ns"] is None else f"{row['target_ns']:>4} {'met' if row['met'] else 'MISSED'}"
        lines.append(
            f"{row['variant']:58} {row['ns']:8.0f} {row['spread_ns']:7.0f} {row['ratio_to_empty']:6.2f} "
            f"{row['more_than_empty_ns']:7.0f}  {target}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    rows = summary(measure())
    if arguments.json:
        print(json.dumps({"python": platform.python_version(), "rows": rows}, indent=2))
    else:
        print(f"Python {platform.python_version()}, nanoseconds a request, medians of {ROUNDS} interleaved rounds\n")
        print(table(rows))


if __name__ == "__main__":
    main()
