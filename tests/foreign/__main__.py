"""The test suites of others, with every application behind StageDoor while a client is attached: ``python tests/foreign``.

Each suite is taken from its source archive, in the version that is installed, and runs bare and wrapped. A test with
another outcome, a warning that comes only when wrapped, and a pause make the exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Not this folder, whose modules have everyday names.
sys.path[0:1] = [str(ROOT / "src"), str(ROOT / "tests")]

from foreign.archives import NotToBeHad, needed, unpacked  # noqa: E402
from foreign.comparison import differences, flaky  # noqa: E402
from foreign.runs import BARE, Run, RunFailed, run  # noqa: E402
from foreign.suites import SUITES, Suite  # noqa: E402

_HEAD = f"{'suite':<10}{'tests':>7}{'requests':>10}{'debugged':>10}{'visitors':>10}{'bare s':>8}{'wrapped s':>11}  differences"

#: What is counted, and must not be there.
_NEVER = {
    "visitors debugged": "requests of visitors were debugged",
    "visitors told": "visitors were told of the window",
}


def compare(suite: Suite, once: Callable[[str], Run], mode: str) -> tuple[str, list[str], int]:
    """Run a suite bare and wrapped; returns its row of the table, what is wrong, and how many tests went through a door."""
    bare, wrapped = once(BARE), once(mode)
    found = differences(bare.tests, wrapped.tests)
    more_warnings = wrapped.warnings - bare.warnings
    by_themselves: frozenset[str] = frozenset()
    if found or more_warnings:
        again = once(BARE)
        by_themselves = flaky(bare.tests, again.tests)
        more_warnings -= again.warnings
    said = [f"  {test}: differs between two bare runs, flaky by itself" for test in sorted(by_themselves)]
    wrong = [
        f"  {test}: {one} bare, {other} wrapped\n{wrapped.reasons.get(test, '')}"
        for test, one, other in found
        if test not in by_themselves
    ]
    wrong += [f"  a warning that comes only when wrapped: {text}" for text in sorted(more_warnings)]
    wrong += [f"  a pause that nobody wanted: {stop}" for stop in wrapped.stops]
    counted = wrapped.counted
    wrong += [f"  {counted[name]} {what}" for name, what in _NEVER.items() if counted.get(name)]
    # A server of one thread (wsgiref's) is refused, and the response says so, where the application makes one.
    undebugged = counted["matching"] - counted["debugged"] - counted["refused"]
    if not counted["debugged"] or undebugged > counted["matching"] - counted["answered"]:
        wrong.append(
            f"  {undebugged} of {counted['matching']} matching requests were not debugged, and nothing said why"
        )
    row = (
        f"{suite.name:<10}{len(bare.tests):>7}{counted['requests']:>10}{counted['debugged']:>10}{counted['visitors']:>10}"
        f"{bare.seconds:>8.0f}{wrapped.seconds:>11.0f}  {len(wrong)}"
        + (f" ({len(by_themselves)} flaky by themselves)" if by_themselves else "")
    )
    for line in [*said, *wrong]:
        print(line, file=sys.stderr, flush=True)
    return row, wrong, counted["debugged"]


def arguments() -> argparse.Namespace:
    names = [suite.name for suite in SUITES]
    parser = argparse.ArgumentParser(prog="python tests/foreign", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of: {', '.join(names)}")
    parser.add_argument("--debugger", choices=("gatekeeper", "listen"), default="gatekeeper", help="the back end")
    parser.add_argument(
        "--visitors-every", type=int, default=4, metavar="N",
        help="each Nth request comes from an address that is not allowed; default 4",
    )  # fmt: skip
    parser.add_argument(
        "--patience",
        type=float,
        default=900,
        metavar="SECONDS",
        help="how long one run of a suite may take; default 900",
    )
    parser.add_argument("--archives", type=Path, metavar="FOLDER", help="keep what is fetched there, for the next time")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    mode = f"{options.debugger}:{options.visitors_every}"
    wrong: list[str] = []
    rows: list[str] = []
    debugged = 0
    with tempfile.TemporaryDirectory(prefix="foreign-") as temporary:
        folder = (options.archives or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for suite in SUITES:
            if options.only and suite.name not in options.only:
                continue
            print(f"{suite.name} ...", file=sys.stderr, flush=True)
            for argument, why in suite.left_out:
                print(f"  {argument}: {why}", file=sys.stderr)
            try:
                where, modules = unpacked(suite, folder), needed(folder)
            except NotToBeHad as reason:
                rows.append(f"{suite.name:<10} left out: {reason}")
                continue
            try:
                once = lambda mode: run(suite, where, modules, mode, options.patience)  # noqa: E731, B023
                row, trouble, looked = compare(suite, once, mode)
            except RunFailed as failure:
                wrong.append(str(failure))
                print(failure, file=sys.stderr)
                rows.append(f"{suite.name:<10} did not come to its end")
                continue
            rows.append(row)
            wrong += trouble
            debugged += looked
    print(f"Python {sys.version.split()[0]}, back end {options.debugger}", _HEAD, *rows, sep="\n")
    print(f"{debugged} requests ran under the debugger; {len(wrong)} differences.")
    return 1 if wrong or not debugged else 0


if __name__ == "__main__":
    sys.exit(main())
