"""
The ledger of a watch: what other than the prompt may have moved its numbers, and what was done about it.

A confounder is corrected for, or lowers the verdict to INCONCLUSIVE, or is only named because nobody but people can
weigh it. What is in the ledger moved; what did not is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from watchdog.core import words
from watchdog.core.circumstances import WARM_UP
from watchdog.core.judgement import Cause, ReadingState
from watchdog.core.mix import cached_fell, compare, mostly_other_models
from watchdog.core.rules import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from watchdog.core.judge import Progress
    from watchdog.core.judgement import Judgement
    from watchdog.core.mix import Mix
    from watchdog.core.model import Promotion
    from watchdog.core.panel import Panel
    from watchdog.core.windows import Summary

_NAMED_AT_MOST = 3
_IN_A_NOTICE = 4


class Kind(Enum):
    """What may mislead a comparison of before and after."""

    PROMOTIONS = "promotions"  # other prompts were promoted at the same time
    MODEL = "model"  # another model answers
    SEGMENTS = "segments"  # other kinds of requests
    TOKENS = "tokens"  # longer or shorter requests
    CACHE = "cache"  # less of the input comes from the provider's prompt cache
    GAP = "gap"  # a time without calls
    OTHER_VERSIONS = "other_versions"  # caches and clients still serve another version
    WEEK = "week"  # it was as bad in the same hours a week ago


class Treatment(Enum):
    """What was done about it, the gravest first."""

    LOWERS = "lowers"  # a trip of these metrics is INCONCLUSIVE as long as this can explain it
    NAMED = "named"
    CORRECTED = "corrected"  # normalised or stratified: it does not touch the verdict


@dataclass(frozen=True, kw_only=True)
class Entry:
    """
    Attributes:
        sentence: with its numbers and their units.
        metrics: which were corrected, or are lowered; in the order of `Metric`.
    """

    kind: Kind
    treatment: Treatment
    sentence: str
    metrics: tuple[Metric, ...] = ()

    @property
    def line(self) -> str:
        """The sentence, and what was done."""
        if not self.metrics:
            return self.sentence
        who = ", ".join(metric.value.replace("_", " ") for metric in self.metrics)
        match self.treatment:
            case Treatment.CORRECTED:
                return f"{self.sentence} (corrected for: {who})"
            case Treatment.LOWERS:
                return f"{self.sentence} (nothing is concluded from {who})"
            case Treatment.NAMED:
                return self.sentence

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "treatment": self.treatment.value,
            "sentence": self.sentence,
            "metrics": [metric.value for metric in self.metrics],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Entry:
        """The inverse of `to_json`."""
        return cls(
            kind=Kind(value["kind"]),
            treatment=Treatment(value["treatment"]),
            sentence=value["sentence"],
            metrics=tuple(Metric(metric) for metric in value["metrics"]),
        )


@dataclass(frozen=True, kw_only=True)
class Nearby:
    """Another prompt's promotion around the one that is watched."""

    slug: str
    promotion: Promotion


def entries(
    panel: Panel,
    progress: Progress,
    judgement: Judgement,
    *,
    promoted_at: datetime,
    nearby: Sequence[Nearby] = (),
    other_versions: int = 0,
) -> tuple[Entry, ...]:
    """
    Args:
        nearby: other prompts' promotions around this one, in order of time.
        other_versions: calls of other versions since the promotion.
    """
    candidate, baseline = progress.candidate, panel.baseline
    found: list[Entry] = []
    if nearby:
        found.append(_promotions(nearby, promoted_at))
    around = panel.around
    if baseline is not None:
        mix = compare(baseline, candidate)
        # Where most calls are answered by another model a handful of them shows it.
        if moved := mostly_other_models(baseline, candidate):
            found.append(_model(f"the model that answers moved, most of all {moved}", panel, candidate))
        elif mix.models:
            found.append(_model(mix.models, panel, candidate))
        found += _requests(mix, panel, _explained_by_mix(judgement))
        if cold := cached_fell(baseline, candidate):
            found.append(_cache(cold, progress, _compared(panel)))
    if around is not None and progress.first_call_at is not None and progress.judged_until is not None:
        gap = around.longest_silence(progress.judged_until)
        if gap is not None:
            most = around.silent_for_most(progress.first_call_at, progress.judged_until)
            treatment = Treatment.LOWERS if most else Treatment.NAMED
            found.append(
                Entry(
                    kind=Kind.GAP,
                    treatment=treatment,
                    sentence=around.silence_sentence(gap),
                    metrics=_compared(panel) if most else (),
                )
            )
    if other_versions:
        found.append(_other_versions(other_versions, candidate.calls))
    return (*found, *_week(judgement))


