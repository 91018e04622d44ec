"""The one line with which a reader can redo a rule's decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.lens import VALUES
from watchdog.core.rules import Metric, Rule, Statistic
from watchdog.errors import StatsInputError
from watchdog.stats.interval import mean_ratio_lower, proportion_rise, quantile_ratio_lower

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.core.seat import Seat
    from watchdog.core.windows import Summary

_BOUND = "(95 %, any time)"


def sentence(
    seat: Seat,
    baseline: Summary | None,
    candidate: Summary,
    *,
    odds_nats: float,
    needed_nats: float,
    with_bound: bool,
) -> str:
    """
    Args:
        odds_nats: minus the logarithm of the anytime p-value.
        needed_nats: evidence at which the rule trips.
        with_bound: also say by how much it is worse at least; costs up to 100 ms.
    """
    effect = _effect(seat, baseline, candidate)
    bound = _at_least(seat, baseline, candidate) if with_bound else ""
    likes = "like requests compared" if seat.lens.compares_likes else ""
    odds = f"odds of this by chance {words.odds(odds_nats)}, trips at {words.odds(needed_nats)}"
    return "; ".join(part for part in (f"{effect}{bound}", _margin(seat.rule), likes, odds) if part)


def level(seat: Seat, calls: Summary, candidate: Summary) -> str:
    """
    What the rule looks at, of these calls: `failures 4.1 %`.

    Args:
        candidate: at whose mix of segments a share is taken.
    """
    rule, values = seat.rule, seat.lens.values
    unit = _unit(rule)
    match rule.statistic:
        case Statistic.QUANTILE:
            p = rule.quantile or 0.5
            return f"p{100 * p:g} {rule.metric.value} {unit(values(calls).quantile(p))}"
        case Statistic.DISTRIBUTION:
            median, tail = (unit(values(calls).quantile(p)) for p in (0.5, 0.95))
            return f"p50 {rule.metric.value} {median}, p95 {tail}"
        case Statistic.MEAN:
            return f"mean {rule.metric.value} {unit(values(calls).mean())} per call"
        case Statistic.PROPORTION | Statistic.LIMIT:
            return f"{_noun(rule)} {words.percent(seat.lens.usual(calls, candidate))}"


def _effect(seat: Seat, baseline: Summary | None, candidate: Summary) -> str:
    rule = seat.rule
    match rule.statistic:
        case Statistic.PROPORTION | Statistic.LIMIT if rule.metric not in VALUES or rule.quantile is not None:
            now = seat.lens.share(candidate)
            counts = f"{now.bad:,} of {now.total:,}"
            if rule.statistic is Statistic.LIMIT or baseline is None:
                return f"{_noun(rule)} {words.percent(now.rate)} so far ({counts})"
            before = seat.lens.usual(baseline, candidate)
            return f"{_noun(rule)} {words.percent(before)} -> {words.percent(now.rate)} so far ({counts})"
        case Statistic.QUANTILE:
            return _values(seat, candidate, rule.quantile or 0.5)
        case Statistic.DISTRIBUTION:
            return f"{_values(seat, candidate, 0.5)}, {_values(seat, candidate, 0.95)}"
        case _:
            return _means(seat, candidate)


def _values(seat: Seat, candidate: Summary, p: float) -> str:
    unit = _unit(seat.rule)
    before, now = seat.values.quantile(p), seat.lens.values(candidate).quantile(p)
    return f"p{100 * p:g} {seat.rule.metric.value} {unit(before)} -> {unit(now)}{_times(before, now)}"


def _means(seat: Seat, candidate: Summary) -> str:
    unit = _unit(seat.rule)
    before, now = seat.values.mean(), seat.lens.values(candidate).mean()
    if seat.rule.statistic is Statistic.LIMIT or before is None:
        return f"mean {seat.rule.metric.value} {unit(now)} per call so far"
    return f"mean {seat.rule.metric.value} {unit(before)} -> {unit(now)} per call{_times(before, now)}"


def _times(before: float | None, now: float | None) -> str:
    return f" ({words.ratio(now / before)})" if before and now is not None else ""


def _at_least(seat: Seat, baseline: Summary | None, candidate: Summary) -> str:
    """By how much it is worse at the least; empty where nothing can be said."""
    if baseline is None:
        return ""
    rule, lens = seat.rule, seat.lens
    try:
        if rule.statistic is Statistic.PROPORTION:
            if lens.compares_likes:
                return ""  # the bound is for one share, not for one a segment
            before, now = lens.share(baseline), lens.share(candidate)
            lower = proportion_rise(n0=before.total, y0=before.bad, n=now.total, y=now.bad).lower
            return f", at least {words.points(lower)} {_BOUND}" if lower is not None and lower > 0 else ""
        ratio: float | None = None
        if rule.statistic is Statistic.QUANTILE and rule.quantile is not None:
            ratio = quantile_ratio_lower(seat.values, lens.values(candidate), rule.quantile)
        elif rule.statistic is Statistic.MEAN:
            ratio = mean_ratio_lower(seat.values, lens.values(candidate))
    except StatsInputError:
        return ""  # the line stands without its bound
    return f", at least {words.ratio(ratio)} {_BOUND}" if ratio is not None and ratio > 1 else ""


def _margin(rule: Rule) -> str:
    if rule.statistic is Statistic.LIMIT:
        if rule.metric in VALUES:
            value = f"{_unit(rule)(rule.limit_value)}"
            return f"limit p{100 * rule.quantile:g} {value}" if rule.quantile else f"limit {value} per call"
        return f"limit {words.percent(rule.limit_share)}"
    parts = []
    if rule.margin_abs:
        parts.append(f"{100 * rule.margin_abs:g} pp")
    if rule.margin_rel:
        parts.append(f"{100 * rule.margin_rel:g} %")
    return f"margin {' or '.join(parts)}" if parts else "no margin"


def _noun(rule: Rule) -> str:
    match rule.metric:
        case Metric.SUCCESS:
            return "failures"
        case Metric.ERROR_KIND:
            kind = rule.error_kind.value.replace("_", " ") if rule.error_kind else "errors"
            return f"{kind} failures"
        case Metric.FEEDBACK:
            return "negative feedback"
        case Metric.LATENCY | Metric.COST:
            return f"calls over {_unit(rule)(rule.limit_value)}"


def _unit(rule: Rule) -> Callable[[float | None], str]:
    return words.milliseconds if rule.metric is Metric.LATENCY else words.dollars
