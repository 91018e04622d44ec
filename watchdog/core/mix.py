"""
Did the requests themselves change? A test of the mix beside the verdict, and whether the mix can explain it.

Known segments and input tokens of latency and cost are corrected for by the lens; what is left is named here. A rise of
failures that disappears once requests of like length are compared is no verdict on the prompt. Whether the promotion
itself brought another model or a cold prompt cache is not known here: `core.circumstances` judges them.

The test is a fixed-size one, read at every look: it can only lower a verdict, and only one that the mix explains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from watchdog.core import words
from watchdog.core.cells import CellKey
from watchdog.core.lens import VALUES, bad_of, histogram_of
from watchdog.core.rules import Metric, Statistic
from watchdog.errors import StatsInputError
from watchdog.stats import special
from watchdog.stats.eprocess import at_once
from watchdog.stats.interval import mean_ratio_lower, quantile_ratio_lower
from watchdog.stats.reference import SMALLEST_STRATUM
from watchdog.stats.stratified import StratifiedProportionTest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchdog.core.seat import Seat
    from watchdog.core.windows import Summary
    from watchdog.stats.histogram import FloatArray

LEVEL = 0.001
# Smaller changes of the mix than a tenth of the calls explain little.
SMALLEST_MOVE = 0.1
# Categories with fewer calls in all are taken together: the chi-squared law needs some in each.
_FEW = 10
_CACHED_MOVE = 0.2
_MOST = 0.5
# Standard deviations that chance reaches once in some two thousand looks.
_HARDLY_CHANCE = 3.3
# Lengths up to twice those that the baseline knows are compared with the nearest that it knows.
_WITHIN_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class Mix:
    """
    What moved, one sentence each with its numbers; empty for what did not.

    Attributes:
        models: which of them answer.
        cached: the share of input tokens from the provider's cache.
    """

    segments: str = ""
    tokens: str = ""
    models: str = ""
    cached: str = ""

    @property
    def tokens_moved(self) -> bool:
        return bool(self.tokens)

    @property
    def notes(self) -> tuple[str, ...]:
        """All that moved."""
        return tuple(note for note in (self.segments, self.tokens, self.models, self.cached) if note)


def compare(baseline: Summary | None, candidate: Summary) -> Mix:
    """What moved between the baseline's requests and the candidate's; a handful of these shows no mix."""
    if baseline is None or candidate.calls < SMALLEST_STRATUM:
        return Mix()
    segments = _moved(_segments(baseline), _segments(candidate))
    tokens = ""
    if _moved(_tokens(baseline), _tokens(candidate)) is not None:
        before, now = baseline.input_tokens / baseline.calls, candidate.input_tokens / candidate.calls
        tokens = (
            f"input tokens per call {before:,.0f} -> {now:,.0f}: other requests, or a longer prompt; "
            "latency and cost are compared at like input"
        )
    models = _moved(baseline.models, candidate.models)
    return Mix(
        segments="" if segments is None else f"segments moved, most of all {segments}",
        tokens=tokens,
        models="" if models is None else f"the model that answers moved, most of all {models}",
        cached=_cached(baseline, candidate) or "",
    )


def mostly_other_models(baseline: Summary, candidate: Summary) -> str:
    """
    Which model's share moved most, where more than half of the calls are answered by another model than before; empty
    where they are not. A handful of calls can show it.
    """
    n0, n1 = sum(baseline.models.values()), sum(candidate.models.values())
    if not n0 or not n1:
        return ""
    risen = sum(max(0.0, n / n1 - baseline.models.get(model, 0) / n0) for model, n in candidate.models.items())
    return (_moved(baseline.models, candidate.models) or "") if risen > _MOST else ""


def cached_fell(baseline: Summary, candidate: Summary) -> str:
    """By how much less of the input comes from the provider's cache, where it is much less; empty where it is not."""
    if not baseline.input_tokens or not candidate.input_tokens:
        return ""
    fell = baseline.cached_tokens / baseline.input_tokens > candidate.cached_tokens / candidate.input_tokens
    return (_cached(baseline, candidate) or "") if fell else ""


def explains(seat: Seat, baseline: Summary, candidate: Summary) -> bool:
    """
    Whether a rise of a share disappears once requests with like input tokens are compared: the calls so far, each
    length against the baseline's own share there, do not reach the rule's threshold.
    """
    rule = seat.rule
    if rule.statistic is not Statistic.PROPORTION or rule.metric in VALUES or rule.metric is Metric.FEEDBACK:
        return False
    n0, y0, n, y = _by_length(seat, baseline, candidate)
    try:
        test = StratifiedProportionTest.against(
            n0, y0, alpha=seat.alpha, n_windows=1, margin_abs=rule.margin_abs, margin_rel=rule.margin_rel
        )
    except StatsInputError:
        return True  # no length is known well enough to contradict it
    return at_once(test.design, test.increments(n, y)) < test.design.threshold


