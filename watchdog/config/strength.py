"""
How strong each rule is at some traffic: the calls that it needs to see a typical worsening, and the smallest that it
can see at all. Computed by the very tests that judge, from an assumed baseline or a real one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.cells import Cell, merged
from watchdog.core.panel import assemble
from watchdog.core.rules import Method, Metric, Rule, RuleSet, Statistic
from watchdog.core.seat import observations
from watchdog.core.windows import WINDOW, Summary
from watchdog.stats.histogram import GAMMA, LogHistogram, bucket_of
from watchdog.stats.power import calls_to_trip, lognormal

if TYPE_CHECKING:
    from datetime import timedelta

    from watchdog.core.seat import Seat

# Assumed where nothing is known.
FAILURES = 0.01
OF_ONE_KIND = 0.005
GIVES_FEEDBACK = 0.02
BAD_FEEDBACK = 0.2
SIGMA = 0.6
ASSUMED = (
    f"success {100 * (1 - FAILURES):g} %, {100 * OF_ONE_KIND:g} % for one kind of error, feedback on "
    f"{100 * GIVES_FEEDBACK:g} % of the calls with {100 * BAD_FEEDBACK:g} % of it bad, latency and cost lognormal with "
    f"sigma {SIGMA:g}"
)
_MEDIAN_MS = 1000.0
_MEDIAN_USD = 0.01
# So many calls that rounding to whole ones does not matter.
_MANY = 1_000_000
_LARGEST_RATIO = 100.0
_HALVINGS = 12
_VALUES = (Metric.LATENCY, Metric.COST)


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """
    Attributes:
        prompt: slug; empty where it is any prompt.
        rate_per_s: calls a second, > 0.
        baseline: what a promotion would be compared with.
    """

    prompt: str
    rate_per_s: float
    baseline: Summary


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """
    What one rule can do at some traffic.

    Attributes:
        effect: a worsening in words, such as `-5 pp (failures 1 % -> 6 %)`.
        calls: until it is seen, about, of those that the rule looks at; None when a whole watch is not enough.
        seconds: the same as time.
        smallest: the smallest worsening that a whole watch can show, beyond the baseline or the limit: a share, or a
            ratio less one; None when it can show none.
        smallest_text: the same in words.
        unable: why the rule is silent at this baseline; empty otherwise.
    """

    rule: str
    effect: str
    calls: float | None = None
    seconds: float | None = None
    smallest: float | None = None
    smallest_text: str = ""
    unable: str = ""


def assumed_traffic(rules: RuleSet, *, rate_per_s: float, baseline_calls: int) -> Traffic:
    """Some prompt of which nothing is known but its traffic."""
    kinds = {rule.error_kind for rule in rules.rules} - {None}
    feedback = round(GIVES_FEEDBACK * baseline_calls)
    bad_feedback = round(BAD_FEEDBACK * feedback)
    return Traffic(
        prompt="",
        rate_per_s=rate_per_s,
        baseline=Summary(
            calls=baseline_calls,
            failures=round(FAILURES * baseline_calls),
            errors={kind: round(OF_ONE_KIND * baseline_calls) for kind in kinds if kind is not None},
            latency_ms=_usual(baseline_calls, _MEDIAN_MS),
            cost_usd=_usual(baseline_calls, _MEDIAN_USD),
            feedback_good=feedback - bad_feedback,
            feedback_bad=bad_feedback,
        ),
    )


def forecasts(rules: RuleSet, traffic: Traffic, *, length: timedelta, min_baseline_calls: int) -> tuple[Forecast, ...]:
    """
    One for each rule, in their order. Classical methods count as the sequential one, which they trail by up to 30 %.

    Args:
        length: of a watch.
    """
    sequential = replace(rules, rules=tuple(replace(rule, method=Method.SEQUENTIAL) for rule in rules.rules))
    n_windows = max(1, length // WINDOW)
    panel = assemble(sequential, traffic.baseline, n_windows=n_windows, min_baseline_calls=min_baseline_calls)
    # What is known of the values is only assumed where no prompt is named: a limit says nothing about it.
    unlimited = assemble(sequential, None, n_windows=n_windows, min_baseline_calls=min_baseline_calls)
    return tuple(
        _forecast(seat if seat.rule.needs_baseline or traffic.prompt else other, traffic, length)
        for seat, other in zip(panel.seats, unlimited.seats, strict=True)
    )


def tolerated(rule: Rule, baseline: Summary) -> float:
    """The worsening that the rule allows: a rise of a share, or a ratio less one; 0 for limits."""
    if rule.statistic is Statistic.LIMIT:
        return 0.0
    if rule.metric in _VALUES:
        return rule.margin_rel
    return max(rule.margin_abs, rule.margin_rel * _share(rule, baseline))


def _forecast(seat: Seat, traffic: Traffic, length: timedelta) -> Forecast:
    rule, baseline = seat.rule, traffic.baseline
    size = _typical(rule, baseline)
    effect = _effect(rule, baseline, size)
    if seat.test is None:
        return Forecast(rule=rule.name, effect=effect, unable=seat.unable)
    share_seen = observations(seat.lens, baseline) / max(1, baseline.calls) if rule.metric is Metric.FEEDBACK else 1.0
    rate = traffic.rate_per_s * share_seen
    if rate == 0.0:
        return Forecast(rule=rule.name, effect=effect, unable="nobody gives feedback")
    calls = _calls(seat, baseline, size, rate, length)
    smallest = _smallest(seat, baseline, rate, length)
    return Forecast(
        rule=rule.name,
        effect=effect,
        calls=calls,
        seconds=None if calls is None else calls / rate,
        smallest=smallest,
        smallest_text="" if smallest is None else _size_text(rule, baseline, smallest),
    )


def _calls(seat: Seat, baseline: Summary, size: float, rate_per_s: float, length: timedelta) -> float | None:
    most = rate_per_s * length.total_seconds()
    candidate = _candidate(seat.rule, baseline, size)
    growth = seat.increments(candidate) / observations(seat.lens, candidate)
    calls = calls_to_trip(seat.design, growth, calls_per_window=rate_per_s * WINDOW.total_seconds(), most_calls=most)
    needed = None if calls is None else max(calls, float(seat.rule.min_calls))
    return None if needed is None or needed > most else needed


def _smallest(seat: Seat, baseline: Summary, rate_per_s: float, length: timedelta) -> float | None:
    high = _worst(seat.rule, baseline)
    if _calls(seat, baseline, high, rate_per_s, length) is None:
        return None
    low = high / 10_000.0
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        if _calls(seat, baseline, middle, rate_per_s, length) is None:
            low = middle
        else:
            high = middle
    return high


def _candidate(rule: Rule, baseline: Summary, size: float) -> Summary:
    """Very many calls that are worse by this much."""
    if rule.statistic is Statistic.LIMIT:
        return _beyond_limit(rule, size)
    times = max(1, _MANY // max(1, baseline.calls))
    if rule.metric is Metric.FEEDBACK:
        given = times * (baseline.feedback_good + baseline.feedback_bad)
        bad = round(given * min(1.0, _share(rule, baseline) + size))
        return replace(baseline, feedback_good=given - bad, feedback_bad=bad)
    turned = size / max(1e-12, 1.0 - _share(rule, baseline))
    shift = round(math.log1p(size) / math.log(GAMMA))
    if not baseline.kinds:
        whole = _worse(rule, _as_cell(baseline), times, turned, shift)
        return _as_summary(whole)
    kinds = {key: _worse(rule, cell, times, turned, shift) for key, cell in baseline.kinds.items()}
    return replace(_as_summary(merged(kinds)), kinds=kinds)


def _worse(rule: Rule, cell: Cell, times: int, turned: float, shift: int) -> Cell:
    """
    Args:
        turned: share of the good calls that turn bad, for rules on shares.
        shift: buckets by which values move, for the others.
    """
    calls = times * cell.calls
    if rule.metric is Metric.SUCCESS:
        failures = times * cell.failures
        return replace(cell, calls=calls, failures=failures + round(turned * (calls - failures)))
    if rule.metric is Metric.ERROR_KIND and rule.error_kind is not None:
        bad = times * cell.errors.get(rule.error_kind, 0)
        return replace(cell, calls=calls, errors={rule.error_kind: bad + round(turned * (calls - bad))})
    return replace(
        cell,
        calls=calls,
        latency_ms=_moved(cell.latency_ms, times, shift),
        cost_usd=_moved(cell.cost_usd, times, shift),
    )


def _beyond_limit(rule: Rule, size: float) -> Summary:
    if rule.metric in _VALUES:
        limit = rule.limit_value or 0.0
        if rule.quantile is None:
            values = lognormal(_MANY, median=(1.0 + size) * limit * math.exp(-SIGMA * SIGMA / 2.0), sigma=SIGMA)
        else:
            over = round(_MANY * min(1.0, 1.0 - rule.quantile + size))
            values = LogHistogram({bucket_of(limit / 2.0): _MANY - over, bucket_of(limit * 2.0): over})
        return Summary(calls=_MANY, latency_ms=values, cost_usd=values)
    bad = round(_MANY * min(1.0, (rule.limit_share or 0.0) + size))
    errors = {} if rule.error_kind is None else {rule.error_kind: bad}
    return Summary(calls=_MANY, failures=bad, errors=errors, feedback_good=_MANY - bad, feedback_bad=bad)


def _typical(rule: Rule, baseline: Summary) -> float:
    """A worsening that a team would want to hear of."""
    if rule.statistic is Statistic.LIMIT:
        share = _limit_share(rule)
        return 1.0 if share is None else min(share, 1.0 - share)
    allowed = tolerated(rule, baseline)
    if rule.metric in _VALUES:
        usual = 0.5 if rule.statistic is Statistic.MEAN else 1.0
        return usual if allowed <= usual / 2.0 else 3.0 * allowed
    return min(0.05 if allowed <= 0.025 else 2.0 * allowed, _worst(rule, baseline))


def _worst(rule: Rule, baseline: Summary) -> float:
    if rule.statistic is Statistic.LIMIT:
        share = _limit_share(rule)
        return _LARGEST_RATIO if share is None else 1.0 - share
    return _LARGEST_RATIO if rule.metric in _VALUES else max(1e-6, 1.0 - _share(rule, baseline))


def _limit_share(rule: Rule) -> float | None:
    """The share of calls that a limit allows; None for a limit on the mean."""
    if rule.limit_share is not None:
        return rule.limit_share
    return None if rule.quantile is None else 1.0 - rule.quantile


def _share(rule: Rule, baseline: Summary) -> float:
    """The baseline's share of bad calls."""
    match rule.metric:
        case Metric.FEEDBACK:
            return baseline.feedback_bad / max(1, baseline.feedback_good + baseline.feedback_bad)
        case Metric.ERROR_KIND:
            bad = 0 if rule.error_kind is None else baseline.errors.get(rule.error_kind, 0)
            return bad / max(1, baseline.calls)
        case Metric.SUCCESS | Metric.LATENCY | Metric.COST:
            return baseline.failures / max(1, baseline.calls)


