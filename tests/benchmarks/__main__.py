"""What Stagedoor costs the requests that are not debugged: ``python tests/benchmarks``. See the README."""

from __future__ import annotations

import argparse
import compileall
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
# Not this folder, whose modules have everyday names.
sys.path[0:1] = [str(ROOT / "src"), str(ROOT / "tests")]
# For the servers and twins that are started.
os.environ["PYTHONPATH"] = str(ROOT / "src")

from benchmarks import gatekeeper, growth, load, memory, per_request, side_by_side  # noqa: E402
from benchmarks.measuring import machine  # noqa: E402
from benchmarks.report import text  # noqa: E402


def measure_per_request(*, quick: bool = False) -> dict[str, Any]:
    return {"rows": per_request.summary(per_request.measure(5 if quick else per_request.ROUNDS))}


def measure_gatekeeper(*, quick: bool = False) -> dict[str, Any]:
    return {"rows": gatekeeper.summary(gatekeeper.measure(2 if quick else 50, 1 if quick else gatekeeper.SAMPLES))}


#: What can be measured, in the order in which it is: the smallest figures before this process has had much to do.
SECTIONS = {
    "per_request": measure_per_request,
    "side_by_side": side_by_side.measure,
    "growth": growth.measure,
    "load": load.measure,
    "memory": memory.measure,
    "gatekeeper": measure_gatekeeper,
}


def run(names: list[str], *, quick: bool) -> dict[str, Any]:
    """Measure these sections; the result is JSON-ready."""
    # As pip does it: else the servers and gatekeepers that are started would spend time and memory on it.
    compileall.compile_dir(ROOT / "src" / "stagedoor", quiet=2)
    result: dict[str, Any] = {"machine": machine(), "quick": quick, "sections": {}}
    started = time.monotonic()
    for name in names:
        print(f"{time.monotonic() - started:4.0f} s  {name} ...", file=sys.stderr, flush=True)
        result["sections"][name] = SECTIONS[name](quick=quick)
    result["seconds"] = round(time.monotonic() - started, 1)
    return result


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="take so few samples that the figures mean little")
    parser.add_argument(
        "--only", action="append", choices=SECTIONS, metavar="NAME", help=f"measure only this: {', '.join(SECTIONS)}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    parser.add_argument(
        "--pyperf", type=Path, metavar="FILE", help="write every run of side_by_side as a suite of pyperf's"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the table of ratios")
    parser.add_argument(
        "--show",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="measure nothing, but show what --json has written to these",
    )
    return parser.parse_args()


def main() -> int:
    options = arguments()
    logging.basicConfig(level=logging.ERROR)
    try:  # Now, and not after four minutes.
        if options.plot is not None:
            from benchmarks.plot import draw
        if options.pyperf is not None:
            from benchmarks.suite import write_suite
    except ModuleNotFoundError as missing:
        print(f'{missing.name} is not installed: pip install -e ".[bench]"', file=sys.stderr)
        return 2
    if options.show:
        results = [json.loads(file.read_text()) for file in options.show]
    else:
        results = [run([name for name in SECTIONS if name in (options.only or SECTIONS)], quick=options.quick)]
    print(text(results))
    if options.json is not None:
        options.json.write_text(json.dumps(results[0], indent=1) + "\n")
    if options.pyperf is not None:
        write_suite(results[0], options.pyperf)
    if options.plot is not None:
        draw(results, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
