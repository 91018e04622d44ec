"""
One promotion beside its peers, by the minute and by the window: what the common shock test and its rival say of it.

The common shock test is the one that the daemon builds (`core.panel.assemble` with peers), on windows of ten seconds,
many promotions at once. The rival assumes nothing about the provider (`conditional`), and looks by the minute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from bench.detection.conditional import ControlTest
from bench.detection.laws import Law, lognormal_latency
from bench.detection.many_shocks import Streams, first_trips
from bench.detection.oracles import share_ratios, sprt_calls
from bench.detection.screen import column_of, largest_log_e
from bench.detection.worlds import (
    FAILURE_SHARE,
    MINUTES_PER_DAY,
    UNCHANGED,
    Change,
    Climate,
    buckets_moved,
    day_by_bucket,
)
from watchdog.core.panel import assemble
from watchdog.core.peers import Peer
from watchdog.core.rules import Rule, RuleSet, Statistic
from watchdog.core.windows import WINDOWS_IN_A_BLOCK, Summary
from watchdog.stats.eprocess import start, step, tripped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchdog.core.beside import View
    from watchdog.stats.common_shock import CommonShockTest
    from watchdog.stats.histogram import FloatArray, IntArray, LogHistogram

ALPHA = 0.01
N_WINDOWS = MINUTES_PER_DAY * WINDOWS_IN_A_BLOCK
USUAL = lognormal_latency()
# Promotions at once: more of them gain nothing, and need more memory.
BATCH = 100
_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Side:
    """
    What is usual for a prompt.

    Attributes:
        calls_per_s: mean rate.
        failures: share of its calls that fails in calm.
        latency: law of its latencies in calm.
    """

    calls_per_s: float
    failures: float = FAILURE_SHARE
    latency: Law = USUAL


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A candidate, and its peers as one: those with the same shares are no more than their sum."""

    rule: Rule
    climate: Climate
    own: Side
    peers: Side


class Promotion(NamedTuple):
    """
    One promotion as the tests see it.

    Attributes:
        sides: calls and bad ones of the candidate, then of the peers, by window, shape (windows,) each.
        before: the same four of the day of baseline, in all.
    """

    test: CommonShockTest
    sides: tuple[IntArray, IntArray, IntArray, IntArray]
    before: tuple[int, int, int, int]

    @property
    def minutes(self) -> IntArray:
        """Shape (4, minutes)."""
        return np.stack([side.reshape(MINUTES_PER_DAY, WINDOWS_IN_A_BLOCK).sum(axis=1) for side in self.sides])


def promotion(scene: Scene, change: Change, rng: np.random.Generator) -> Promotion:
    """A day of baseline and a day of watch, whose calls are bad or not."""
    weather = scene.climate.weather(2 * MINUTES_PER_DAY, rng)
    before, after = slice(0, MINUTES_PER_DAY), slice(MINUTES_PER_DAY, None)
    # A bad moment adds failures: the same share of the calls that would have been good, on either side.
    spoilt = (weather.failure_share - FAILURE_SHARE) / (1.0 - FAILURE_SHARE)
    days: list[Summary] = []
    for side in (scene.own, scene.peers):
        per_minute = rng.poisson(60.0 * side.calls_per_s, MINUTES_PER_DAY)
        failures = rng.binomial(per_minute, _share(side, spoilt[before])).sum()
        latency = day_by_bucket(side.latency, per_minute, weather.slowdown[before], rng)
        days.append(Summary(calls=int(per_minute.sum()), failures=int(failures), latency_ms=latency))
    view = _view(scene, *days)
    counts: list[IntArray] = []
    totals: list[int] = []
    overs = (view.over, view.peer_over[0] if view.peer_over else None)
    for side, doing, over, day in zip((scene.own, scene.peers), (change, UNCHANGED), overs, days, strict=True):
        if over is None:
            share = np.minimum(_share(side, spoilt[after]) + doing.more_failures, 1.0)
            bad = day.failures
        else:
            share = share_above(side.latency, doing.latency_factor, over - buckets_moved(weather.slowdown[after]))
            bad = _counted_above(day.latency_ms, over)
        calls = rng.poisson(60.0 / WINDOWS_IN_A_BLOCK * side.calls_per_s, N_WINDOWS)
        counts += [calls, rng.binomial(calls, np.repeat(share, WINDOWS_IN_A_BLOCK))]
        totals += [day.calls, bad]
    return Promotion(
        test=view.test,
        sides=(counts[0], counts[1], counts[2], counts[3]),
        before=(totals[0], totals[1], totals[2], totals[3]),
    )


def _view(scene: Scene, own: Summary, peers: Summary) -> View:
    peer = Peer(
        prompt_id="peers",
        slug="peers",
        version_id="v1",
        provider="p",
        model="m",
        calls_per_hour=3600.0 * scene.peers.calls_per_s,
        feed="peers",
        baseline=peers,
        joined_at=_AT,
    )
    rules = RuleSet(source="bench", alpha=ALPHA, rules=(scene.rule,), digest="")
    panel = assemble(rules, own, n_windows=N_WINDOWS, min_baseline_calls=1, peers=(peer,))
    if panel.beside is None or scene.rule.name not in panel.beside.views:
        raise ValueError(f"{scene.rule.name} cannot be asked beside {peers.calls} calls of peers")
    return panel.beside.views[scene.rule.name][0]