def _effect(rule: Rule, baseline: Summary, size: float) -> str:
    what = _what(rule)
    if rule.statistic is Statistic.LIMIT:
        share = _limit_share(rule)
        if share is not None:
            over = f" over {_amount(rule, rule.limit_value)}" if rule.metric in _VALUES else ""
            return f"{'calls' if over else what}{over} at {_percent(share + size)}"
        return f"mean {what} at {_amount(rule, (1.0 + size) * (rule.limit_value or 0.0))}"
    if rule.metric in _VALUES:
        return f"{what} x{1.0 + size:g}"
    before = _share(rule, baseline)
    return f"{_size_text(rule, baseline, size)} ({what} {_percent(before)} -> {_percent(before + size)})"


def _size_text(rule: Rule, baseline: Summary, size: float) -> str:
    if rule.statistic is Statistic.LIMIT:
        return _effect(rule, baseline, size)
    if rule.metric in _VALUES:
        return f"x{1.0 + size:.3g}"
    # Success falls where failures rise.
    return f"{'-' if rule.metric is Metric.SUCCESS else '+'}{100.0 * size:.2g} pp"


def _what(rule: Rule) -> str:
    match rule.metric:
        case Metric.SUCCESS:
            return "failures"
        case Metric.ERROR_KIND:
            return "" if rule.error_kind is None else f"`{rule.error_kind.value}`"
        case Metric.FEEDBACK:
            return "bad feedback"
        case Metric.LATENCY:
            return "latency"
        case Metric.COST:
            return "cost"


def _amount(rule: Rule, value: float | None) -> str:
    return words.milliseconds(value) if rule.metric is Metric.LATENCY else words.dollars(value)


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"


def _usual(n: int, median: float) -> LogHistogram:
    return lognormal(n, median=median, sigma=SIGMA) if n else LogHistogram()


def _moved(values: LogHistogram, times: int, shift: int) -> LogHistogram:
    return LogHistogram({bucket + shift: times * n for bucket, n in values.counts.items()}, times * values.zeros)


def _as_cell(summary: Summary) -> Cell:
    return Cell(
        calls=summary.calls,
        failures=summary.failures,
        errors=summary.errors,
        latency_ms=summary.latency_ms,
        cost_usd=summary.cost_usd,
    )


def _as_summary(cell: Cell) -> Summary:
    return Summary(
        calls=cell.calls,
        failures=cell.failures,
        errors=cell.errors,
        latency_ms=cell.latency_ms,
        cost_usd=cell.cost_usd,
    )
