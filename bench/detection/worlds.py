"""
Worlds in which nothing, or nothing beyond the margin, is wrong with the candidate: a day of the control's calls, then a
day of the candidate's, minute by minute.

What moves (failures, latency, cost) moves in both days by the same law: a rule that trips reverts a harmless promotion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.detection.laws import VALUES, Law, histogram_of
from watchdog.stats.histogram import GAMMA, LogHistogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.stats.histogram import FloatArray, IntArray

MINUTES_PER_DAY = 1440
FAILURE_SHARE = 0.01
_LOG_GAMMA = math.log(GAMMA)


@dataclass(frozen=True, kw_only=True, eq=False)
class Weather:
    """
    What the provider does, by minute.

    Attributes:
        failure_share: shape (minutes,), in [0, 1].
        slowdown: shape (minutes,), ln of the factor on latency.
        dearness: shape (minutes,), ln of the factor on cost.
    """

    failure_share: FloatArray
    slowdown: FloatArray
    dearness: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Climate:
    """
    Attributes:
        name: as in the tables.
        weather: of so many minutes, from a generator.
    """

    name: str
    weather: Callable[[int, np.random.Generator], Weather]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What the candidate itself does to its calls; the default is nothing."""

    more_failures: float = 0.0
    latency_factor: float = 1.0
    cost_factor: float = 1.0


UNCHANGED = Change()


@dataclass(frozen=True, kw_only=True, eq=False)
class Calls:
    """
    A day of one version.

    Attributes:
        per_minute: shape (minutes,), calls.
        failures: shape (minutes,), how many of them failed.
        latency, cost: shape (calls,), bucket of each call, in order of time.
    """

    per_minute: IntArray
    failures: IntArray
    latency: IntArray
    cost: IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Baseline:
    """
    The control's day as it is frozen.

    Attributes:
        calls, failures: counts over the day.
        by_minute: the same calls in order of time, what tempering learns from; None where nobody asked for them.
    """

    calls: int
    failures: int
    latency: LogHistogram
    cost: LogHistogram
    by_minute: Calls | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """
    Attributes:
        calls_per_s: mean rate of a Poisson process.
        latency, cost: laws of single calls before the weather.
        change: what the candidate does to its calls.
        baseline_days: how many days' calls the baseline holds, all within its one day of weather.
    """

    climate: Climate
    calls_per_s: float
    latency: Law
    cost: Law
    change: Change = UNCHANGED
    baseline_days: int = 1

    def promotion(self, rng: np.random.Generator, *, by_minute: bool = False) -> tuple[Baseline, Calls]:
        """
        One promotion: the control's day, and the candidate's.

        Args:
            by_minute: keep the control's calls as well as their summary.
        """
        weather = self.climate.weather(2 * MINUTES_PER_DAY, rng)
        n = rng.poisson(60.0 * self.calls_per_s, 2 * MINUTES_PER_DAY)
        before, after = slice(0, MINUTES_PER_DAY), slice(MINUTES_PER_DAY, None)
        if self.baseline_days > 1:
            n[before] += rng.poisson(60.0 * self.calls_per_s * (self.baseline_days - 1), MINUTES_PER_DAY)
        if by_minute:
            baseline = summary_of(self.day(n[before], weather, before, UNCHANGED, rng))
        else:
            baseline = Baseline(
                calls=int(n[before].sum()),
                failures=int(rng.binomial(n[before], weather.failure_share[before]).sum()),
                latency=day_by_bucket(self.latency, n[before], weather.slowdown[before], rng),
                cost=day_by_bucket(self.cost, n[before], weather.dearness[before], rng),
            )
        return baseline, self.day(n[after], weather, after, self.change, rng)

    def day(
        self, per_minute: IntArray, weather: Weather, when: slice, change: Change, rng: np.random.Generator
    ) -> Calls:
        """Calls of one version, so many a minute, in that part of the weather."""
        share = np.minimum(weather.failure_share[when] + change.more_failures, 1.0)
        latency = self.latency.buckets(change.latency_factor)
        cost = self.cost.buckets(change.cost_factor)
        return Calls(
            per_minute=per_minute,
            failures=rng.binomial(per_minute, share),
            latency=_by_call(latency, per_minute, weather.slowdown[when], rng),
            cost=_by_call(cost, per_minute, weather.dearness[when], rng),
        )


def summary_of(calls: Calls) -> Baseline:
    """As it is frozen, with the calls by minute."""
    return Baseline(
        calls=int(calls.per_minute.sum()),
        failures=int(calls.failures.sum()),
        latency=histogram_of(*np.unique(calls.latency, return_counts=True)),
        cost=histogram_of(*np.unique(calls.cost, return_counts=True)),
        by_minute=calls,
    )


