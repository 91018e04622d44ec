"""The tables: false reverts, known changes, injected changes, and what each lever gains and costs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from bench.detection.report import Table, Target
from bench.real import cells
from bench.real.changes import CHANGES, DEARER, FAILING, INJECTIONS, X2
from bench.real.promotions import RAW, SHORTEST, SHUFFLED
from bench.real.shock_tables import shocks
from bench.real.watched import BOTH, PACK, Lever, watched
from watchdog.core.rules import Action, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.detection.report import Cell
    from bench.real.promotions import Bench
    from bench.real.traces import Trace
    from bench.real.watched import Found

# Injected changes are looked for at so many of the cuts: each needs several watches.
INJECTED_CUTS = 2
NONE: frozenset[Lever] = frozenset()
NO_SEGMENTS = frozenset({Lever.SEGMENTS})


def unchanged(bench: Bench) -> Iterator[Table]:
    """False reverts by source, and the streams that they come from."""
    rows: list[dict[str, Cell]] = []
    streams: list[dict[str, Cell]] = []
    targets = []
    for source in bench.sources:
        for without in (NONE, NO_SEGMENTS) if source.segment else (NONE,):
            by = f"by {source.segment}" if source.segment and not without else "-"
            for order in (RAW, SHUFFLED):
                watches = bench.unchanged(source, order, without)
                if not watches:
                    continue
                reverted = [(trace, found) for trace, found in watches if found.reverted]
                rows.append(
                    {
                        "source": source.name,
                        "segments": by,
                        "order": order,
                        "reverted": cells.counted(len(reverted), len(watches)),
                        "by rule": cells.by_rule(found for _, found in reverted),
                        "asked": sum(found.action is Action.SUGGEST for _, found in watches),
                        "alerted": sum(found.action is Action.ALERT for _, found in watches),
                        "unfamiliar": cells.counted(sum(found.unfamiliar for _, found in watches), len(watches)),
                    }
                )
                if order == RAW and (source.name == "llmperf" or by != "-") and source.name != "routerarena":
                    name = f"share of false reverts, {source.name}, raw{', ' + by if by != '-' else ''}"
                    targets.append(Target(name=name, measured=len(reverted) / len(watches), allowed=0.01))
                streams += _failing(by, order, watches)
    about = (
        f"Default pack, {bench.cuts} cuts at 40 to 60 % of each stream of one version with at least {SHORTEST} calls, "
        f"seed {bench.seed}. Reverted, asked and alerted exclude each other."
    )
    yield Table(title="Unchanged: false reverts per promotion", about=about, rows=rows, targets=targets)
    halves = "Success and p95 latency of the first and the second half of the same version's calls, in raw order."
    yield Table(title="Unchanged: the streams that are reverted", about=halves, rows=streams)


def _failing(by: str, order: str, watches: Sequence[tuple[Trace, Found]]) -> Iterator[dict[str, Cell]]:
    for trace in dict.fromkeys(trace for trace, _ in watches):
        mine = [found for of, found in watches if of is trace]
        reverted = [found for found in mine if found.reverted]
        if reverted:
            half = len(trace.calls) // 2
            parts = trace.calls[:half], trace.calls[half:]
            yield {
                "stream": trace.name,
                "segments": by,
                "order": order,
                "reverted": f"{len(reverted)} of {len(mine)}",
                "by rule": cells.by_rule(reverted),
                "success": cells.success(*parts),
                "p95, s": cells.slowness(*parts),
            }


def levers(bench: Bench) -> Iterator[Table]:
    """What each lever gains and costs."""
    rows: list[dict[str, Cell]] = []
    sources = [s for s in bench.sources if s.name in ("llmdrift", "speechmap", "llmperf")]
    arms = {"none": NONE, **{lever.value: frozenset({lever}) for lever in Lever}}
    # Where there are segments either of these two is enough, so that one at a time does not show what they do.
    arms |= {"segments, onset": frozenset({Lever.SEGMENTS, Lever.ONSET}), "all": frozenset(Lever)}
    named = {change.before[0].partition("/")[0]: change for change in CHANGES if change.target is not None}
    for name, without in arms.items():
        row: dict[str, Cell] = {"switched off": name}
        for source in sources:
            watches = bench.unchanged(source, RAW, without)
            row[source.name.removeprefix("llm").removesuffix("map")] = (
                f"{sum(found.reverted for _, found in watches)}/{len(watches)}"
            )
        for short, change in named.items():
            pair = bench.pair(change)
            if pair is not None:
                seen = watched(pair[0].calls, pair[1].calls, without=without)
                row[short.removesuffix("number")] = cells.verdict(seen, "")
        for injection, rules in ((X2, BOTH), (DEARER, PACK), (FAILING, PACK)):
            found = bench.injected(injection, RAW, cuts=1, rules=rules, without=without)
            row[injection.name.removeprefix("success ")] = cells.seen(found, injection.metric)
        rows.append(row)
    about = (
        "False reverts in raw order (llmdrift, speechmap, llmperf), calls to the two known changes, and injected "
        "changes in raw order: found (mean calls); latency with both of its rules reverting, -30 pp of success. "
        f"Seed {bench.seed}."
    )
    yield Table(title="What each lever gains and costs", about=about, rows=rows)


def changes(bench: Bench) -> Iterator[Table]:
    """Known changes of version, and repeated runs of one."""
    rows: list[dict[str, Cell]] = []
    targets = []
    for change in CHANGES:
        pair = bench.pair(change)
        if pair is None:
            continue
        for without in (NONE, NO_SEGMENTS) if pair[0].source.segment else (NONE,):
            in_order = watched(pair[0].calls, pair[1].calls, without=without)
            mixed = [watched(*bench.mixed(pair, i), without=without) for i in range(bench.cuts)]
            reverted = sorted(found.calls for found in mixed if found.reverted)
            median = f" ({statistics.median_low(reverted)})" if reverted else ""
            by = f" ({pair[0].source.segment})" if pair[0].source.segment and not without else ""
            rows.append(
                {
                    "change": f"{cells.short(pair[0].name)} -> {cells.short(pair[1].version or pair[1].name)}{by}",
                    "success": cells.success(pair[0].calls, pair[1].calls) if pair[0].has_outcome else "-",
                    "p95, s": cells.slowness(pair[0].calls, pair[1].calls),
                    "raw order": cells.verdict(in_order),
                    "shuffled": f"{len(reverted)}/{len(mixed)}{median}",
                    "asked": sum(found.action is Action.SUGGEST for found in mixed),
                }
            )
            if change.target is not None:
                calls = float(in_order.calls) if in_order.reverted else float("inf")
                targets.append(Target(name=f"calls, {pair[0].stream}, raw", measured=calls, allowed=change.target))
    about = (
        "All calls of one version as the baseline, all of the next as the candidate; (task): by segment. Calls to the "
        f"revert in raw order, and the rule; of {bench.cuts} shuffled orders those that were reverted (median calls), "
        f"and those in which a human was asked; seed {bench.seed}."
    )
    yield Table(title="Known changes", about=about, rows=rows, targets=targets)


def injected(bench: Bench) -> Iterator[Table]:
    """Changes of known size."""
    rows: list[dict[str, Cell]] = []
    targets = []
    cuts = min(bench.cuts, INJECTED_CUTS)
    for injection, rules in INJECTIONS:
        for order in (RAW, SHUFFLED):
            found = bench.injected(injection, order, cuts=cuts, rules=rules)
            hits = sorted(f.calls for f in found if f.reverted and injection.metric in f.metrics)
            which = "p95 alone" if rules is PACK else "both"
            rows.append(
                {
                    "injected": injection.name + (f", {which}" if injection.metric is Metric.LATENCY else ""),
                    "order": order,
                    "found": cells.counted(len(hits), len(found)),
                    "mean": statistics.mean(hits) if hits else None,
                    "median": statistics.median_low(hits) if hits else None,
                    "<= 40": sum(calls <= 40 for calls in hits),
                    "other": sum(f.reverted and injection.metric not in f.metrics for f in found),
                    "asked": sum(f.action is Action.SUGGEST for f in found),
                    "unfamiliar": sum(f.unfamiliar for f in found),
                }
            )
            if injection.target is not None and hits:
                share = cells.counted(len(hits), len(found))
                name = f"mean calls where found ({share}), {injection.name}, {which}, {order}"
                targets.append(Target(name=name, measured=statistics.mean(hits), allowed=injection.target))
    about = (
        f"The pseudo-promotions of {cuts} cuts with the candidate's calls changed, by segment where there is a label; "
        f"found: reverted by a rule of that metric, after so many calls; other: by another rule. Both: p95 and "
        f"the whole distribution revert; p95 alone: the pack as it is. Seed {bench.seed}."
    )
    yield Table(title="Injected changes", about=about, rows=rows, targets=targets)


PARTS = {"unchanged": unchanged, "changes": changes, "injected": injected, "levers": levers, "shocks": shocks}