def rise_at_any_length(seat: Seat, baseline: Summary, candidate: Summary) -> float | None:
    """
    By how much latency or cost of all calls together rose at the least, beyond the margin; None where they did not.

    Compared at like input it need not have: then the requests are longer, or the prompt is. Nobody but people can tell.
    """
    rule = seat.rule
    before, now = histogram_of(rule, baseline), histogram_of(rule, candidate)
    rise: float | None = None
    try:
        if rule.statistic is Statistic.QUANTILE and rule.quantile is not None:
            rise = quantile_ratio_lower(before, now, rule.quantile)
        elif rule.statistic is Statistic.MEAN:
            rise = mean_ratio_lower(before, now)
    except StatsInputError:
        return None
    return rise if rise is not None and rise > 1.0 + rule.margin_rel else None


def looks_worse(seat: Seat, baseline: Summary, candidate: Summary) -> bool:
    """
    Whether a share of bad calls lies so far beyond the margin that independent calls could hardly do it, although the
    rule, which knows how small and how uneven the baseline was, does not say so.
    """
    rule = seat.rule
    if rule.statistic is not Statistic.PROPORTION or rule.metric is Metric.FEEDBACK:
        return False
    usual, now, known = seat.lens.usual(baseline, candidate), seat.lens.share(candidate), seat.lens.share(baseline)
    if usual is None or now.rate is None:
        return False
    allowed = min(max(usual + rule.margin_abs, usual * (1.0 + rule.margin_rel)), 1.0)
    spread = math.sqrt(max(allowed * (1.0 - allowed), 1.0 / known.total) * (1.0 / now.total + 1.0 / known.total))
    return now.rate - allowed > _HARDLY_CHANCE * spread


def _by_length(
    seat: Seat, baseline: Summary, candidate: Summary
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """
    Calls and bad ones of both, by segment and length; neighbouring lengths are taken together until the baseline has
    enough calls of them.
    """
    groups: list[tuple[float, float, float, float]] = []
    segments = sorted({key.segment for key in baseline.cells})
    for segment in segments:
        steps = sorted({_place(key) for key in (*baseline.cells, *candidate.cells) if key.segment == segment})
        group = (0.0, 0.0, 0.0, 0.0)
        known = [_place(key) for key in baseline.cells if key.segment == segment]
        for step in steps:
            if not min(known) - _WITHIN_STEPS <= step <= max(known) + _WITHIN_STEPS:
                continue
            parts = [s.cells.get(CellKey(segment, step if step >= 0 else None)) for s in (baseline, candidate)]
            counts = [(c.calls, bad_of(seat.rule, c)) if c else (0, 0) for c in parts]
            group = (
                group[0] + counts[0][0],
                group[1] + counts[0][1],
                group[2] + counts[1][0],
                group[3] + counts[1][1],
            )
            if group[0] >= SMALLEST_STRATUM:
                groups.append(group)
                group = (0.0, 0.0, 0.0, 0.0)
        if any(group) and groups:
            last = groups.pop()
            groups.append((last[0] + group[0], last[1] + group[1], last[2] + group[2], last[3] + group[3]))
    table = np.array(groups).reshape(-1, 4)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3]


def _place(key: CellKey) -> int:
    """On the token grid; calls whose input is not known come first."""
    return -1 if key.tokens is None else key.tokens


def _moved(before: Mapping[str, int], now: Mapping[str, int]) -> str | None:
    """Which category's share moved most, when the shares moved at all; None otherwise."""
    n0, n1 = sum(before.values()), sum(now.values())
    if not n0 or not n1:
        return None
    names = sorted({*before, *now})
    share0 = np.array([before.get(name, 0) / n0 for name in names])
    share1 = np.array([now.get(name, 0) / n1 for name in names])
    if 0.5 * float(np.abs(share1 - share0).sum()) < SMALLEST_MOVE:
        return None
    if _p_value(share0 * n0, share1 * n1) > LEVEL:
        return None
    most = int(np.argmax(np.abs(share1 - share0)))
    return f"{names[most] or '(none)'} {words.percent(float(share0[most]))} -> {words.percent(float(share1[most]))}"


def _p_value(before: FloatArray, now: FloatArray) -> float:
    """Chi-squared test that both counts come from the same shares, rare categories taken together."""
    table = np.stack([before, now]).astype(np.float64)
    rare = table.sum(axis=0) < _FEW
    table = np.concatenate([table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True)], axis=1)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    return float(special.chdtrc(table.shape[1] - 1, float(((table - expected) ** 2 / expected).sum())))


def _segments(calls: Summary) -> dict[str, int]:
    counts: dict[str, int] = {}
    for key, cell in calls.cells.items():
        counts[key.segment] = counts.get(key.segment, 0) + cell.calls
    return counts


def _tokens(calls: Summary) -> dict[str, int]:
    counts: dict[str, int] = {}
    for key, cell in calls.cells.items():
        if key.tokens is not None:
            counts[str(key.tokens)] = counts.get(str(key.tokens), 0) + cell.calls
    return counts


def _cached(baseline: Summary, candidate: Summary) -> str | None:
    if not baseline.input_tokens or not candidate.input_tokens:
        return None
    before = baseline.cached_tokens / baseline.input_tokens
    now = candidate.cached_tokens / candidate.input_tokens
    if math.fabs(now - before) < _CACHED_MOVE:
        return None
    return f"input tokens from the provider's cache {words.percent(before)} -> {words.percent(now)}"
