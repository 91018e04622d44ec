"""
What the engine costs: microseconds for a rule and a window, bytes of state, and how both grow with calls and prompts.

    python -m bench.cost [--quick] [--prompts N ...] [--json]

Targets: 50 microseconds and 8,000 bytes for a rule, whatever the traffic; 3,000 rules (1,000 prompts of three) within
0.2 s a tick. Times are the processor's, not the wall clock's: another program's turn on the core does not count.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.detection.laws import lognormal_latency
from bench.detection.report import Table, Target
from watchdog.stats.control import ControlTest
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.eprocess import skip, start, step
from watchdog.stats.mean import MeanLimitTest, MeanTest
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest
from watchdog.stats.stratified import StratifiedProportionTest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.detection.report import Cell, Share
    from watchdog.stats.eprocess import Design
    from watchdog.stats.histogram import FloatArray, LogHistogram

BASELINE_CALLS = 20_000
USUAL_CALLS = 30
CALLS = (1, USUAL_CALLS, 300, 3_000)
PROMPTS = (10, 100, 1_000)
RULES_OF_A_PROMPT = ("proportion", "quantile", "mean")
SEGMENTS = 6
WINDOWS_PER_DAY = 8640
ALPHA = 0.001
SEED = 1
MOST_US = 50.0
MOST_BYTES = 8_000.0
MOST_S, OF_RULES = 0.2, 3_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Kind:
    """
    Attributes:
        build: the test's tables, from the baseline.
        increments: what a window of so many calls adds, as a function without arguments: its summary is not timed.
        design: of the test.
    """

    name: str
    build: Callable[[], object]
    increments: Callable[[int], Callable[[], FloatArray]]
    design: Design


def microseconds(call: Callable[[], object], repeats: int) -> float:
    """Best of twenty, in processor time."""
    best = float("inf")
    for _ in range(20):
        began = time.thread_time()
        for _ in range(repeats):
            call()
        best = min(best, (time.thread_time() - began) / repeats)
    return best * 1e6


@lru_cache(maxsize=1)
def _traffic() -> tuple[LogHistogram, dict[int, LogHistogram], dict[int, FloatArray]]:
    """A baseline's latencies, and windows of so many calls: latencies, and calls by segment."""
    rng = np.random.default_rng(SEED)
    law = lognormal_latency(sigma=0.7)
    even = np.full(SEGMENTS, 1.0 / SEGMENTS)
    return (
        law.histogram(BASELINE_CALLS, rng),
        {n: law.histogram(n, rng) for n in CALLS},
        {n: rng.multinomial(n, even).astype(np.float64) for n in CALLS},
    )


