"""The same picture as PNG, for a chat or a slide; one row a watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchdog.replay import picture
from watchdog.replay.errors import optional

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from watchdog.replay.watches import FileWatch

_BEFORE, _AFTER, _LIMIT = "#3b6ea8", "#c2570c", "#b42318"
_COLOURS = ("#c2570c", "#3b6ea8", "#1a7f37", "#8250df", "#946200", "#626b76")
_WIDTH_IN, _ROW_IN, _DPI = 15.0, 3.4, 110


def draw(path: Path, watches: Sequence[FileWatch]) -> None:
    """
    Raises: ReplayError: matplotlib is not installed.
    """
    figures = optional("matplotlib.figure", extra="plots", purpose="a PNG")
    figure = figures.Figure(figsize=(_WIDTH_IN, _ROW_IN * len(watches)), dpi=_DPI, layout="constrained")
    axes = figure.subplots(len(watches), 3, squeeze=False)
    for row, watch in zip(axes, watches, strict=True):
        _evidence(row[0], watch)
        _latency(row[1], watch)
        _success(row[2], watch)
    figure.savefig(path, format="png")


def _evidence(axes: Any, watch: FileWatch) -> None:
    """All rules in one chart, each by the share of what it needs."""
    outcome, split = watch.outcome, watch.split
    for path, colour in zip(outcome.paths, _cycled(len(outcome.paths)), strict=True):
        calls, nats = zip(*path.points, strict=True)
        axes.plot(calls, [n / path.needed_nats for n in nats], color=colour, label=path.rule, linewidth=1.3)
    axes.axhline(1.0, color=_LIMIT, linestyle="--", linewidth=1.0)
    axes.set_ylim(0.0, 2.5)
    axes.set_title(f"{split.stream}: {split.control} to {split.candidate}", fontsize=9, loc="left", parse_math=False)
    axes.set_xlabel(
        f"calls; {outcome.judgement.verdict.value}, {outcome.action.value if outcome.action else 'no action'}"
    )
    axes.set_ylabel("evidence / needed")
    if outcome.paths:
        axes.legend(fontsize=7, frameon=False)


def _latency(axes: Any, watch: FileWatch) -> None:
    shape = picture.latency(watch)
    axes.set_title("latency, share of calls", fontsize=9, loc="left")
    if shape is None:
        return
    axes.stairs(shape.before, shape.edges, color=_BEFORE, label="before", linewidth=1.3)
    axes.stairs(shape.after, shape.edges, color=_AFTER, label="after", linewidth=1.3)
    axes.set_xscale("log")
    axes.set_xlabel("ms")
    axes.legend(fontsize=7, frameon=False)


def _success(axes: Any, watch: FileWatch) -> None:
    course = picture.success(watch)
    axes.set_title("success over the calls", fontsize=9, loc="left")
    for points, colour, label in ((course.before, _BEFORE, "before"), (course.after, _AFTER, "after")):
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, label=label, linewidth=1.3)
    if watch.outcome.calls_to_verdict is not None:
        axes.axvline(watch.outcome.calls_to_verdict, color=_LIMIT, linestyle="--", linewidth=1.0)
    axes.axvline(0.0, color="#626b76", linestyle=":", linewidth=1.0)
    axes.set_xlabel("calls since the promotion")
    axes.set_ylim(top=1.02)
    ticks = optional("matplotlib.ticker", extra="plots", purpose="a PNG")
    axes.yaxis.set_major_formatter(ticks.PercentFormatter(xmax=1.0))


def _cycled(n: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(n)]
