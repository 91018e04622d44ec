"""What tempering costs: calls until true regressions are reverted, by what the control's minutes taught."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bench.detection.false_reverts import built
from bench.detection.laws import lognormal_latency, token_cost
from bench.detection.report import Table
from bench.detection.trial import Setting, Tempering, first_trip, reverting_rules
from bench.detection.worlds import CLIMATES, Change, World
from watchdog.core.rules import Statistic

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.detection.report import Cell, Share

RATES = (1.0, 0.05)
CHANGE = Change(more_failures=0.05, latency_factor=2.0, cost_factor=1.5)


def table(promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """Each rule by itself on the same streams; promotion i has the generator [seed, i]."""
    pack, rules = reverting_rules()
    latency, cost = lognormal_latency(), token_cost()
    setting = Setting(alpha=pack.alpha, mode=pack.threshold)
    rows: list[dict[str, Cell | Share]] = []
    for climate in CLIMATES:
        for rate in RATES:
            told(f"tempering, {climate.name}, {rate:g} calls/s")
            world = World(climate=climate, calls_per_s=rate, latency=latency, cost=cost, change=CHANGE)
            seen = [world.promotion(np.random.default_rng([seed, i]), by_minute=True) for i in range(promotions)]
            for rule in rules:
                if rule.statistic is Statistic.LIMIT:
                    continue
                row: dict[str, Cell | Share] = {"world": climate.name, "calls/s": rate, "rule": rule.name}
                for tempering in Tempering:
                    delays = []
                    for baseline, calls in seen:
                        test = built(rule, baseline, pack, replace(setting, tempering=tempering))
                        minute = first_trip(rule, test, calls)
                        delays.append(float(calls.per_minute[: None if minute is None else minute + 1].sum()))
                    row[f"calls, tempered: {tempering.value}"] = float(np.mean(delays))
                rows.append(row)
    return Table(
        title="What tempering costs",
        about=(
            "Mean calls to the revert of +5 pp failures, latency x2 and cost x1.5, each rule by itself, "
            f"{setting.name}, the default pack's margins, a look a minute; a day without a revert counts as the whole "
            f"day; {promotions} promotions a row, seed {seed}."
        ),
        rows=rows,
    )
