"""The benchmarks work, and their tables say what was measured. No time is asserted here."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from benchmarks import crowded, gatekeeper, workloads
from benchmarks.generators import Connections
from benchmarks.measuring import Figure, is_noisy
from benchmarks.report import text
from benchmarks.states import AFTER, AGAIN, ATTACHED, BARE, CLOSED, CROWDED, PAUSED
from benchmarks.table import ratio, seconds, table
from benchmarks.targets import TARGETS, Target
from conftest import Serve
from support.modules import ROOT

BENCHMARKS = ROOT / "tests" / "benchmarks"


def benchmarks(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, BENCHMARKS, *arguments], capture_output=True, text=True, timeout=120)


def a_figure(median: float) -> dict[str, float]:
    return {"median": median, "low": median - 0.01, "high": median + 0.01}


def a_result(*, ratio_attached: float = 1.0, on_processor: float = 1.0, spread: float = 0.01) -> dict[str, Any]:
    """A run's, in which ``side_by_side`` has been measured."""

    def row(state: str, wall: float = 1.0, processor: float = 1.0) -> dict[str, Any]:
        figures = {"seconds": a_figure(0.1), "ratio": a_figure(wall), "processor_ratio": a_figure(processor)}
        return {"state": state} | {view: figures | {"runs": [0.1, 0.1]} for view in workloads.MEASURED}

    rows = [row(BARE), row(AGAIN), row(CLOSED), row(ATTACHED, ratio_attached, on_processor)]
    rows += [row(CROWDED), row(PAUSED), row(AFTER)]
    everywhere = dict.fromkeys(workloads.MEASURED, spread)
    section = {"rounds": 60, "rows": rows, "spread": everywhere, "control": dict.fromkeys(workloads.MEASURED, 1.0)}
    machine = {"python": "3.13.0", "system": "Linux", "processors": 2, "load": 0.1}
    return {"machine": machine, "quick": False, "seconds": 1.0, "sections": {"side_by_side": section}}


def test_one_command_prints_the_ratios_and_what_became_of_the_targets(tmp_path: Path) -> None:
    said = benchmarks("--quick", "--only", "per_request", "--json", tmp_path / "found.json")
    assert said.returncode == 0, said.stderr
    rows = [line.strip("|").split("|") for line in said.stdout.splitlines() if line.startswith("|")]
    found = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    assert float(found["empty middleware"][2]) == 1.0
    assert float(found["closed"][2]) > 1.0
    assert all(target.what in found for target in TARGETS)
    assert found["closed, more than an empty middleware"][1].split()[-1] in ("met", "MISSED")
    assert found["p99 under load, three paused, to that before"][1] == "not measured"
    assert json.loads((tmp_path / "found.json").read_text())["sections"].keys() == {"per_request"}


def test_what_was_measured_before_is_shown_and_drawn_without_measuring(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (the extra bench)")
    (tmp_path / "found.json").write_text(json.dumps(a_result(ratio_attached=1.5)))
    pictures = [tmp_path / "first.svg", tmp_path / "second.svg"]
    for picture in pictures:
        said = benchmarks("--show", tmp_path / "found.json", tmp_path / "found.json", "--plot", picture)
        assert said.returncode == 0, said.stderr
    assert said.stdout.count("# Python 3.13.0\n") == 2
    drawn = ElementTree.parse(pictures[0]).getroot()
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert ATTACHED in texts
    assert texts.count("1.50") == 2 * len(workloads.MEASURED)
    assert pictures[0].read_bytes() == pictures[1].read_bytes(), "the picture changes though the figures do not"


def test_an_option_that_needs_the_extra_says_so_before_it_measures() -> None:
    without_it = f"""if True:
        import runpy, sys
        sys.modules["matplotlib"] = None
        sys.argv = ["benchmarks", "--plot", "never.svg"]
        runpy.run_path({str(BENCHMARKS)!r}, run_name="__main__")"""
    said = subprocess.run([sys.executable, "-c", without_it], capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stderr) == (2, 'matplotlib is not installed: pip install -e ".[bench]"\n')


def test_the_page_is_about_2000_calls_and_every_view_has_a_line_to_stop_at() -> None:
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    environ = workloads.make_environ("/page")
    workloads.serve(workloads.application, environ)
    sys.setprofile(count)
    try:
        workloads.serve(workloads.application, environ)
    finally:
        sys.setprofile(None)
    assert 1800 < calls < 2300
    for view, function in workloads.MEASURED.items():
        first = function.__code__.co_firstlineno
        assert first < workloads.stop_line(view) <= first + 3


def test_the_bare_application_has_nothing_of_stagedoor() -> None:
    script = "import sys, benchmarks.workloads; print([name for name in sys.modules if 'stagedoor' in name])"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=BENCHMARKS.parent)
    assert said.stdout == "[]\n", said.stderr


