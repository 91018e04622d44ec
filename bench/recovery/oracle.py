"""
How many calls are enough, fixed before anything is run.

The oracle knows both laws of a call, the true one and the nearest of which another ending would be right, and counts
calls up to a size fixed beforehand. Data is said to suffice where the deadline leaves `FACTOR` times as many calls as
the oracle takes to be wrong once in a hundred on either side: the engine knows neither law, may end at any time, and
issue 4 asks of it no more than 2.5 times the oracle's calls elsewhere as well.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import special

from bench.detection.laws import lognormal_latency, token_cost
from bench.recovery.incidents import DEADLINE_S, WELL, WINDOW_S, Condition, Kind
from watchdog.config.packs import load_rules
from watchdog.core.rules import Action, Metric

FACTOR = 2.5
ERROR = 0.01
# Buckets of one per cent are joined, so that both laws have something in each.
_JOINED = 5
_LEAST = 1e-6


def at_the_margin() -> Condition:
    """As bad as the reverting rules of the default pack allow."""
    margins: dict[Metric, float] = {}
    for rule in load_rules(("default",)).rules:
        if rule.action is Action.REVERT and rule.needs_baseline:
            margins[rule.metric] = rule.margin_abs or rule.margin_rel
    return Condition(
        fails=WELL.fails + margins[Metric.SUCCESS],
        latency=1.0 + margins[Metric.LATENCY],
        cost=1.0 + margins[Metric.COST],
    )


def nearest_other(kind: Kind, damage: Condition) -> tuple[Condition, Condition]:
    """
    The true law of the restored version's calls while it matters, and the one from which it has to be told.

    That it is well is told from half of the damage; that it is bad, or half as bad, from what the rules allow of the
    metric that is damaged.
    """
    half, margin = damage.part_of(0.5), at_the_margin()
    allowed = Condition(
        fails=margin.fails if damage.fails != WELL.fails else WELL.fails,
        latency=margin.latency if damage.latency != WELL.latency else WELL.latency,
        cost=margin.cost if damage.cost != WELL.cost else WELL.cost,
    )
    match kind:
        case Kind.WELL | Kind.FEW:
            return WELL, half
        case Kind.HALF:
            return half, allowed
        case Kind.AS_BAD | Kind.BLIP_5 | Kind.BLIP_15:
            return damage, allowed


@lru_cache(maxsize=256)
def calls_to_tell(true: Condition, other: Condition) -> float:
    """Calls that tell the two apart with an error of `ERROR` on either side, by the likelihood ratio of all of them."""
    here, there = _law(true, other)
    ratio = np.log(here / there)
    gap = float(ratio @ (here - there))
    spread = sum(math.sqrt(float(law @ ratio**2) - float(law @ ratio) ** 2) for law in (here, there))
    return (float(special.ndtri(1.0 - ERROR)) * spread / gap) ** 2


def _law(one: Condition, other: Condition) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of what a call may be in the metric in which the two differ, the same outcomes for both."""
    if one.fails != other.fails:
        laws = [np.array([c.fails, 1.0 - c.fails]) for c in (one, other)]
    elif one.latency != other.latency:
        laws = _by_bucket(*(lognormal_latency().buckets(c.latency) for c in (one, other)))
    else:
        laws = _by_bucket(*(token_cost().buckets(c.cost) for c in (one, other)))
    laws = [np.maximum(law, _LEAST) for law in laws]
    return laws[0] / laws[0].sum(), laws[1] / laws[1].sum()


def _by_bucket(*buckets: np.ndarray) -> list[np.ndarray]:
    joined = [b // _JOINED for b in buckets]
    low, high = min(int(b.min()) for b in joined), max(int(b.max()) for b in joined)
    return [np.bincount(b - low, minlength=high - low + 1) / b.size for b in joined]


def calls_there_are(kind: Kind, calls_per_s: float) -> float:
    """Expected calls that speak for the true ending: up to the deadline, or as long as the blip lasts."""
    seconds = kind.bad_windows * WINDOW_S if kind in (Kind.BLIP_5, Kind.BLIP_15) else DEADLINE_S
    return calls_per_s * seconds
