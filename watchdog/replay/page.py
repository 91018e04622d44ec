"""A page of HTML that needs nothing beside itself: no server, no script, no font, no address."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.judgement import ReadingState
from watchdog.replay import picture, report
from watchdog.replay.charts import Axis, Chart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchdog.core.judgement import Reading
    from watchdog.replay.run import EvidencePath
    from watchdog.replay.watches import FileWatch

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1f2328; --soft: #626b76; --grid: #e3e7ec;
  --before: #3b6ea8; --after: #c2570c; --limit: #b42318; --ok: #1a7f37; --unsure: #946200; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --ink: #e6e8ea; --soft: #9aa4ae; --grid: #2b3138;
  --before: #7fb0e6; --after: #f0a05a; --limit: #ff7b72; --ok: #57c26d; --unsure: #d9a531; } }
body { background: var(--ground); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .2rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
.regressed { color: var(--limit); } .ok { color: var(--ok); } .inconclusive, .no_data { color: var(--unsure); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .8rem; margin: .8rem 0; }
svg { width: 100%; height: auto; } svg text { font: 10px system-ui, sans-serif; fill: var(--soft); }
svg .label { paint-order: stroke; stroke: var(--ground); stroke-width: 3px; }
svg .title { font-size: 11.5px; fill: var(--ink); font-weight: 600; } svg .label { fill: var(--limit); }
svg line, svg polyline { fill: none; stroke-width: 1; } svg .grid { stroke: var(--grid); }
svg .before { stroke: var(--before); stroke-width: 1.7; } svg .after { stroke: var(--after); stroke-width: 1.7; }
svg .limit { stroke: var(--limit); stroke-dasharray: 4 3; } svg .event { stroke: var(--soft); stroke-dasharray: 2 3; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--grid); white-space: nowrap; }
td:nth-child(2) { white-space: normal; min-width: 9rem; }
th { color: var(--soft); font-weight: 500; } .key { font-weight: 600; }
.key.before { color: var(--before); } .key.after { color: var(--after); }
"""


def page(watches: Sequence[FileWatch]) -> str:
    """The whole page; nothing in it can be markup that was not written here."""
    body = "".join(_section(watch) for watch in watches)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>promptwatch replay</title>'
        f"<style>{_STYLE}</style></head><body><h1>promptwatch replay</h1>{body}</body></html>\n"
    )


def _section(watch: FileWatch) -> str:
    outcome, split = watch.outcome, watch.split
    verdict = outcome.judgement.verdict.value
    at = outcome.calls_to_verdict
    after = f" after {words.count(at, 'call')}" if at is not None else ""
    action = f", {outcome.action.value} by rule {outcome.rule}" if outcome.action else ""
    charts = [_evidence(path, watch) for path in outcome.paths if path.points[-1][0]]
    latency, cost = picture.latency(watch), picture.cost(watch)
    if latency is not None:
        charts.append(_shape(latency, "latency, share of calls", _milliseconds))
    if cost is not None:
        charts.append(_shape(cost, "cost of a call, share of calls", _dollars))
    charts.append(_success(watch))
    return (
        f"<section><h2>{escape(split.stream)}: {escape(split.control)} → {escape(split.candidate)}</h2>"
        f'<p class="{verdict}"><strong>{verdict.upper().replace("_", " ")}</strong>{after}{escape(action)}</p>'
        f"<p>{escape(outcome.judgement.reason)}</p>"
        f'<p class="soft"><span class="key before">before</span>: {words.count(watch.baseline.calls, "call")} · '
        f'<span class="key after">after</span>: {words.count(watch.candidate_calls, "call")}, of which '
        f"{outcome.candidate.calls:,} were judged · window: {escape(watch.window)}</p>"
        f'<div class="charts">{"".join(charts)}</div>{_table(watch)}</section>'
    )


def _evidence(path: EvidencePath, watch: FileWatch) -> str:
    calls = max(1, path.points[-1][0])
    tripped = watch.outcome.trips.get(path.rule)
    chart = Chart(
        title=f"{path.rule}: evidence, nats",
        alternative=f"Evidence of rule {path.rule} over {calls} calls: {path.points[-1][1]:.1f} nats at the end, "
        f"{path.needed_nats:.1f} are needed.",
        x=Axis(low=0.0, high=float(calls), text=_plain),
        y=Axis(low=0.0, high=picture.highest(path), text=_plain),
    )
    chart.level(path.needed_nats, "limit", f"trips at {path.needed_nats:.1f}")
    chart.line([(0.0, 0.0), *path.points], "after")
    if tripped is not None:
        chart.moment(tripped, "limit", f"tripped at call {tripped:,}")
    return chart.svg()


def _shape(shape: picture.Shape, title: str, text: Callable[[float], str]) -> str:
    highest = max(*shape.before, *shape.after) * 1.1
    chart = Chart(
        title=title,
        alternative=f"Histogram of {title}, before and after.",
        x=Axis(low=shape.edges[0], high=shape.edges[-1], text=text, logarithmic=True),
        y=Axis(low=0.0, high=highest, text=lambda share: f"{100 * share:g} %"),
    )
    chart.steps(shape.edges, shape.before, "before")
    chart.steps(shape.edges, shape.after, "after")
    return chart.svg()


def _success(watch: FileWatch) -> str:
    course = picture.success(watch)
    rates = [rate for _, rate in (*course.before, *course.after)] or [1.0]
    low = min(0.9, min(rates) - 0.02)
    chart = Chart(
        title="success over the calls",
        alternative="Share of successful calls over time, before and after the promotion.",
        x=Axis(low=-float(max(1, watch.baseline.calls)), high=float(max(1, watch.candidate_calls)), text=_plain),
        y=Axis(low=max(0.0, low), high=1.0, text=lambda share: f"{100 * share:g} %"),
    )
    chart.moment(0.0, "event")
    chart.line(course.before, "before")
    chart.line(course.after, "after")
    at = watch.outcome.calls_to_verdict
    if at is not None:
        chart.moment(float(at), "limit", f"verdict at call {at:,}")
    return chart.svg()


def _table(watch: FileWatch) -> str:
    rows = [
        (
            reading.rule,
            _says(reading, watch.outcome.trips.get(reading.rule)),
            f"{max(0.0, reading.nats):.1f} of {reading.needed_nats:.1f}",
            effect.change,
            effect.bounds,
        )
        for reading, effect in zip(watch.outcome.judgement.readings, report.effects(watch), strict=True)
    ]
    head = "".join(f"<th>{name}</th>" for name in ("rule", "says", "nats", "before → after", "rise (95 %, any time)"))
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _says(reading: Reading, tripped_after: int | None) -> str:
    """`tripped @19`, `unable: ...`."""
    if reading.state is ReadingState.UNABLE:
        return f"{reading.state.value}: {reading.sentence}"
    return reading.state.value if tripped_after is None else f"{reading.state.value} @{tripped_after:,}"


def _milliseconds(value: float) -> str:
    """Shorter than in a sentence: ticks stand close together."""
    return f"{value:g} ms" if value < 1000.0 else f"{value / 1000.0:g} s"


def _dollars(value: float) -> str:
    return f"${value:g}"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:g}"