def for_notice(ledger: Sequence[Entry]) -> tuple[str, ...]:
    """The few lines that belong into a message, the gravest first."""
    order = list(Treatment)
    return tuple(entry.line for entry in sorted(ledger, key=lambda e: order.index(e.treatment))[:_IN_A_NOTICE])


def _promotions(nearby: Sequence[Nearby], at: datetime) -> Entry:
    named = ", ".join(f"{n.slug} {_when(n.promotion, at)}" for n in nearby[:_NAMED_AT_MOST])
    rest = len(nearby) - _NAMED_AT_MOST
    more = f" and {rest} more" if rest > 0 else ""
    others = words.count(len(nearby), "other prompt") if len(nearby) != 1 else "another prompt"
    were = "was" if len(nearby) == 1 else "were"
    return Entry(
        kind=Kind.PROMOTIONS,
        treatment=Treatment.NAMED,
        sentence=f"{others} {were} promoted at about the same time: {named}{more}",
    )


def _when(promotion: Promotion, at: datetime) -> str:
    if promotion.at == at:
        return "at the same moment"
    return f"{words.duration(abs(promotion.at - at))} {'before' if promotion.at < at else 'after'}"


def _model(moved: str, panel: Panel, candidate: Summary) -> Entry:
    around, baseline = panel.around, panel.baseline
    if around is not None and around.model_was_promoted:
        why = f"the promotion changed the parameter from {around.control_model} to {around.candidate_model}"
        return Entry(kind=Kind.MODEL, treatment=Treatment.NAMED, sentence=f"{moved}: {why}")
    if around is not None and baseline is not None and (route := around.route(baseline, candidate)):
        return Entry(kind=Kind.MODEL, treatment=Treatment.LOWERS, sentence=route, metrics=_compared(panel))
    return Entry(kind=Kind.MODEL, treatment=Treatment.NAMED, sentence=moved)


def _requests(mix: Mix, panel: Panel, lowered: tuple[Metric, ...]) -> list[Entry]:
    found = []
    if mix.segments:
        corrected = _compared(panel) if panel.segments else ()
        treatment = Treatment.CORRECTED if corrected else Treatment.NAMED
        found.append(Entry(kind=Kind.SEGMENTS, treatment=treatment, sentence=mix.segments, metrics=corrected))
    if mix.tokens:
        treatment = Treatment.LOWERS if lowered else Treatment.CORRECTED
        found.append(
            Entry(kind=Kind.TOKENS, treatment=treatment, sentence=mix.tokens, metrics=lowered or _values(panel))
        )
    return found


def _cache(cold: str, progress: Progress, compared: tuple[Metric, ...]) -> Entry:
    values = tuple(m for m in compared if m in (Metric.LATENCY, Metric.COST))
    began, until = progress.first_call_at, progress.judged_until
    if began is not None and until is not None and until - began < WARM_UP and values:
        sentence = f"{cold}: a cold cache warms up, {words.duration(WARM_UP)} are given to it"
        return Entry(kind=Kind.CACHE, treatment=Treatment.LOWERS, sentence=sentence, metrics=values)
    sentence = f"{cold}, and it did not warm up within {words.duration(WARM_UP)}: as sent now, less can be cached"
    return Entry(kind=Kind.CACHE, treatment=Treatment.NAMED, sentence=sentence)


def _other_versions(others: int, mine: int) -> Entry:
    share = words.percent(others / (others + mine))
    sentence = (
        f"{words.count(others, 'call')} of other versions since the promotion ({share} of all): caches or clients "
        "still serve them; they count for neither side"
    )
    return Entry(kind=Kind.OTHER_VERSIONS, treatment=Treatment.NAMED, sentence=sentence)


def _week(judgement: Judgement) -> list[Entry]:
    said = [r for r in judgement.readings if r.state is ReadingState.EXPLAINED and r.cause is Cause.WEEK]
    if not said:
        return []
    sentence, metrics = "; ".join(dict.fromkeys(r.because for r in said)), {r.metric for r in said}
    ordered = tuple(m for m in Metric if m in metrics)
    return [Entry(kind=Kind.WEEK, treatment=Treatment.LOWERS, sentence=sentence, metrics=ordered)]


def _explained_by_mix(judgement: Judgement) -> tuple[Metric, ...]:
    """Which metrics the requests explain just now."""
    explained = {
        r.metric for r in judgement.readings if r.state is ReadingState.EXPLAINED and r.cause in (Cause.MIX, None)
    }
    return tuple(m for m in Metric if m in explained)


def _compared(panel: Panel) -> tuple[Metric, ...]:
    """What is judged by comparison with the baseline."""
    judged = {seat.rule.metric for seat in panel.seats if seat.test is not None and seat.rule.needs_baseline}
    return tuple(m for m in Metric if m in judged)


def _values(panel: Panel) -> tuple[Metric, ...]:
    return tuple(m for m in _compared(panel) if m in (Metric.LATENCY, Metric.COST))
