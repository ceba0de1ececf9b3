"""What the middleware costs a request that is not debugged: ``python tests/benchmarks/per_request.py [--json]``.

All variants are measured interleaved in one run, and compared round by round with an empty middleware of the same kind,
so that a machine that is slower for a while is slower for all of them. Processor time, because nothing here waits.
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

#: Requests of one variant in one round, and rounds. About 2 seconds altogether.
CALLS, ROUNDS, WARM_UP = 4_000, 61, 3
#: Targets, in nanoseconds more than the empty middleware.
TARGET_CLOSED, TARGET_OPEN = 80, 500

EMPTY = "empty middleware"
EMPTY_OTHERS = "empty middleware, every request from another address"

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


ENVIRON: Environ = {
    "REQUEST_METHOD": "GET",
    "PATH_INFO": "/checkout",
    "QUERY_STRING": "",
    "REMOTE_ADDR": "",
    "SERVER_NAME": "staging",
    "SERVER_PORT": "80",
    "HTTP_HOST": "staging",
    "HTTP_USER_AGENT": "Mozilla/5.0",
    "HTTP_COOKIE": "session=abc",
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
}


def door(networks: int, *, is_open: bool) -> StageDoor:
    allow = [f"100.{number // 256}.{number % 256}.0/28" for number in range(networks)]
    made = StageDoor(application, allow=allow, switch="memory")
    if is_open:
        made.open(timedelta(hours=1))
    return made


def same_address(number: int) -> list[str]:
    return ["203.0.113.7"] * CALLS


def other_addresses(number: int) -> list[str]:
    """Addresses that no request has come from before, as strings that nobody has seen before, as from a server."""
    numbers = range(number * CALLS, (number + 1) * CALLS)
    return [f"10.{address >> 16}.{address >> 8 & 255}.{address & 255}" for address in numbers]


def neighbours(number: int) -> list[str]:
    """As above, but next to those that 1,000 networks allow, where the search takes longest."""
    numbers = range(number * CALLS, (number + 1) * CALLS)
    return [f"100.{place // 240 >> 8 & 3}.{place // 240 & 255}.{16 + place % 240}" for place in numbers]


def variants() -> dict[str, tuple[Callable[..., Any], Callable[[int], list[str]]]]:
    return {
        "bare application": (application, same_address),
        EMPTY: (EmptyMiddleware(application), same_address),
        "closed": (door(1, is_open=False), same_address),
        "open, not matching, 1 network": (door(1, is_open=True), same_address),
        "open, not matching, 1,000 networks": (door(1000, is_open=True), same_address),
        EMPTY_OTHERS: (EmptyMiddleware(application), other_addresses),
        "open, every request from another address, 1 network": (door(1, is_open=True), other_addresses),
        "open, every request from another address, 1,000 networks": (door(1000, is_open=True), other_addresses),
        "open, every request from another address beside 1,000 networks": (door(1000, is_open=True), neighbours),
    }


def measure(rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Nanoseconds of processor time a request, for each variant and round."""
    measured = variants()
    times: dict[str, list[float]] = {name: [] for name in measured}
    gc.collect()
    gc.disable()
    for number in range(WARM_UP + rounds):
        for name, (call, addresses) in measured.items():
            taken = time_calls(call, addresses(number))
            if number >= WARM_UP:
                times[name].append(taken)
    gc.enable()
    return times


def time_calls(call: Callable[..., Any], addresses: list[str]) -> float:
    environ = ENVIRON.copy()
    started = time.thread_time_ns()
    for address in addresses:
        environ["REMOTE_ADDR"] = address
        call(environ, start_response)
    return (time.thread_time_ns() - started) / len(addresses)


def summary(times: dict[str, list[float]]) -> list[dict[str, Any]]:
    rows = []
    for name, taken in times.items():
        empty = times[EMPTY_OTHERS if "another address" in name else EMPTY]
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
    lines = [f"{'variant':62} {'ns':>8} {'spread':>7} {'ratio':>6} {'more':>7}  target"]
    for row in rows:
        target = "" if row["target_ns"] is None else f"{row['target_ns']:>4} {'met' if row['met'] else 'MISSED'}"
        lines.append(
            f"{row['variant']:62} {row['ns']:8.0f} {row['spread_ns']:7.0f} {row['ratio_to_empty']:6.2f} "
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
