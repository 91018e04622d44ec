"""Values for tests, complete and unremarkable; a test names only what it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from watchdog.core.incident import Incident, Recovery
from watchdog.core.judgement import Reading, ReadingState
from watchdog.core.model import ActorType, Call, ErrorKind, Promotion
from watchdog.core.promotion import incident_id, note_for, watch_id
from watchdog.core.rollback import Saga, SagaState
from watchdog.core.rules import Action, Metric, Rule, RuleSet, Severity, Statistic
from watchdog.core.watch import Verdict, Watch, WatchState
from watchdog.core.windows import Summary

T0 = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def promotion(to: str = "v2", *, frm: str | None = "v1", at: datetime = T0, **given: object) -> Promotion:
    values: dict[str, object] = {
        "id": f"promotion-{to}-{at:%H%M%S}",
        "prompt_id": "support",
        "from_version_id": frm,
        "to_version_id": to,
        "at": at,
        "not_before": at,
        "actor_type": ActorType.USER,
        "actor_id": "ana",
        "revert": False,
        "note": "",
    }
    return Promotion(**{**values, **given})  # type: ignore[arg-type]


def ours(saga: Saga, *, at: datetime) -> Promotion:
    """The promotion that a saga makes."""
    return promotion(
        saga.target_version_id,
        frm=saga.bad_version_id,
        at=at,
        id=f"ours-{at:%H%M%S}",
        actor_type=ActorType.API_TOKEN,
        actor_id="token-1",
        revert=True,
        note=note_for(saga.id),
    )


def saga(state: SagaState = SagaState.INTENT, **given: object) -> Saga:
    bad = promotion()
    values: dict[str, object] = {
        "id": incident_id(bad),
        "state": state,
        "prompt_id": bad.prompt_id,
        "bad_version_id": "v2",
        "bad_promotion_id": bad.id,
        "bad_promoted_at": bad.at,
        "target_version_id": "v1",
        "attempt": 0,
        "sent_at": None,
        "settle": timedelta(seconds=30),
        "promoted_at": None,
    }
    return Saga(**{**values, **given})  # type: ignore[arg-type]


def call(
    i: int = 0,
    *,
    ok: bool = True,
    at: datetime = T0,
    latency_ms: float | None = 800.0,
    cost_usd: float | None = 0.01,
    version: str | None = "v2",
    segment: str = "",
    input_tokens: int | None = None,
    **given: object,
) -> Call:
    return Call(
        id=f"call-{i}",
        prompt_id="support",
        version_id=version,
        environment="production",
        started_at=at,
        recorded_at=at + timedelta(milliseconds=latency_ms or 0),
        latency_ms=latency_ms,
        ok=ok,
        error_kind=None if ok else ErrorKind.VALIDATION,
        error_code="" if ok else "VALIDATION_FAILED",
        cost_usd=cost_usd,
        segment=segment,
        input_tokens=input_tokens,
        **given,  # type: ignore[arg-type]
    )


def success_rule(**given: object) -> Rule:
    return replace(
        Rule(name="success", metric=Metric.SUCCESS, statistic=Statistic.PROPORTION, margin_abs=0.01),
        **given,  # type: ignore[arg-type]
    )


def rule_set(*rules: Rule, alpha: float = 0.005) -> RuleSet:
    return RuleSet(source="test", alpha=alpha, rules=rules or (success_rule(),), digest="digest")


def watch(state: WatchState = WatchState.WATCHING, **given: object) -> Watch:
    moved = given.pop("promotion", None) or promotion()
    assert isinstance(moved, Promotion)
    values: dict[str, object] = {
        "id": watch_id(moved),
        "prompt_id": moved.prompt_id,
        "prompt_slug": "support-reply",
        "promotion": moved,
        "control_version_id": "v1",
        "control_until": moved.at,
        "most": Action.REVERT,
        "why_not_more": "",
        "state": state,
        "opened_at": moved.at,
        "first_call_at": None,
        "lag": timedelta(seconds=5),
        "judged_until": None,
        "verdict": Verdict.NO_DATA,
        "reason": "",
        "candidate": Summary(),
        "rules_digest": "digest",
        "n_windows": 8640,
        "min_baseline_calls": 50,
        "trouble": "",
        "trouble_since": None,
        "candidate_label": "v1.1.0",
        "control_label": "v1.0.0",
        "ended_at": None,
    }
    return Watch(**{**values, **given})  # type: ignore[arg-type]


def reading(state: ReadingState = ReadingState.TRIPPED, **given: object) -> Reading:
    values: dict[str, object] = {
        "rule": "success",
        "metric": Metric.SUCCESS,
        "action": Action.REVERT,
        "severity": Severity.CRITICAL,
        "state": state,
        "compares": True,
        "calls": 18,
        "nats": 7.1,
        "needed_nats": 6.2,
        "sentence": "failures 1.0 % -> 50.0 % so far (9 of 18)",
        "tripped_after": 18 if state is ReadingState.TRIPPED else None,
    }
    return Reading(**{**values, **given})  # type: ignore[arg-type]


def incident(state: SagaState = SagaState.OPEN, **given: object) -> Incident:
    moved = saga(state)
    values: dict[str, object] = {
        "saga": moved,
        "watch_id": watch().id,
        "prompt_slug": "support-reply",
        "token": 0,
        "next_at": T0,
        "tripped": (reading().to_json(),),
        "changes": ("temperature: 0.2 -> 1.0",),
        "compare_url": "http://127.0.0.1/compare",
        "audit_id": "",
        "recovery": Recovery.PENDING,
        "recovery_reason": "",
        "recovery_until": None,
        "restored": Summary(),
        "opened_at": T0,
        "closed_at": None,
        "config_digest": "config",
    }
    return Incident(**{**values, **given})  # type: ignore[arg-type]
