"""What each rule measured before and after, and by how much it is worse at least: for tables and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.lens import VALUES
from watchdog.core.rules import Metric, Statistic
from watchdog.errors import StatsInputError
from watchdog.stats.interval import Interval, mean_ratio_lower, proportion_rise, quantile_ratio_lower

if TYPE_CHECKING:
    from watchdog.core.seat import Seat
    from watchdog.core.windows import Summary


class Unit(Enum):
    SHARE = "share"  # fraction in [0, 1]
    MILLISECONDS = "ms"
    DOLLARS = "usd"


class Scale(Enum):
    DIFFERENCE = "difference"  # of two shares
    RATIO = "ratio"  # after / before


@dataclass(frozen=True, kw_only=True)
class Effect:
    """
    Attributes:
        before, after: None where nothing is known, or where the rule has no "before".
        interval: each bound holds at 95 %, at any time; None where none can be given.
    """

    unit: Unit
    before: float | None
    after: float | None
    scale: Scale
    interval: Interval | None

    @property
    def change(self) -> str:
        """`16.4 % -> 68.4 %`."""
        show = _SHOWN[self.unit]
        return show(self.after) if self.before is None else f"{show(self.before)} -> {show(self.after)}"

    @property
    def bounds(self) -> str:
        """`+14.8 to +70.1 pp`, `x1.20 or more`; `-` where nothing can be said."""
        if self.interval is None:
            return words.NOTHING
        lower, upper = self.interval.lower, self.interval.upper
        show = words.points if self.scale is Scale.DIFFERENCE else words.ratio
        if lower is not None and upper is not None:
            return f"{show(lower).removesuffix(' pp')} to {show(upper)}"
        if lower is not None:
            return f"{show(lower)} or more"
        return words.NOTHING if upper is None else f"{show(upper)} or less"


_SHOWN = {Unit.SHARE: words.percent, Unit.MILLISECONDS: words.milliseconds, Unit.DOLLARS: words.dollars}


def effect_of(seat: Seat, baseline: Summary | None, candidate: Summary) -> Effect:
    """
    Args:
        baseline: None where the rule has nothing to compare with.
        candidate: what was judged.
    """
    rule, lens = seat.rule, seat.lens
    unit = _unit(seat)
    scale = Scale.DIFFERENCE if unit is Unit.SHARE else Scale.RATIO
    if unit is Unit.SHARE:
        before = None if baseline is None else lens.usual(baseline, candidate)
        after = lens.share(candidate).rate
    else:
        values = lens.values(candidate)
        quantile = 0.5 if rule.statistic is Statistic.DISTRIBUTION else rule.quantile
        before = seat.values.mean() if quantile is None else seat.values.quantile(quantile)
        after = values.mean() if quantile is None else values.quantile(quantile)
    interval = None if baseline is None or seat.test is None else _interval(seat, baseline, candidate)
    return Effect(unit=unit, before=before, after=after, scale=scale, interval=interval)


def _unit(seat: Seat) -> Unit:
    rule = seat.rule
    of_values = rule.metric in VALUES and not (rule.statistic is Statistic.LIMIT and rule.quantile is not None)
    if not of_values:
        return Unit.SHARE
    return Unit.MILLISECONDS if rule.metric is Metric.LATENCY else Unit.DOLLARS


def _interval(seat: Seat, baseline: Summary, candidate: Summary) -> Interval | None:
    rule, lens = seat.rule, seat.lens
    try:
        match rule.statistic:
            case Statistic.PROPORTION:
                if lens.compares_likes:
                    return None  # the bound is for one share, not for one a segment
                before, after = lens.share(baseline), lens.share(candidate)
                return proportion_rise(n0=before.total, y0=before.bad, n=after.total, y=after.bad)
            case Statistic.QUANTILE if rule.quantile is not None:
                lower = quantile_ratio_lower(seat.values, lens.values(candidate), rule.quantile)
            case Statistic.MEAN:
                lower = mean_ratio_lower(seat.values, lens.values(candidate))
            case _:
                return None
    except StatsInputError:
        return None  # too little on one of the two sides
    return None if lower is None else Interval(lower=lower, upper=None)
