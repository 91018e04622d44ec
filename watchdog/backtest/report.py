"""What a backtest found, as plain values for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from watchdog.backtest.run import Past, PromptPast


def facts(past: PromptPast) -> dict[str, Any]:
    """
    One prompt's past. Units are in the names; what is not known is None.
    """
    return {
        "prompt": past.prompt,
        "trouble": past.trouble or None,
        "promotions": [_promotion(p) for p in past.promotions],
        "quiet_days": [
            {
                "rule": q.rule,
                "days": q.days,
                "false_alarms": q.alarms,
                "false_alarms_calibrated": q.alarms_calibrated,
                "worst_nats": q.worst_nats,
                "asks_now_nats": None if q.now is None else q.now.needed_nats,
                "only_alerts": q.now is not None and q.now.demoted,
            }
            for q in past.quiet
        ],
        "rate_per_s": past.rate_per_s,
        "baseline_calls": past.baseline_calls,
        "strength": [
            {
                "rule": f.rule,
                "effect": f.effect,
                "calls": f.calls,
                "seconds": f.seconds,
                "smallest": f.smallest,
                "smallest_text": f.smallest_text or None,
                "unable": f.unable or None,
            }
            for f in past.strength
        ],
    }


def moment(at: datetime) -> str:
    """ISO 8601, UTC, milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _promotion(past: Past) -> dict[str, Any]:
    judged = past.judged
    value: dict[str, Any] = {
        "id": past.promotion.id,
        "promoted_at": moment(past.promotion.at),
        "promoted_by": past.promotion.actor_id or past.promotion.actor_type.value,
        "control": past.control,
        "candidate": past.candidate,
        "before": past.before,
        "human": past.human,
        "stayed_s": past.stayed.total_seconds(),
        "note": past.note or None,
    }
    if judged is None:
        return {**value, "verdict": None, "action": None}
    after = past.acted_after
    return {
        **value,
        "verdict": judged.verdict.value,
        "action": None if judged.action is None else judged.action.value,
        "rules": list(judged.rules),
        "reason": judged.reason,
        "acted_after_s": None if after is None else after.total_seconds(),
        "baseline_calls": judged.baseline.calls,
        "candidate_calls": judged.candidate.calls,
        "failures_after": judged.failures_after,
        "calls_after": judged.calls_after,
        "failed_calls_saved": judged.saved,
    }
