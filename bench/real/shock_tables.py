"""The tables of common shocks over recorded calls."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bench.detection.report import Table, Target
from bench.real import cells
from bench.real.shocks import (
    LEAST_SPOILT,
    LONGEST,
    MOST_SPOILT,
    SHORTEST,
    SLOWER,
    Seen,
    Stream,
    chosen,
    scene,
    watched_beside,
)
from bench.real.watched import Lever
from watchdog.core.rules import Action

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.detection.report import Cell
    from bench.real.promotions import Bench

# A watch beside peers takes as long as several without: so many of the cuts.
_PART_OF_CUTS = 3
_NOTHING: frozenset[Lever] = frozenset()
_NO_SEGMENTS = frozenset({Lever.SEGMENTS})
# Of aibench: what is compared with what, the streams of each, and the endpoint that had truly become slower.
_FEBRUARY = ("20250210-154747", "20250210-194140", "20250215-214650")
_RUNS = (
    (_FEBRUARY[:2], _FEBRUARY[2], ""),
    (_FEBRUARY, "20250306-215054", "aai-gpt-4o"),
    (_FEBRUARY, "20250421-195443", "aai-gpt-4o"),
)
_FEWEST_CALLS = 50


def shocks(bench: Bench) -> Iterator[Table]:
    """What is done about a shock that everybody has, and about one that only one endpoint has."""
    yield _injected(bench)
    yield _endpoints(bench)


def _injected(bench: Bench) -> Table:
    rows: list[dict[str, Cell]] = []
    targets = []
    cuts = max(1, bench.cuts // _PART_OF_CUTS)
    for source in bench.sources:
        traces = [trace for trace in bench.long if trace.source is source and chosen(bench, trace)]
        for without in (_NOTHING, _NO_SEGMENTS) if source.segment else (_NOTHING,):
            by = f"by {source.segment}" if source.segment and not without else "-"
            for shocked in (False, True):
                scenes = [scene(bench, trace, cut, shocked=shocked) for trace in traces for cut in range(cuts)]
                if not scenes:
                    continue
                what = "common shock" if shocked else "none"
                bench.told(f"{source.name}, segments {by}, shock: {what}, {len(scenes)} watches")
                beside = [watched_beside(own, others, without=without) for own, others in scenes]
                alone = [watched_beside(own, (), without=without) for own, _ in scenes]
                rows.append(
                    {
                        "source": source.name,
                        "segments": by,
                        "shock": what,
                        "reverted beside peers": _reverted(beside),
                        "asked": _asked(beside),
                        "upstream": cells.counted(sum(one.upstream for one in beside), len(beside)),
                        "by rule": _by_rule(beside),
                        "reverted without": _reverted(alone),
                        "asked without": _asked(alone),
                    }
                )
                if shocked:
                    reverts = sum(one.action is Action.REVERT for one in beside) / len(beside)
                    name = f"share of false reverts beside peers, {source.name}{', ' + by if by != '-' else ''}"
                    targets.append(Target(name=name, measured=reverts, allowed=0.01))
    about = (
        f"Pseudo-promotions in raw order, {cuts} a stream, of each long stream that has others of its source to stand "
        "beside (as the daemon would choose them, aligned by order, one call of the candidate a window); p95 and the "
        "whole distribution revert. The shock holds "
        f"{100 * SHORTEST:g} to {100 * LONGEST:g} % of everybody's calls: "
        f"{100 * LEAST_SPOILT:g} to {100 * MOST_SPOILT:g} % of them fail, the others take {SLOWER:g} times as long. "
        f"Without peers margins are half as wide again; seed {bench.seed}."
    )
    return Table(title="Common shocks over recorded calls", about=about, rows=rows, targets=targets)


def _reverted(found: Sequence[Seen]) -> str:
    return cells.counted(sum(one.action is Action.REVERT for one in found), len(found))


def _asked(found: Sequence[Seen]) -> int:
    return sum(one.action is Action.SUGGEST for one in found)


def _by_rule(found: Sequence[Seen]) -> str:
    counts = Counter(rule for one in found if one.action is Action.REVERT for rule in one.rules)
    return ", ".join(f"{rule} {n}" for rule, n in counts.most_common()) or "-"


def _endpoints(bench: Bench) -> Table:
    """One endpoint became slower, the others did not."""
    rows: list[dict[str, Cell]] = []
    targets = []
    calls = {(t.stream, t.version): t.calls for t in bench.traces if t.source.name == "aibench"}
    for before, after, slower in _RUNS:
        streams = [
            Stream(name, [call for run in before for call in calls[name, run]], calls[name, after])
            for name in sorted({name for name, _ in calls})
            if all(len(calls.get((name, run), ())) >= _FEWEST_CALLS for run in (*before, after))
        ]
        for own in streams:
            others = [other for other in streams if other is not own]
            beside, alone, unasked = (watched_beside(own, peers) for peers in (others, (), None))
            truly = own.name == slower
            rows.append(
                {
                    "endpoint": own.name,
                    "run": cells.short(after),
                    "truly slower": "yes" if truly else "no",
                    "p95, s": cells.slowness(own.before, own.after),
                    "peers": len(others),
                    "beside peers": beside.cell,
                    "without": alone.cell,
                    "nobody asked": unasked.cell,
                }
            )
            name = f"{own.name}, {cells.short(after)}, {'not reverted' if truly else 'reverted'}"
            wrong = (beside.action is not Action.REVERT) if truly else (beside.action is Action.REVERT)
            targets.append(Target(name=name, measured=float(wrong), allowed=0.0))
    about = (
        "aibench: 100 calls of one prompt a run; the runs of February are the baseline (200 or 300 calls), a later one "
        "the candidate, the other endpoints' same runs its peers. p95 and the whole distribution revert. Calls to the "
        "revert, and its rules; a target is missed by 1 where the slower one is left alone, or another is not."
    )
    return Table(title="One endpoint that became slower", about=about, rows=rows, targets=targets)
