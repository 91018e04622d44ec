"""A replayed watch as plain values, one object a watch: what `--json` prints, and other programs read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from watchdog.replay.effects import Effect, effect_of

if TYPE_CHECKING:
    from watchdog.core.judgement import Reading
    from watchdog.replay.spool import Unusable
    from watchdog.replay.watches import FileWatch


def facts(watch: FileWatch) -> dict[str, Any]:
    """Numbers in the units of their names; None for what is not known."""
    outcome, split = watch.outcome, watch.split
    judgement = outcome.judgement
    return {
        "stream": split.stream,
        "from": split.control,
        "to": split.candidate,
        "baseline_calls": watch.baseline.calls,
        "candidate_calls": watch.candidate_calls,
        "judged_calls": outcome.candidate.calls,
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "rule": outcome.rule,
        "calls_to_verdict": outcome.calls_to_verdict,
        "action": "none" if outcome.action is None else outcome.action.value,
        "order": split.order.value,
        "window": watch.window,
        "unusable": {
            "baseline": [_unusable(found) for found in watch.unusable_before],
            "candidate": [_unusable(found) for found in watch.unusable_after],
        },
        "notes": list(watch.notes),
        "rules": [
            _rule(reading, effect, watch) for reading, effect in zip(judgement.readings, effects(watch), strict=True)
        ],
    }


def effects(watch: FileWatch) -> tuple[Effect, ...]:
    """One for each reading, in the same order."""
    outcome = watch.outcome
    found = (effect_of(seat, outcome.panel.baseline, outcome.candidate) for seat in outcome.panel.seats)
    return tuple(
        replace(effect, before=None, after=None) if seat.rule.name in outcome.silent else effect
        for seat, effect in zip(outcome.panel.seats, found, strict=True)
    )


def _rule(reading: Reading, effect: Effect, watch: FileWatch) -> dict[str, Any]:
    interval = effect.interval
    return {
        **reading.to_json(),
        "nats": max(0.0, reading.nats),
        "p_value": watch.outcome.p_value(reading.rule),
        "tripped_after_calls": watch.outcome.trips.get(reading.rule),
        "unit": effect.unit.value,
        "before": effect.before,
        "after": effect.after,
        "interval": None
        if interval is None
        else {"of": effect.scale.value, "lower": interval.lower, "upper": interval.upper, "confidence": 0.95},
    }


def _unusable(found: Unusable) -> dict[str, Any]:
    return {"reason": found.reason, "rows": found.rows, "first": found.first, "value": found.value}
