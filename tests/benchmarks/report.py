"""The results as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.measuring import NOISY, is_noisy
from benchmarks.table import ratio, seconds, table
from benchmarks.targets import TARGETS
from benchmarks.workloads import LABELS

Result = dict[str, Any]


def text(results: list[Result]) -> str:
    """What one run has found, or several, on a Python each."""
    parts: list[str] = []
    for result in results:
        machine = result["machine"]
        parts.append(
            f"# Python {machine['python']}\n\n{machine['system']}, {machine['processors']} processors, load"
            f" {machine['load']} at the start; took {result['seconds']:.0f} s.{noise(result)}"
        )
        parts += [SECTIONS[name](section) for name, section in result["sections"].items()]
    return "\n\n".join([*parts, targets(results)])


def noise(result: Result) -> str:
    """How far the figures can be believed."""
    said = " Quick: only shows that it works." if result["quick"] else ""
    section = result["sections"].get("side_by_side")
    if section is not None:
        spread = ", ".join(f"{label} {section['spread'][view]:.0%}" for view, label in LABELS.items())
        control = ", ".join(f"{label} {section['control'][view]:.3f}" for view, label in LABELS.items())
        said += f"\nSpread of the bare application's own runs: {spread}. Its ratio to itself: {control}."
    if is_noisy(result["sections"]):
        said += (
            f"\nTOO NOISY: above a spread of {NOISY:.0%} this machine did too much else. Run it again when it is quiet."
        )
    return said


def side_by_side(section: Any) -> str:
    header = ["ratio to the bare application (quartiles)", *LABELS.values(), "page, processor", "loop, processor"]
    rows = [
        [
            row["state"],
            *(ratio(row[view]["ratio"]) for view in LABELS),
            *(f"{row[view]['processor_ratio']['median']:.2f}" for view in ("/page", "/hot")),
        ]
        for row in section["rows"]
    ]
    figures = [[row["state"], *(seconds(row[view]["seconds"]["median"]) for view in LABELS)] for row in section["rows"]]
    return (
        f"## Side by side: {section['rounds']} interleaved rounds\n\n{table(header, rows)}\n\n"
        f"{table(['a request (median)', *LABELS.values()], figures)}"
    )


def per_request(section: Any) -> str:
    rows = []
    for row in section["rows"]:
        ns, spread, more = (f"{row[name]:.0f}" for name in ("ns", "spread_ns", "more_than_empty_ns"))
        rows.append([row["variant"], ns, spread, f"{row['ratio_to_empty']:.2f}", more])
    header = ["middleware alone", "ns", "spread", "ratio to empty", "more than empty, ns"]
    return f"## A request that is not debugged\n\n{table(header, rows)}"


def load(section: Any) -> str:
    rows = []
    for row in section["rows"]:
        cells = [f"{row['throughput']['median']:.0f}", f"{row['p50']['median']:.1f}", f"{row['p99']['median']:.1f}"]
        rows.append([row["phase"], *cells, *(ratio(row[f"{name}_ratio"]) for name in ("throughput", "p50", "p99"))])
    header = ["phase of a session", "requests/s", "p50 ms", "p99 ms", "ratio of throughput", "of p50", "of p99"]
    return (
        f"## Under load: {section['server']}, {section['generator']}, {section['paused']} requests paused during"
        f" a session, {section['sessions']} sessions\n\n{table(header, rows)}"
    )


def growth(section: Any) -> str:
    tables = []
    for rows in section.values():
        cells = [[ratio(value) if isinstance(value, dict) else value for value in row.values()] for row in rows]
        tables.append(table([name.replace("_", " ") for name in rows[0]], cells))
    return "## How it grows\n\n" + "\n\n".join(tables)


def gatekeeper(section: Any) -> str:
    rows = [[row["measured"], f"{row['median']:.2f}", f"{row['largest']:.2f}"] for row in section["rows"]]
    return f"## The gatekeeper and a worker\n\n{table(['measured', 'median', 'largest'], rows)}"


def memory(section: Any) -> str:
    rows = [
        ["bare application", f"{section['bare_mib']:.1f}"],
        ["closed, more than bare", f"{section['closed_more_mib']:.1f}"],
        ["after a window, more than bare", f"{section['after_more_mib']:.1f}"],
    ]
    return f"## Memory of a worker\n\n{table(['resident', 'MiB'], rows)}"


def targets(results: list[Result]) -> str:
    measured = [f"Python {result['machine']['python']}" for result in results]
    rows = [
        [target.what, target.at_most, *(target.cell(result["sections"]) for result in results)] for target in TARGETS
    ]
    return f"## Targets\n\n{table(['cost', 'at most', *measured], rows)}"


SECTIONS: dict[str, Callable[[Any], str]] = {
    "side_by_side": side_by_side,
    "per_request": per_request,
    "load": load,
    "growth": growth,
    "gatekeeper": gatekeeper,
    "memory": memory,
}