def kinds() -> tuple[Kind, ...]:
    """One of each kind of rule, against the same baseline."""
    baseline, windows, spread = _traffic()
    watch: dict[str, Any] = {"alpha": ALPHA, "n_windows": WINDOWS_PER_DAY}
    even = np.full(SEGMENTS, BASELINE_CALLS / SEGMENTS)

    def proportion() -> ProportionTest:
        return ProportionTest.against(n0=BASELINE_CALLS, y0=200, margin_abs=0.01, **watch)

    def stratified() -> StratifiedProportionTest:
        return StratifiedProportionTest.against(even, np.full(SEGMENTS, 33.0), margin_abs=0.01, **watch)

    def limit() -> LimitTest:
        return LimitTest.against(0.03, **watch)

    def control() -> ControlTest:
        return ControlTest.against(BASELINE_CALLS, 200, 10 * BASELINE_CALLS, 2000, **watch)

    def quantile() -> QuantileTest:
        return QuantileTest.against(baseline, p=0.95, margin_rel=0.2, **watch)

    def shift() -> ShiftTest:
        return ShiftTest.against(baseline, margin_rel=0.2, **watch)

    def mean() -> MeanTest:
        return MeanTest.against(baseline, margin_rel=0.15, **watch)

    def mean_limit() -> MeanLimitTest:
        return MeanLimitTest.against(2000.0, **watch)

    def on_values(
        test: QuantileTest | ShiftTest | MeanTest | MeanLimitTest,
    ) -> Callable[[int], Callable[[], FloatArray]]:
        return lambda n: lambda: test.increments(windows[n])

    share, parts, fixed, beside = proportion(), stratified(), limit(), control()
    p95, whole, cost, known = quantile(), shift(), mean(), mean_limit()
    return (
        Kind(
            name="proportion",
            build=proportion,
            increments=lambda n: lambda: share.increments(calls=n, bad=n // 30),
            design=share.design,
        ),
        Kind(
            name=f"proportion, {SEGMENTS} segments",
            build=stratified,
            increments=lambda n: lambda: parts.increments(spread[n], np.floor(spread[n] / 30.0)),
            design=parts.design,
        ),
        Kind(
            name="limit",
            build=limit,
            increments=lambda n: lambda: fixed.increments(calls=n, bad=n // 30),
            design=fixed.design,
        ),
        Kind(
            name="control",
            build=control,
            increments=lambda n: lambda: beside.increments(n, n // 30, 10 * n, n // 3),
            design=beside.design,
        ),
        Kind(name="quantile", build=quantile, increments=on_values(p95), design=p95.design),
        Kind(name="distribution", build=shift, increments=on_values(whole), design=whole.design),
        Kind(name="mean", build=mean, increments=on_values(cost), design=cost.design),
        Kind(name="mean limit", build=mean_limit, increments=on_values(known), design=known.design),
    )


def one_rule(repeats: int) -> Table:
    """Each kind of rule, for windows of 1 to 3,000 calls."""
    rows: list[dict[str, Cell | Share]] = []
    targets: list[Target] = []
    for kind in kinds():
        design = kind.design
        state = step(design, start(design), kind.increments(USUAL_CALLS)())
        row: dict[str, Cell | Share] = {"rule": kind.name, "bets x cells": "{} x {}".format(*design.valid.shape)}
        for n in CALLS:
            increments = kind.increments(n)
            taken = microseconds(lambda d=design, s=state, i=increments: step(d, s, i()), repeats)
            row[f"us, {n} calls"] = taken
            name = f"us, {kind.name}, a window of {n:,} calls"
            targets.append(Target(name=name, measured=taken, allowed=MOST_US))
        row["bytes of state"] = len(state.to_bytes())
        row["ms to build"] = microseconds(kind.build, max(1, repeats // 20)) / 1000.0
        row["us, a day of empty windows"] = microseconds(lambda d=design, s=state: skip(d, s, WINDOWS_PER_DAY), repeats)
        targets.append(Target(name=f"bytes, {kind.name}", measured=float(len(state.to_bytes())), allowed=MOST_BYTES))
        rows.append(row)
    return Table(
        title="One rule, one window",
        about=f"Baseline of {BASELINE_CALLS:,} calls, processor time, best of 20 x {repeats}, seed {SEED}.",
        rows=rows,
        targets=_telling(targets),
    )


def many_prompts(repeats: int, sizes: Sequence[int]) -> Table:
    """A tick over many prompts of three rules each, every one with its own tables and state."""
    rows: list[dict[str, Cell | Share]] = []
    targets = []
    for n_prompts in sizes:
        seats = [kind for _ in range(n_prompts) for kind in kinds() if kind.name in RULES_OF_A_PROMPT]
        states = [start(kind.design) for kind in seats]
        windows = [kind.increments(USUAL_CALLS) for kind in seats]
        best = float("inf")
        for _ in range(repeats):
            began = time.thread_time()
            states = [
                step(kind.design, state, window()) for kind, state, window in zip(seats, states, windows, strict=True)
            ]
            best = min(best, time.thread_time() - began)
        rows.append(
            {
                "prompts": n_prompts,
                "rules": len(seats),
                "ms a tick": 1000.0 * best,
                "us a rule": 1e6 * best / len(seats),
                "prompts a second, one core": n_prompts / best,
                "kB of state": sum(len(state.to_bytes()) for state in states) / 1000.0,
            }
        )
        if n_prompts == sizes[-1]:
            targets.append(
                Target(name=f"s a tick of {len(seats):,} rules", measured=best, allowed=len(seats) * MOST_S / OF_RULES)
            )
    return Table(
        title="One tick over many prompts",
        about=(
            f"{', '.join(RULES_OF_A_PROMPT)} for each prompt, a window of {USUAL_CALLS} calls each, processor time, "
            f"best of {repeats}."
        ),
        rows=rows,
        targets=targets,
    )


def _telling(targets: Sequence[Target]) -> tuple[Target, ...]:
    """All that were missed, and of those that were met the closest."""
    missed = [target for target in targets if target.verdict != "met"]
    met = [target for target in targets if target.verdict == "met"]
    worst = max(met, key=lambda target: (target.measured or 0.0) / target.allowed) if met else None
    return (*missed, *([worst] if worst else ()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description="What the engine costs.")
    parser.add_argument("--quick", action="store_true", help="a few seconds")
    parser.add_argument("--prompts", type=int, nargs="+", default=PROMPTS, help="how many at once, ascending")
    parser.add_argument("--json", action="store_true", help="one object a table, on one line")
    asked = parser.parse_args(arguments)
    repeats = 10 if asked.quick else 100
    for table in (one_rule(repeats), many_prompts(3 if asked.quick else 10, asked.prompts)):
        print(table.json() if asked.json else table.text(), flush=True)


if __name__ == "__main__":
    main()