def buckets_moved(log_factor: FloatArray) -> IntArray:
    """By how many buckets a factor moves a value."""
    shift: IntArray = np.rint(log_factor / _LOG_GAMMA).astype(np.int64)
    return shift


def _by_call(buckets: IntArray, per_minute: IntArray, log_factor: FloatArray, rng: np.random.Generator) -> IntArray:
    drawn = buckets[rng.integers(0, VALUES, int(per_minute.sum()), dtype=np.uint16)]
    return drawn + np.repeat(buckets_moved(log_factor), per_minute) if log_factor.any() else drawn


def day_by_bucket(law: Law, per_minute: IntArray, log_factor: FloatArray, rng: np.random.Generator) -> LogHistogram:
    """So many values a minute, each minute's times its factor, without drawing them one by one."""
    buckets, probabilities = law.by_bucket
    shifts, at = np.unique(buckets_moved(log_factor), return_inverse=True)
    calls = np.bincount(at, per_minute, minlength=shifts.size).astype(np.int64)
    counts = rng.multinomial(calls, probabilities)
    low = int(buckets[0] + shifts[0])
    total = np.zeros(int(buckets[-1] + shifts[-1]) - low + 1, dtype=np.int64)
    for shift, row in zip(shifts.tolist(), counts, strict=True):
        total[buckets + shift - low] += row
    return histogram_of(np.arange(total.size) + low, total)


def _still(minutes: int) -> FloatArray:
    return np.zeros(minutes)


def independent(minutes: int, rng: np.random.Generator) -> Weather:
    """Every call by itself."""
    del rng
    return Weather(failure_share=np.full(minutes, FAILURE_SHARE), slowdown=_still(minutes), dearness=_still(minutes))


def overdispersed(minutes: int, rng: np.random.Generator) -> Weather:
    """Beta-binomial minutes, intraclass correlation 0.02; 2 % of the variance of ln latency and ln cost by minute."""
    scale = 1.0 / 0.02 - 1.0
    return Weather(
        failure_share=rng.beta(FAILURE_SHARE * scale, (1.0 - FAILURE_SHARE) * scale, minutes),
        slowdown=rng.normal(0.0, 0.5 * math.sqrt(0.02), minutes),
        dearness=rng.normal(0.0, 0.6 * math.sqrt(0.02), minutes),
    )


def slow_drift(minutes: int, rng: np.random.Generator) -> Weather:
    """First-order autoregression, 30 minutes: ln of the failure share with sd 0.35, ln latency and ln cost with 0.1."""

    def path(sd: float) -> FloatArray:
        keep = math.exp(-1.0 / 30.0)
        steps = rng.normal(0.0, sd * math.sqrt(1.0 - keep * keep), minutes)
        value = float(rng.normal(0.0, sd))
        out = np.empty(minutes)
        for t, shock in enumerate(steps.tolist()):
            value = keep * value + shock
            out[t] = value
        return out

    share = FAILURE_SHARE * np.exp(path(0.35) - 0.35**2 / 2.0)
    return Weather(failure_share=np.minimum(share, 1.0), slowdown=path(0.1), dearness=path(0.1))


def diurnal(minutes: int, rng: np.random.Generator) -> Weather:
    """A day's wave: failures +-50 %, latency and cost +-15 %."""
    wave = np.sin(2.0 * math.pi * (np.arange(minutes) / MINUTES_PER_DAY + rng.random()))
    return Weather(failure_share=FAILURE_SHARE * (1.0 + 0.5 * wave), slowdown=0.15 * wave, dearness=0.15 * wave)


def blips(per_day: float) -> Callable[[int, np.random.Generator], Weather]:
    """The provider's bad moments, about 3 minutes each: 30 % failures, three times the latency."""

    def weather(minutes: int, rng: np.random.Generator) -> Weather:
        share, slowdown = np.full(minutes, FAILURE_SHARE), _still(minutes)
        for begin in rng.integers(0, minutes, rng.poisson(per_day * minutes / MINUTES_PER_DAY)).tolist():
            moment = slice(begin, begin + 1 + int(rng.geometric(0.5)))
            share[moment] = 0.3
            slowdown[moment] = math.log(3.0)
        return Weather(failure_share=share, slowdown=slowdown, dearness=_still(minutes))

    return weather


INDEPENDENT = Climate(name="independent calls", weather=independent)
CLIMATES = (
    INDEPENDENT,
    Climate(name="overdispersed minutes, ICC 0.02", weather=overdispersed),
    Climate(name="slow drift, AR of 30 min", weather=slow_drift),
    Climate(name="diurnal +-50 %", weather=diurnal),
    Climate(name="provider blips, 1 a day", weather=blips(1.0)),
    Climate(name="provider blips, 4 a day", weather=blips(4.0)),
)
