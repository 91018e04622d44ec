"""
How well each change of a version explains what went wrong.

The table of what usually breaks what (`core.breakages`) is weighed by what is known: the metric that tripped, the kinds
of errors, the shapes of the failing calls where they were looked at, and the tokens.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from watchdog.core.breakages import BREAKS, CUT_SIGNS, OF_KIND, OF_SHAPE, Change, Sign, Way, ways_of
from watchdog.core.clusters import Choice
from watchdog.core.model import ErrorKind
from watchdog.core.rules import Metric
from watchdog.core.shapes import CUTS, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchdog.core.clusters import Report
    from watchdog.core.windows import Summary


_TEXTS = ("system", "user")
# Between two prompts that explain the same, the one that usually holds the instructions.
_BODY_AGAINST_SYSTEM = 0.95
_MORE_TOKENS = 1.2


@dataclass(frozen=True, kw_only=True)
class Symptoms:
    """
    What is known of what went wrong.

    Attributes:
        counts: failing calls by what they show; `of` is how many failed.
        excess: the same less what the good version would have had of it, as there is nothing to explain in a failure
            that was always there; `excess_of` is how many failed more than usual, for whatever reason.
        cut_json: what was cut is JSON.
        output_times, input_times: mean tokens of a call against the good version's; None when unknown.
    """

    metric: Metric
    counts: Mapping[Sign, int] = field(default_factory=dict)
    excess: Mapping[Sign, float] = field(default_factory=dict)
    of: int = 0
    excess_of: float = 0.0
    cut_json: bool = False
    output_times: float | None = None
    input_times: float | None = None

    @property
    def known(self) -> bool:
        """Whether there is anything to explain: of failures without a failing call nothing can be said."""
        return self.metric not in (Metric.SUCCESS, Metric.ERROR_KIND) or self.of > 0


@dataclass(frozen=True, kw_only=True)
class Support:
    """
    Attributes:
        weight: in [0, 1]; how well the change explains it.
        reason: what it explains, in words; empty for nothing.
    """

    weight: float
    reason: str


_NOTHING = Support(weight=0.0, reason="")


def symptoms(metric: Metric, candidate: Summary, baseline: Summary | None, report: Report | None = None) -> Symptoms:
    """
    What is known, the failing calls themselves before the kinds of their errors.

    Args:
        report: of the candidate's failing calls, where they were looked at.
    """
    told = None if report is None or report.choice is not Choice.FAILING or not report.clusters else report
    usual = baseline if baseline is not None and baseline.calls else None
    return replace(
        _of_kinds(metric, candidate, usual) if told is None else _of_clusters(metric, told),
        output_times=_times(
            candidate.output_tokens, candidate.calls, (usual.output_tokens, usual.calls) if usual else None
        ),
        input_times=_times(
            candidate.input_tokens, candidate.calls, (usual.input_tokens, usual.calls) if usual else None
        ),
    )


def _of_clusters(metric: Metric, report: Report) -> Symptoms:
    counts: Counter[Sign] = Counter()
    for cluster in report.clusters:
        sign = OF_SHAPE.get(cluster.shape)
        if cluster.shape is Shape.UNREAD and cluster.kind:
            sign = OF_KIND.get(ErrorKind(cluster.kind))
        if sign is not None:
            counts[sign] += cluster.count
    return Symptoms(
        metric=metric,
        counts=counts,
        excess=counts,
        of=report.looked_at,
        excess_of=report.looked_at,
        cut_json=any(cluster.json for cluster in report.clusters if cluster.shape in CUTS),
    )


def _of_kinds(metric: Metric, candidate: Summary, usual: Summary | None) -> Symptoms:
    counts: Counter[Sign] = Counter()
    excess: dict[Sign, float] = {}
    excess_of = 0.0
    for kind, n in candidate.errors.items():
        expected = usual.errors.get(kind, 0) / usual.calls * candidate.calls if usual is not None else 0.0
        more = max(0.0, n - expected)
        excess_of += more
        if (sign := OF_KIND.get(kind)) is not None:
            counts[sign] += n
            excess[sign] = excess.get(sign, 0.0) + more
    return Symptoms(metric=metric, counts=counts, excess=excess, of=candidate.failures, excess_of=excess_of)


def support(change: Change, found: Symptoms) -> Support:
    """How well the change explains it, and what of it."""
    match found.metric:
        case Metric.LATENCY | Metric.COST:
            return _of_tokens(change, found)
        case Metric.FEEDBACK:
            return _of_feedback(change)
        case Metric.SUCCESS | Metric.ERROR_KIND:
            return _of_failures(change, found)


def _of_failures(change: Change, found: Symptoms) -> Support:
    weights: dict[Sign, float] = {}
    part = "system" if change.part in _TEXTS else change.part
    for way in ways_of(change):
        for sign, weight in BREAKS.get((part, way), {}).items():
            scaled = weight * (_BODY_AGAINST_SYSTEM if change.part == "user" else 1.0)
            weights[sign] = max(weights.get(sign, 0.0), scaled)
    if not found.excess_of:
        return _NOTHING
    shares = {sign: weights.get(sign, 0.0) * n / found.excess_of for sign, n in found.excess.items()}
    if not (total := sum(shares.values())):
        return _NOTHING
    best = max(shares, key=lambda sign: (shares[sign], sign.value))
    said = _words(best, found)
    n = sum(count for sign, count in found.counts.items() if weights.get(sign, 0.0) and _words(sign, found) == said)
    return Support(weight=total, reason=f"{n:,} of {found.of:,} failures {said}")


def _words(sign: Sign, found: Symptoms) -> str:
    if sign in CUT_SIGNS - {Sign.CUT_AT_LIMIT} and found.cut_json:
        return "are JSON that is cut"
    return sign.value


def _of_tokens(change: Change, found: Symptoms) -> Support:
    """Latency and cost follow the model, then what is written, then what is read."""
    slower = found.metric is Metric.LATENCY
    ways = set(ways_of(change))
    longer = found.output_times is not None and found.output_times >= _MORE_TOKENS
    written = f"output tokens {found.output_times:.1f} times the usual" if longer else ""
    longer_answers = f"longer answers {'take longer' if slower else 'cost more'}"
    unknown = found.output_times is None
    match change.part:
        case "model":
            # A model that only writes more is explained by what lets it.
            return Support(
                weight=0.5 if longer else 0.8, reason=f"another model has another {'speed' if slower else 'price'}"
            )
        case "maxTokens" if Way.UP in ways and (longer or unknown):
            return Support(weight=0.9 if longer else 0.5, reason=written or longer_answers)
        case "stopSequences" if Way.REMOVED in ways and (longer or unknown):
            return Support(weight=0.7 if longer else 0.4, reason=written or longer_answers)
        case "system" | "user":
            return _of_text(change, found, written, longer_prompt=Way.LONGER in ways)
        case _:
            return _NOTHING


def _of_text(change: Change, found: Symptoms, written: str, *, longer_prompt: bool) -> Support:
    scale = _BODY_AGAINST_SYSTEM if change.part == "user" else 1.0
    if longer_prompt and found.input_times is not None and found.input_times >= _MORE_TOKENS:
        return Support(weight=0.85 * scale, reason=f"input tokens {found.input_times:.1f} times the usual")
    if longer_prompt and found.input_times is None:
        return Support(weight=0.4 * scale, reason="a longer prompt is more to read with every call")
    if written:
        return Support(weight=0.5 * scale, reason=f"{written}: it may ask for longer answers")
    return _NOTHING


def _of_feedback(change: Change) -> Support:
    """No failing call tells anything here: only what decides what people read."""
    ways = set(ways_of(change))
    match change.part:
        case "system":
            return Support(weight=0.4, reason="it decides what people read")
        case "user":
            return Support(weight=0.38, reason="it decides what people read")
        case "model":
            return Support(weight=0.35, reason="another model answers in another way")
        case "temperature" if Way.UP in ways:
            return Support(weight=0.3, reason="answers vary more")
        case _:
            return _NOTHING


def _times(tokens: int, calls: int, usual: tuple[int, int] | None) -> float | None:
    """Mean tokens of a call against the usual (tokens, calls); sums of 0 are unknown, since a call has some."""
    if not (tokens and calls and usual and all(usual)):
        return None
    return (tokens / calls) / (usual[0] / usual[1])
