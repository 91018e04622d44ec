"""The readable account of a decision: each rule with its arithmetic, and what peers, policy and guards made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchdog.core import words
from watchdog.core.canonical import instant
from watchdog.core.rules import Statistic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from watchdog.core.counts import Counts
    from watchdog.core.gauge import Gauge
    from watchdog.core.judgement import Judgement, Reading
    from watchdog.core.recovery import Finding
    from watchdog.core.retrace import Case, Retraced
    from watchdog.core.rules import Rule
    from watchdog.core.windows import Summary


class Trips:
    """When each rule was first seen to have tripped."""

    def __init__(self) -> None:
        self.at: dict[str, datetime] = {}

    def note(self, seen: Retraced) -> None:
        if seen.look.anew:
            self.at.clear()
        until = seen.progress.judged_until
        for rule in seen.progress.tripped_after:
            if until is not None and rule not in self.at:
                self.at[rule] = until


def decision(
    case: Case,
    seen: Retraced,
    trips: Trips,
    judgement: Judgement,
    decided: Mapping[str, Any],
    counts: Counts | None,
) -> tuple[str, ...]:
    """Line by line; what lies deeper is indented."""
    watch = case.watch
    judged_until = words.clock_time(seen.progress.judged_until)
    lines = [
        f"{_moment(decided['at'])}  {decided['kind']}: {judgement.verdict.value}: {judgement.reason}",
        f"  usual: {_calls(seen.panel.baseline)} of {watch.control_label or 'no version'}, frozen",
        f"  seen: {_calls(seen.progress.candidate)} of {watch.candidate_label}, {seen.seq} looks, until {judged_until}",
    ]
    for reading in judgement.readings:
        lines += rule(reading, _rule(seen, reading.rule), trips.at.get(reading.rule))
    if watch.peers_note:
        lines.append(f"  peers: {watch.peers_note}")
    said = decided["value"]
    made = said["decided"]
    target = f" to {watch.control_label or made['target']}" if made["target"] else ""
    why = f": {made['why_not_more']}" if made["why_not_more"] else ""
    lines.append(
        f"  policy: {made['action']}{target}{why} (at most {seen.context.most} for this promotion, "
        f"{seen.context.allowed} by the configuration)"
    )
    if (left := said["left"]) != made:
        lines.append(f"  snoozed or muted: {left['action']} is left of it ({', '.join(left['rules']) or 'nothing'})")
    if counts is not None:
        lines.append(f"  guards: {guards(counts)}: {said['held'] or 'none of them holds it'}")
    if said["notices"]:
        lines.append(f"  people were told: {', '.join(said['notices'])}")
    return tuple(lines)


def rule(reading: Reading, asked: Rule | None, tripped_at: datetime | None) -> list[str]:
    """What the rule asks, and what it found."""
    head = f"  rule {reading.rule}: {reading.state.value}; {reading.sentence}"
    # As odds they stand in the sentence, with what a small baseline takes off them.
    numbers = (
        f"    evidence {reading.nats:.6g} nats, trips at {reading.needed_nats:.6g}, {reading.calls:,} observations"
    )
    if asked is not None:
        numbers += f", {margin(asked)}"
    lines = [head, numbers]
    if reading.tripped_after is not None:
        at = f", with the windows until {words.clock_time(tripped_at)}" if tripped_at else ""
        lines.append(f"    tripped after {reading.tripped_after:,} calls{at}")
    return lines


def margin(asked: Rule) -> str:
    """What a rule lets pass."""
    if asked.statistic is Statistic.LIMIT:
        limit = words.percent(asked.limit_share) if asked.limit_value is None else f"{asked.limit_value:g}"
        return f"limit {limit}"
    parts = []
    if asked.margin_abs:
        parts.append(f"{words.points(asked.margin_abs)}")
    if asked.margin_rel:
        parts.append(words.percent(asked.margin_rel))
    return f"margin {' or '.join(parts) or 'none'}"


def guards(counts: Counts) -> str:
    """What they were asked by."""
    done, limits, fleet = counts.done, counts.limits, counts.fleet
    of_prompt = words.count(len(done.of_prompt), "revert")
    last = f", the last at {words.clock_time(done.of_prompt[-1])}" if done.of_prompt else ""
    return (
        f"{of_prompt} of this prompt{last}, {done.last_hour} of {limits.per_hour} in the last hour, "
        f"{done.last_day} of {limits.per_day} in 24 h, the target left production "
        f"{words.duration(counts.now - counts.left_at)} ago, {len(fleet.tripped)} of {fleet.guarded} prompts tripped, "
        f"{len(fleet.upstream)} with trouble upstream"
    )


def recovery(
    decided: Mapping[str, Any],
    finding: Finding,
    windows: Sequence[tuple[datetime, Summary]],
    gauges: Sequence[Gauge],
) -> tuple[str, ...]:
    """What the restored version's calls said."""
    said = decided["value"]
    counting = decided["kind"] == "countdown_recovered"
    by = f"{words.count(len(windows), 'window')}, by {words.count(len(gauges), 'gauge')}"
    return (
        f"{_moment(decided['at'])}  {decided['kind']}: {finding.reason}",
        f"  seen: {_calls(finding.restored)} of the {'candidate' if counting else 'restored version'} in {by}",
        f"  deadline: {'had passed' if said['overdue'] else 'had not passed'}"
        + (f"; peers, as they were then: {said['peers_worse']}" if said["peers_worse"] else ""),
    )


def standing(said: Mapping[str, Any], judgement: Judgement) -> tuple[str, ...]:
    """Where the watch stands."""
    return (f"The watch is {said['state']}; its verdict is {judgement.verdict.value}: {judgement.reason}",)


def nothing_judged(said: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"The watch is {said['state']}; nothing stands that its last look judged: {said['reason'] or said['verdict']}",
    )


def _calls(of: Summary | None) -> str:
    if of is None:
        return "no calls"
    return (
        f"{words.count(of.calls, 'call')}, success {words.percent(of.success_rate)}, p95 "
        f"{words.milliseconds(of.latency_ms.quantile(0.95))}, cost {words.dollars(of.cost_usd.mean())}"
    )


def _rule(seen: Retraced, name: str) -> Rule | None:
    return next((seat.rule for seat in seen.panel.seats if seat.rule.name == name), None)


def _moment(at: int) -> str:
    return f"{instant(at):%Y-%m-%d %H:%M:%S}Z"
