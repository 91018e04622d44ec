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
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bench.detection.laws import lognormal_latency
from bench.detection.report import Table, Target
from watchdog.stats import common_shock, eprocess
from watchdog.stats.common_shock import N_SLOW_SPOILT, SPOILT, CommonShockTest
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.mean import MeanLimitTest, MeanTest
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest
from watchdog.stats.stratified import StratifiedProportionTest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.detection.report import Cell, Share
    from watchdog.stats.histogram import FloatArray, LogHistogram

BASELINE_CALLS = 20_000
USUAL_CALLS = 30
CALLS = (1, USUAL_CALLS, 300, 3_000)
PROMPTS = (10, 100, 1_000)
RULES_OF_A_PROMPT = ("proportion", "quantile", "mean")
SEGMENTS = 6
PEERS = (1, 8)
WINDOWS_PER_DAY = 8640
ALPHA = 0.001
SEED = 1
MOST_US = 50.0
MOST_BYTES = 8_000.0
MOST_S, OF_RULES = 0.2, 3_000


class State(Protocol):
    """The evidence of any kind of rule."""

    def to_bytes(self) -> bytes: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Kind:
    """
    Attributes:
        size: of its tables: bets x cells, or bets x levels of a shock.
        build: the tables, from the baseline.
        start: the state before any window.
        window: of so many calls: from one state to the next. The window's summary is made beforehand and not timed.
        skip: so many empty windows.
    """

    name: str
    size: tuple[int, ...]
    build: Callable[[], object]
    start: Callable[[], State]
    window: Callable[[int], Callable[[Any], State]]
    skip: Callable[[Any, int], State]


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

    share, parts, fixed = proportion(), stratified(), limit()
    p95, whole, cost, known = quantile(), shift(), mean(), mean_limit()
    return (
        _sequential("proportion", proportion, share, lambda n: lambda: share.increments(calls=n, bad=n // 30)),
        _sequential(
            f"proportion, {SEGMENTS} segments",
            stratified,
            parts,
            lambda n: lambda: parts.increments(spread[n], np.floor(spread[n] / 30.0)),
        ),
        _sequential("limit", limit, fixed, lambda n: lambda: fixed.increments(calls=n, bad=n // 30)),
        *(_beside(n_peers) for n_peers in PEERS),
        _sequential("quantile", quantile, p95, on_values(p95)),
        _sequential("distribution", shift, whole, on_values(whole)),
        _sequential("mean", mean, cost, on_values(cost)),
        _sequential("mean limit", mean_limit, known, on_values(known)),
    )


def _sequential(
    name: str, build: Callable[[], object], test: Any, increments: Callable[[int], Callable[[], FloatArray]]
) -> Kind:
    """A rule with an e-process."""
    design = test.design

    def window(n: int) -> Callable[[Any], State]:
        seen = increments(n)
        return lambda state: eprocess.step(design, state, seen())

    return Kind(
        name=name,
        size=design.valid.shape,
        build=build,
        start=lambda: eprocess.start(design),
        window=window,
        skip=lambda state, n: eprocess.skip(design, state, n),
    )


def _beside(n_peers: int) -> Kind:
    """A rule on failures beside so many peers, each with as many calls as the candidate."""
    spoilt = 1.0 - 0.99 * (1.0 - np.array((0.0, *SPOILT)))

    def build() -> CommonShockTest:
        return CommonShockTest.of(
            spoilt, np.tile(spoilt, (n_peers, 1)), n_slow=N_SLOW_SPOILT, alpha=ALPHA, n_windows=WINDOWS_PER_DAY
        )

    test = build()

    def window(n: int) -> Callable[[Any], State]:
        bad, theirs, theirs_bad = float(n // 30), np.full(n_peers, float(n)), np.full(n_peers, float(n // 60))
        return lambda state: common_shock.step(
            test, state, calls=float(n), bad=bad, peer_calls=theirs, peer_bad=theirs_bad
        )

    return Kind(
        name=f"beside {n_peers} peer{'s' if n_peers > 1 else ''}",
        size=test.worse.shape,
        build=build,
        start=lambda: common_shock.start(test),
        window=window,
        skip=lambda state, n: common_shock.skip(test, state, n),
    )


def one_rule(repeats: int) -> Table:
    """Each kind of rule, for windows of 1 to 3,000 calls."""
    rows: list[dict[str, Cell | Share]] = []
    targets: list[Target] = []
    for kind in kinds():
        state = kind.window(USUAL_CALLS)(kind.start())
        row: dict[str, Cell | Share] = {"rule": kind.name, "bets x cells": "{} x {}".format(*kind.size)}
        for n in CALLS:
            window = kind.window(n)
            taken = microseconds(lambda s=state, w=window: w(s), repeats)
            row[f"us, {n} calls"] = taken
            name = f"us, {kind.name}, a window of {n:,} calls"
            targets.append(Target(name=name, measured=taken, allowed=MOST_US))
        row["bytes of state"] = len(state.to_bytes())
        row["ms to build"] = microseconds(kind.build, max(1, repeats // 20)) / 1000.0
        row["us, a day of empty windows"] = microseconds(lambda k=kind, s=state: k.skip(s, WINDOWS_PER_DAY), repeats)
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
        states = [kind.start() for kind in seats]
        windows = [kind.window(USUAL_CALLS) for kind in seats]
        best = float("inf")
        for _ in range(repeats):
            began = time.thread_time()
            states = [window(state) for state, window in zip(states, windows, strict=True)]
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
