"""From a verdict to what is done about it. Missing data, a failed query and an inconclusive test never revert."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watchdog.core.judgement import Late, Reading, ReadingState, milder
from watchdog.core.rules import Action
from watchdog.core.watch import Verdict

if TYPE_CHECKING:
    from watchdog.core.judgement import Judgement
    from watchdog.core.watch import Watch


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Look again after the next window."""


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Tell people once; the watch goes on."""

    readings: tuple[Reading, ...]
    why_not_more: str


@dataclass(frozen=True, kw_only=True)
class Suggest:
    """Open an incident that waits for a human."""

    readings: tuple[Reading, ...]
    target_version_id: str


@dataclass(frozen=True, kw_only=True)
class Countdown:
    """Open an incident that puts the target back when a while has passed, unless somebody stops it."""

    readings: tuple[Reading, ...]
    target_version_id: str


@dataclass(frozen=True, kw_only=True)
class Revert:
    """Open an incident that puts the target back, if the guards agree."""

    readings: tuple[Reading, ...]
    target_version_id: str


_EXPLAINED = (
    "the requests changed, and that can explain it; unless the prompt itself became longer, then it is the cause"
)
_SHARED = "prompts that nobody promoted are worse too, so the cause is upstream of this one"
_UNCLEAR = "its peers cannot tell yet whether it is alone with it; it is reverted once they show that it is"
# A trip that the peers leave open is told once there were so many times the calls.
_PATIENT_FOR = 2
_OTHERWISE = "something else than the prompt can explain it"

Decision = Wait | Alert | Suggest | Countdown | Revert


def decide(judgement: Judgement, watch: Watch, *, allowed: Action) -> Decision:
    """
    Args:
        allowed: the most that the configuration allows at all.
    """
    if judgement.verdict is not Verdict.REGRESSED:
        shared = tuple(r for r in judgement.readings if r.state is ReadingState.SHARED)
        if judgement.verdict is Verdict.UPSTREAM and shared:
            return Alert(readings=shared, why_not_more=_SHARED)
        explained = tuple(r for r in judgement.readings if r.state is ReadingState.EXPLAINED)
        if judgement.verdict is Verdict.INCONCLUSIVE and explained:
            return Alert(readings=explained, why_not_more=_OTHERWISE if explained[0].because else _EXPLAINED)
        unclear = tuple(r for r in judgement.readings if r.state is ReadingState.UNCLEAR and _has_waited(r))
        if judgement.verdict is Verdict.INCONCLUSIVE and unclear:
            return Alert(readings=unclear, why_not_more=_UNCLEAR)
        return Wait()
    tripped = judgement.tripped
    wanted = tripped[0].action
    most = milder(watch.most, allowed)
    action = milder(wanted, most)
    if watch.control_version_id is None or action is Action.ALERT:
        return Alert(readings=tripped, why_not_more=_why_not_more(watch, tripped[0], allowed))
    acting = tuple(r for r in tripped if milder(r.action, most) is action)
    if action is Action.SUGGEST:
        return Suggest(readings=acting, target_version_id=watch.control_version_id)
    if action is Action.COUNTDOWN:
        return Countdown(readings=acting, target_version_id=watch.control_version_id)
    return Revert(readings=acting, target_version_id=watch.control_version_id)


def _has_waited(reading: Reading) -> bool:
    return reading.tripped_after is not None and reading.calls >= _PATIENT_FOR * reading.tripped_after


def _why_not_more(watch: Watch, first: Reading, allowed: Action) -> str:
    if watch.why_not_more:
        return watch.why_not_more
    if first.late is Late.OPEN:
        return "it did not begin with the promotion, as far as these calls show; the next ones may show that it did"
    if first.action is Action.ALERT:
        return "the rule only alerts"
    if allowed is Action.ALERT:
        return 'the configuration says act = "alert"'
    return ""


def decision_to_json(decision: Decision) -> dict[str, Any]:
    """What the policy made of a verdict, as it is compared later."""
    match decision:
        case Wait():
            return {"action": "wait", "rules": [], "target": None, "why_not_more": ""}
        case Alert(readings=readings, why_not_more=why):
            return {"action": "alert", "rules": [r.rule for r in readings], "target": None, "why_not_more": why}
        case Suggest(readings=readings, target_version_id=target):
            return {"action": "suggest", "rules": [r.rule for r in readings], "target": target, "why_not_more": ""}
        case Countdown(readings=readings, target_version_id=target):
            return {"action": "countdown", "rules": [r.rule for r in readings], "target": target, "why_not_more": ""}
        case Revert(readings=readings, target_version_id=target):
            return {"action": "revert", "rules": [r.rule for r in readings], "target": target, "why_not_more": ""}
