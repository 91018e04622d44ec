"""Worlds with a known truth, for the tests of the statistics; everything is drawn from a seeded generator."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from watchdog.stats.eprocess import Design, State, start, statistic, step, tripped
from watchdog.stats.histogram import GAMMA, LogHistogram

Values = np.ndarray
Draw = Callable[[int, np.random.Generator], Values]


def histogram_of(values: Values) -> LogHistogram:
    """The same as `LogHistogram.of`, fast enough for thousands of windows."""
    positive = values[values > 0.0]
    index, counts = np.unique(np.ceil(np.log(positive) / math.log(GAMMA) - 1e-9).astype(int), return_counts=True)
    return LogHistogram(dict(zip(index.tolist(), counts.tolist(), strict=True)), int(values.size - positive.size))


def latency_ms(n: int, rng: np.random.Generator) -> Values:
    """Log-normal, median 1.5 s, p95 4.7 s."""
    return np.exp(rng.normal(math.log(1500.0), 0.7, n))


def tied_latency_ms(n: int, rng: np.random.Generator) -> Values:
    """The same, rounded up to whole seconds: most values tie."""
    return np.ceil(latency_ms(n, rng) / 1000.0) * 1000.0


def cost_usd(n: int, rng: np.random.Generator) -> Values:
    """Input and output tokens at 2.5 and 10 dollars per million."""
    tokens_in = np.ceil(np.exp(rng.normal(math.log(700.0), 0.6, n)))
    tokens_out = np.minimum(np.ceil(np.exp(rng.normal(math.log(250.0), 0.8, n))), 4096.0)
    return (tokens_in * 2.5 + tokens_out * 10.0) / 1e6


def heavy_cost_usd(n: int, rng: np.random.Generator) -> Values:
    """Log-normal with three per cent of calls from a Pareto tail of exponent 2.2."""
    cost = np.exp(rng.normal(math.log(0.004), 0.7, n))
    dear = rng.random(n) < 0.03
    cost[dear] *= (rng.pareto(2.2, int(dear.sum())) + 1.0) * 3.0
    return cost


def rarely_dear_cost_usd(n: int, rng: np.random.Generator) -> Values:
    """One call in a hundred costs 50 times the others: small baselines often miss it."""
    return np.where(rng.random(n) < 0.01, 0.1, 0.002) * np.exp(rng.normal(0.0, 0.05, n))


def growing_windows(first: int, ratio: float, total: int) -> list[int]:
    """Sizes of windows that grow by `ratio` up to `total` calls: early looks are many, late looks are few."""
    sizes: list[int] = []
    size = float(first)
    while sum(sizes) + math.ceil(size) <= total:
        sizes.append(math.ceil(size))
        size *= ratio
    return sizes


def follow(design: Design, increments: Iterable[np.ndarray]) -> State:
    """The state after all windows."""
    state = start(design)
    for evidence in increments:
        state = step(design, state, evidence)
    return state


def evidence_after(design: Design, increments: Iterable[np.ndarray]) -> float:
    return statistic(design, follow(design, increments))


def calls_to_trip(design: Design, increments: Iterable[np.ndarray]) -> int | None:
    """How many increments it took; None where it never tripped."""
    state = start(design)
    for n, evidence in enumerate(increments, 1):
        state = step(design, state, evidence)
        if tripped(design, state):
            return n
    return None