def _share(side: Side, spoilt: FloatArray) -> FloatArray:
    share: FloatArray = np.minimum(1.0 - (1.0 - side.failures) * (1.0 - spoilt), 1.0)
    return share


def share_above(law: Law, factor: float, over: IntArray) -> FloatArray:
    """Share of the law's values, times a factor, above each bucket."""
    buckets, from_above = _tail(law, factor)
    share: FloatArray = from_above[np.searchsorted(buckets, over, side="right")]
    return share


@lru_cache(maxsize=16)
def _tail(law: Law, factor: float) -> tuple[IntArray, FloatArray]:
    buckets, counts = np.unique(law.buckets(factor), return_counts=True)
    return buckets, np.concatenate([np.cumsum(counts[::-1])[::-1], [0]]) / counts.sum()


def _counted_above(values: LogHistogram, over: int) -> int:
    return sum(n for bucket, n in values.counts.items() if bucket > over)


def common(seen: Sequence[Promotion]) -> list[int | None]:
    """Calls of each candidate until the common shock test agrees; None where it never does."""
    sides = zip(*(p.sides for p in seen), strict=True)
    calls, bad, theirs, their_bad = (np.stack(side).astype(np.float64) for side in sides)
    streams = Streams(calls=calls, bad=bad, peer_calls=theirs[:, :, None], peer_bad=their_bad[:, :, None])
    trips = first_trips([p.test for p in seen], streams)
    return [int(n[: t + 1].sum()) if t >= 0 else None for n, t in zip(calls, trips.tolist(), strict=True)]


def conditional(seen: Sequence[Promotion]) -> list[int | None]:
    """The same of the rival. What one cell of it rules out is not run."""
    tests = [ControlTest.against(*p.before, alpha=ALPHA, n_windows=MINUTES_PER_DAY) for p in seen]
    columns = [column_of(test) for test in tests]
    evidence = [_by_minute(t, column.cell, p.minutes) for t, column, p in zip(tests, columns, seen, strict=True)]
    largest = largest_log_e(columns, evidence)
    return [
        _first_trip(test, p.minutes) if column.may_trip(float(log_e), ALPHA) else None
        for test, column, p, log_e in zip(tests, columns, seen, largest, strict=True)
    ]


def _by_minute(test: ControlTest, cell: int, counts: IntArray) -> FloatArray:
    """What each minute adds against one cell, shape (minutes, bets)."""
    calls, bad, theirs, their_bad = counts
    heard = (calls > 0) & (theirs > 0)
    exposure = np.log(np.where(heard, calls, 1) / np.where(heard, theirs, 1))[:, None]
    bet, null = test.bet_log_odds + exposure, test.null_log_odds[cell] + exposure
    ours, not_ours = (special.log_expit(sign * bet) - special.log_expit(sign * null) for sign in (1.0, -1.0))
    gained: FloatArray = np.where(heard[:, None], bad[:, None] * ours + their_bad[:, None] * not_ours, 0.0)
    return gained


def _first_trip(test: ControlTest, counts: IntArray) -> int | None:
    state, calls = start(test.design), 0
    for window in counts.T.tolist():
        calls += window[0]
        state = step(test.design, state, test.increments(*window))
        if tripped(test.design, state):
            return calls
    return None


def oracle_calls(scene: Scene, change: Change) -> float:
    """Mean calls of the SPRT that knows what the rule allows and what is true, looking at every independent call."""
    rule, own = scene.rule, scene.own
    if rule.statistic is Statistic.PROPORTION:
        return _oracle(own.failures + rule.margin_abs, own.failures + change.more_failures)
    at = np.array([int(own.latency.buckets()[int((rule.quantile or 0.0) * own.latency.values.size)])])
    allowed = 1.0 + rule.margin_rel
    shares = (float(share_above(own.latency, factor / allowed, at)[0]) for factor in (allowed, change.latency_factor))
    return _oracle(*shares)


@lru_cache(maxsize=16)
def _oracle(allowed: float, true: float) -> float:
    return float(sprt_calls(share_ratios(allowed, true, np.random.default_rng(1)), ALPHA, 10_000).mean())


def divergence(usual: float, worse: float) -> float:
    """Nats that one call of a known share gives, on average, to who knows both."""
    return float(special.rel_entr(worse, usual) + special.rel_entr(1.0 - worse, 1.0 - usual))


def divergence_given_sum(usual: float, worse: float, times: float) -> float:
    """
    The same where nothing is looked at but which of the bad calls were ours, peers with `times` the traffic being as
    good as we were: no test that assumes nothing about the provider learns more.
    """
    ours, ours_usual = worse / (worse + times * usual), 1.0 / (1.0 + times)
    return (worse + times * usual) * divergence(ours_usual, ours)


def fewest_calls_given_sum(usual: float, worse: float, times: float) -> float:
    """Wald's bound on the mean calls of any such test of level `ALPHA` that finds every change."""
    return math.log(1.0 / ALPHA) / divergence_given_sum(usual, worse, times)
