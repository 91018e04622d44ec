"""
A promotion while the provider has an outage: prompts that are not like each other, what it does to the calls of each,
and the daemon's own panel against a calm day.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.detection.laws import Law, histogram_of, lognormal_latency, token_cost
from bench.detection.watching import ORIGIN, TERMS, Calls, Ending, watched
from bench.detection.worlds import MINUTES_PER_DAY, UNCHANGED, Change
from watchdog.config.packs import load_rules
from watchdog.core.panel import Panel, assemble
from watchdog.core.peers import Peer
from watchdog.core.windows import WINDOW, Summary
from watchdog.stats.histogram import shift_of

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray

RATES = (1.0, 0.2)
LASTS_S = 600.0
SLOWER = 3.0
LEAST_SPOILT, MOST_SPOILT = 0.3, 1.0
# Of ln odds: long answers time out first, short prompts get through.
SUSCEPTIBILITY = 0.3
HOUR_S = 3600.0
# Frozen baselines, each with a day's calls of its own, of which promotions take turns: one more for so many promotions.
_MOST_BASELINES, _PROMOTIONS_EACH = 8, 10
PACK = load_rules(("default",))
_COST = token_cost()


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """
    Attributes:
        times: its calls, relative to the candidate's.
        failures: usual share.
    """

    times: float
    failures: float
    latency: Law


CANDIDATE = Prompt(times=1.0, failures=0.01, latency=lognormal_latency(1500.0, 0.5))
# Three times the candidate's traffic in all, no one above half of it, and none like the other.
PEERS = (
    Prompt(times=1.2, failures=0.005, latency=lognormal_latency(900.0, 0.5)),
    Prompt(times=0.9, failures=0.01, latency=lognormal_latency(1500.0, 0.7)),
    Prompt(times=0.6, failures=0.02, latency=lognormal_latency(2500.0, 0.6)),
    Prompt(times=0.3, failures=0.04, latency=lognormal_latency(1200.0, 0.7)),
)


class Asked(NamedTuple):
    """Whether there are peers: None where nobody looks for any; empty where there are none, with wider margins."""

    name: str
    peers: tuple[Prompt, ...] | None


WITH_PEERS = Asked("beside peers", PEERS)
NOBODY_ASKED = Asked("nobody asked", None)
NO_PEERS = Asked("no peers, margins half as wide again", ())


@dataclass(frozen=True, kw_only=True)
class Outage:
    """
    Attributes:
        begins_s: after the promotion.
    """

    name: str
    begins_s: float

    @property
    def ends_s(self) -> float:
        return self.begins_s + LASTS_S


AT_ONCE = Outage(name="at the promotion", begins_s=0.0)
SOON = Outage(name="5 min after it", begins_s=300.0)
LATER = Outage(name="1 h after it", begins_s=HOUR_S)


@lru_cache(maxsize=64)
def panel_of(rate: float, asked: Asked, number: int, seed: int) -> Panel:
    """The panel against a calm day of calls: nothing in the baseline prepared it for an outage."""
    rng = np.random.default_rng([seed, 2, number])
    blocks = [_summary(CANDIDATE, int(n), rng) for n in rng.poisson(60.0 * rate, MINUTES_PER_DAY)]
    whole = Summary()
    for block in blocks:
        whole = whole.merge(block)
    peers = None
    if asked.peers is not None:
        days = [_summary(p, int(rng.poisson(60.0 * rate * p.times * MINUTES_PER_DAY)), rng) for p in asked.peers]
        peers = [
            Peer(
                prompt_id=f"peer-{i}",
                slug=f"peer-{i}",
                version_id="v1",
                provider="p",
                model="m",
                calls_per_hour=3600.0 * rate * prompt.times,
                feed=f"peer-{i}",
                baseline=day,
                joined_at=ORIGIN,
            )
            for i, (prompt, day) in enumerate(zip(asked.peers, days, strict=True))
        ]
    return assemble(
        PACK,
        whole,
        n_windows=int(TERMS.length / WINDOW),
        min_baseline_calls=TERMS.min_baseline_calls,
        blocks=tuple(blocks),
        peers=peers,
    )


def _summary(prompt: Prompt, calls: int, rng: np.random.Generator) -> Summary:
    latency, cost = (
        histogram_of(*np.unique(law.buckets()[rng.integers(0, law.values.size, calls)], return_counts=True))
        for law in (prompt.latency, _COST)
    )
    failures = int(rng.binomial(calls, prompt.failures))
    return Summary(calls=calls, failures=failures, latency_ms=latency, cost_usd=cost)


def calls_of(
    prompt: Prompt,
    rate: float,
    until_s: float,
    change: Change,
    outage: Outage | None,
    spoilt: float,
    rng: np.random.Generator,
) -> Calls:
    """
    Args:
        spoilt: share of the calls that the outage makes fail; it slows down the others.
    """
    n = int(rng.poisson(rate * prompt.times * until_s))
    started = np.sort(rng.random(n)) * until_s
    drawn = rng.integers(0, prompt.latency.values.size, n)
    bucket = prompt.latency.buckets(change.latency_factor)[drawn]
    seconds: FloatArray = change.latency_factor * prompt.latency.values[drawn] / 1000.0
    failed = rng.random(n) < prompt.failures + change.more_failures
    luck = rng.random(n)
    if outage is not None:
        struck = (started >= outage.begins_s) & (started < outage.ends_s)
        fails = struck & (luck < spoilt)
        slowed = struck & ~fails
        failed |= fails
        bucket = bucket + np.where(slowed, shift_of(SLOWER), 0)
        seconds = seconds * np.where(slowed, SLOWER, 1.0)
    ended = started + seconds
    order = np.argsort(ended, kind="stable")
    cost = _COST.buckets()[rng.integers(0, _COST.values.size, n)]
    return Calls(
        started_s=started[order], ended_s=ended[order], failed=failed[order], latency=bucket[order], cost=cost[order]
    )


def promotions(
    runs: int, rate: float, asked: Asked, change: Change, outage: Outage | None, until_s: float, seed: int
) -> list[Ending]:
    """Promotion i has the generator [seed, i], and one of the baselines."""
    baselines = min(_MOST_BASELINES, 1 + runs // _PROMOTIONS_EACH)
    endings = []
    for i in range(runs):
        panel = panel_of(rate, asked, i % baselines, seed)
        rng = np.random.default_rng([seed, i])
        spoilt = float(rng.uniform(LEAST_SPOILT, MOST_SPOILT))
        odds = spoilt / max(1.0 - spoilt, 1e-9) * np.exp(SUSCEPTIBILITY * rng.normal(size=1 + len(PEERS)))
        shares = (odds / (1.0 + odds)).tolist()
        own = calls_of(CANDIDATE, rate, until_s, change, outage, shares[0], rng)
        theirs = [
            calls_of(prompt, rate, until_s, UNCHANGED, outage, share, rng)
            for prompt, share in zip(asked.peers or (), shares[1:], strict=False)
        ]
        endings.append(watched(panel, own, theirs, until_s=until_s))
    return endings