@pytest.mark.parametrize(
    ("result", "cell"),
    [
        pytest.param(a_result(ratio_attached=1.02), "1.02x met", id="at the limit"),
        pytest.param(a_result(ratio_attached=1.0249), "1.02x met", id="at the limit as it is shown"),
        pytest.param(a_result(ratio_attached=1.2, on_processor=1.2), "1.20x MISSED", id="over it on a quiet machine"),
        pytest.param(
            a_result(ratio_attached=1.2, on_processor=1.01),
            "1.20x met by processor time, 1.01x",
            id="over it only because something else had the processor",
        ),
        pytest.param(
            a_result(ratio_attached=1.2, on_processor=1.2, spread=0.11),
            "1.20x missed, but too noisy to tell",
            id="over it on a noisy machine",
        ),
        pytest.param({"sections": {}}, "not measured", id="left out"),
    ],
)
def test_verdicts(result: dict[str, Any], cell: str) -> None:
    (target,) = (target for target in TARGETS if target.what == "attached, not matching: page")
    assert target.cell(result["sections"]) == cell


def test_memory_and_nanoseconds_on_the_processor_are_missed_on_a_noisy_machine_too() -> None:
    noisy = a_result(spread=0.5)["sections"]
    for unit in ("ns", "MiB"):
        target = Target("cost", 3, unit, "side_by_side", lambda section: 4.0)
        assert target.cell(noisy) == f"4 {unit} MISSED"


def test_a_noisy_machine_is_named_as_such() -> None:
    assert is_noisy(a_result(spread=0.11)["sections"])
    assert "TOO NOISY" in text([a_result(spread=0.11)])
    assert "TOO NOISY" not in text([a_result(spread=0.09)])


def test_a_figure_is_the_median_with_its_quartiles() -> None:
    assert Figure.of([5.0, 1.0, 4.0, 2.0, 3.0]) == Figure(3.0, 2.0, 4.0)
    assert Figure.of([1.5]) == Figure(1.5, 1.5, 1.5)
    assert Figure(4.0, 3.0, 5.0).spread == 0.5


def test_figures_are_written_for_people() -> None:
    assert ratio({"median": 1.004, "low": 0.999, "high": 1.02}) == "1.00 (1.00-1.02)"
    assert ratio({"median": 98.4, "low": 97.6, "high": 101.0}) == "98 (98-101)"
    assert [seconds(value) for value in (2.5, 0.0123, 4.5e-6, 3.2e-7)] == ["2.5 s", "12.3 ms", "4.5 µs", "320 ns"]
    assert table(["what", "n"], [["a", 10], ["bcdef", 2]]).splitlines() == [
        "| what  |  n |",
        "| ----- | -: |",
        "| a     | 10 |",
        "| bcdef |  2 |",
    ]


def test_a_load_is_counted_and_a_failed_request_fails_the_run(serve: Serve) -> None:
    server = serve("waitress")
    found = Connections(server.port, "/hello", 4).run(0.2)
    assert found.throughput > 4
    assert 0 < found.p50 <= found.p99 < 10_000
    with pytest.raises(RuntimeError, match="500"):
        Connections(server.port, "/failing", 2).run(0.2)


def test_a_load_goes_on_where_the_server_closes_connections(serve: Serve) -> None:
    server = serve("gunicorn", STAGEDOOR_TESTS_OPTIONS="workers=1 threads=2 keepalive=0")
    # Each of the four connections that the server closes is made again: more answers come than there were connections.
    load = Connections(server.port, "/hello", 4).run(2.0)
    assert load.throughput * 2.0 > 3 * 4


def test_the_paused_state_has_the_name_that_its_target_looks_for() -> None:
    (target,) = (target for target in TARGETS if target.what.startswith("while matching requests are paused"))
    row = {"state": PAUSED} | {view: {"ratio": a_figure(1.25)} for view in workloads.MEASURED}
    assert target.find({"rows": [row]}) == 1.25


def test_every_target_of_the_gatekeeper_finds_its_row() -> None:
    """With so few samples that the figures mean little: what is measured is there, and is a figure."""
    samples = gatekeeper.measure(windows=1, workers=1)
    rows = gatekeeper.summary(samples)
    assert len({row["measured"] for row in rows}) == len(rows)
    # A gatekeeper with more to keep may be smaller by chance, and a worker's memory too.
    assert all(row["median"] > 0 for row in rows if row["measured"].endswith(", ms"))
    for target in TARGETS:
        if target.section == "gatekeeper":
            assert isinstance(target.find({"rows": rows}), float)


def test_a_gatekeeper_has_the_sessions_and_workers_that_are_measured() -> None:
    assert 5 < crowded.megabytes(sessions=3, workers=3) < 200
