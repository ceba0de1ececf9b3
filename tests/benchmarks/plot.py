"""The table of ratios as a picture: an SVG that is the same for the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot
from matplotlib.ticker import NullLocator

from benchmarks.states import AFTER, AGAIN, ATTACHED, BARE, CLOSED, OPEN, PAUSED, TODAY
from benchmarks.table import seconds
from benchmarks.workloads import LABELS

OURS = (CLOSED, OPEN, ATTACHED, PAUSED, AFTER)
COLOURS = {"/page": "#1f5f8b", "/hot": "#d1662a", "/hello": "#8a8f98"}
STYLE = {
    # Text stays text: smaller, and in the reader's own font.
    "svg.fonttype": "none",
    "svg.hashsalt": "stagedoor",
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Draw the states of one run, or of several side by side, into ``path``.

    :raises ValueError: if a run has not measured them.
    """
    sections = [result["sections"].get("side_by_side") for result in results]
    if not all(sections):
        raise ValueError("Only side_by_side is drawn, and it was not measured.")
    names = [name for name in all_states(sections) if name not in (BARE, AGAIN)]
    with matplotlib.rc_context(STYLE):
        size = 3.4 + 3.4 * len(results), 1.3 + 0.52 * len(names)
        figure, panels = pyplot.subplots(1, len(results), sharey=True, squeeze=False, figsize=size)
        for panel, result, section in zip(panels[0], results, sections, strict=True):
            rows = {row["state"]: row for row in section["rows"]}
            for number, view in enumerate(LABELS):
                places = [index + (number - 1) * 0.27 for index in range(len(names))]
                draw_bars(panel, places, [rows.get(name, {}).get(view) for name in names], COLOURS[view], LABELS[view])
            bare = ", ".join(
                f"{label} {seconds(rows[BARE][view]['seconds']['median'])}" for view, label in LABELS.items()
            )
            panel.set_title(f"Python {result['machine']['python']}\n", loc="left", fontweight="bold")
            panel.text(0, 1.01, f"bare: {bare}", transform=panel.transAxes, fontsize=7, color="#555555")
            dress(panel, [index for index, name in enumerate(names) if name in OURS])
        panels[0][0].set_yticks(range(len(names)), [name.replace(f"{TODAY}, ", f"{TODAY},\n") for name in names])
        panels[0][0].set_ylim(len(names) - 0.4, -0.6)
        figure.supxlabel("time of a request that is not debugged, as a multiple of the bare application's", fontsize=9)
        figure.legend(*panels[0][0].get_legend_handles_labels(), loc="upper left", frameon=False)
        figure.tight_layout()
        figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)


def dress(panel: Any, ours: list[int]) -> None:
    panel.axhspan(ours[0] - 0.5, ours[-1] + 0.5, color="#eef4f8", linewidth=0, zorder=0)
    panel.set_xscale("log")
    panel.set_xlim(0.8, 250)
    panel.set_xticks([1, 2, 5, 10, 100], ["1x", "2x", "5x", "10x", "100x"])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.axvline(1, color="#333333", linewidth=0.8)
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.tick_params(axis="y", length=0)


def draw_bars(panel: Any, places: list[float], measured: list[Any], colour: str, label: str) -> None:
    for place, figures in zip(places, measured, strict=True):
        if figures is None:  # A state that this Python does not have.
            continue
        ratio = figures["ratio"]
        # From 1: a bar's length is what the state costs.
        panel.barh(place, ratio["median"] - 1, left=1, height=0.25, color=colour, label=label)
        panel.plot([ratio["low"], ratio["high"]], [place, place], color="#222222", linewidth=0.8)
        shown = f"{ratio['median']:.2f}" if ratio["median"] < 10 else f"{ratio['median']:.0f}"
        panel.text(max(ratio["high"], 1) * 1.06, place, shown, va="center", fontsize=7, color="#222222")
        label = "_nolegend_"


def all_states(sections: list[Any]) -> list[str]:
    """Those of the run that has most: an older Python lacks some."""
    longest = max(sections, key=lambda section: len(section["rows"]))
    return [row["state"] for row in longest["rows"]]
