"""
What quiet days do to false reverts and to delays, in worlds where nothing changes.

    python -m bench.calibration [--days 7 20] [--runs 1000] [--seed 20261120] [--worlds iid minutes blips1 blips4]

One long life of one version: `runs` days in a row, each a watch with the day before as its baseline and the days before
that as quiet ones. A day is learned from by the minute, as at night, and watched by windows of ten seconds, as by the
daemon. One rule: failures, margin 1 pp, at alpha 1 %, 1 call a second, 1 % failures.

Each world twice: with a rule that acts on a regression whenever it began (late_onset = "revert"), and with one that
acts only on what began with the promotion, as rules do by default.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from watchdog.core.calibration import CLEARANCE_NATS, HOPELESS
from watchdog.core.judge import advance, begin
from watchdog.core.panel import assemble
from watchdog.core.quiet_days import DAY, DayTerms, merged, strayed
from watchdog.core.rules import Action, Metric, Rule, RuleSet, Statistic
from watchdog.core.windows import BLOCK, WINDOW, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from watchdog.core.panel import Panel

ALPHA = 0.01
_RULE = Rule(name="success", metric=Metric.SUCCESS, statistic=Statistic.PROPORTION, margin_abs=0.01)
# What the rule acts on -> the rule alone.
ACTING = {
    "whenever": RuleSet(
        source="bench", alpha=ALPHA, rules=(replace(_RULE, late_onset=Action.REVERT),), digest="whenever"
    ),
    "promotion": RuleSet(source="bench", alpha=ALPHA, rules=(_RULE,), digest="promotion"),
}
TERMS = DayTerms(min_baseline_calls=50)
T0 = datetime(2026, 1, 1, tzinfo=UTC)
N_WINDOWS = DAY // WINDOW
_IN_A_BLOCK = BLOCK // WINDOW
_PER_WINDOW = 10.0
_USUAL = 0.01
_DELAYS = 60
HEADER = (
    "world",
    "acts on what began",
    "quiet days",
    "watches",
    "would act, not calibrated",
    "would act, calibrated",
    "bound",
    "false reverts, calibrated",
    "nats asked for (median)",
    "demoted",
    "calls to +5 pp, not calibrated",
    "calls to +5 pp, calibrated",
)
# Less than this below what is asked for by the minute, and the windows within may still reach it.
_NEAR_NATS = 2.0


@dataclass(frozen=True, kw_only=True)
class Day:
    """One day: calls and failures in each window, shape (8640,), and the share of failures that ruled them."""

    number: int
    calls: NDArray[np.int64]
    failures: NDArray[np.int64]
    share: NDArray[np.float64]

    def windows(self) -> list[tuple[datetime, Summary]]:
        return _summaries(self.calls, self.failures, T0 + self.number * DAY, WINDOW)

    def blocks(self) -> list[tuple[datetime, Summary]]:
        calls, failures = (x.reshape(-1, _IN_A_BLOCK).sum(axis=1) for x in (self.calls, self.failures))
        return _summaries(calls, failures, T0 + self.number * DAY, BLOCK)


def _summaries(
    calls: NDArray[np.int64], failures: NDArray[np.int64], start: datetime, width: timedelta
) -> list[tuple[datetime, Summary]]:
    return [
        (start + i * width, Summary(calls=int(n), failures=int(y)))
        for i, (n, y) in enumerate(zip(calls, failures, strict=True))
        if n
    ]


def life(world: str, days: int, rng: np.random.Generator) -> Iterator[Day]:
    """The same version, day after day."""
    for number in range(days):
        share = np.full(DAY // BLOCK, _USUAL)
        if world == "minutes":  # beta-binomial, intraclass correlation 0.02
            share = rng.beta(_USUAL * 49.0, (1.0 - _USUAL) * 49.0, share.size)
        elif world.startswith("blips"):  # a provider's, about 3 minutes long, 30 % failures
            for _ in range(rng.poisson(float(world.removeprefix("blips")))):
                first = rng.integers(0, share.size)
                share[first : first + 1 + rng.geometric(0.5)] = 0.3
        yield drawn(number, np.repeat(share, _IN_A_BLOCK), rng)


def drawn(number: int, share: NDArray[np.float64], rng: np.random.Generator) -> Day:
    calls = rng.poisson(_PER_WINDOW, share.size)
    return Day(number=number, calls=calls, failures=rng.binomial(calls, share), share=share)


def panel_of(rules: RuleSet, before: Day) -> Panel:
    blocks = [block for _, block in before.blocks()]
    return assemble(rules, merged(blocks), n_windows=N_WINDOWS, min_baseline_calls=50, blocks=blocks)


def calls_to(needed_nats: float, panel: Panel, day: Day) -> int | None:
    """Calls after which the rule would act, if it asks for so much; None when it never would."""
    (seat,) = panel.seats
    whenever = seat.rule.when_late is Action.REVERT
    progress = begin(panel)
    for start, window in day.windows():
        progress = advance(panel, progress, [(start, window)], sealed_until=start + WINDOW)
        evidence = progress.states["success"]
        if seat.nats(evidence) >= needed_nats and (whenever or seat.began_with_promotion(evidence)):
            return progress.candidate.calls
    return None


def report(world: str, acting: str, days: list[Day], worst: NDArray[np.float64], depth: int, seed: int) -> str:
    """
    Args:
        worst: shape (days - 1,), the most evidence of each day but the first.
    """
    rules, alone = ACTING[acting], math.log(1.0 / ALPHA)
    watched = list(range(depth, worst.size))
    asked = {i: max(alone, worst[i - depth : i].max(initial=0.0) + CLEARANCE_NATS) for i in watched}
    trips = acted = uncalibrated = 0
    for i in watched:
        if worst[i] >= alone - _NEAR_NATS:
            uncalibrated += calls_to(alone, panel_of(rules, days[i]), days[i + 1]) is not None
        if worst[i] >= asked[i] - _NEAR_NATS and calls_to(asked[i], panel_of(rules, days[i]), days[i + 1]) is not None:
            trips += 1
            acted += asked[i] <= HOPELESS * alone
    rng = np.random.default_rng((seed, depth))
    before, after = [], []
    for i in rng.choice(watched, size=min(_DELAYS, len(watched)), replace=False):
        worse = drawn(i + 1, 1.0 - (1.0 - days[i + 1].share) * 0.95, rng)
        before.append(calls_to(alone, panel_of(rules, days[i]), worse))
        after.append(calls_to(asked[i], panel_of(rules, days[i]), worse))
    demoted = sum(needed > HOPELESS * alone for needed in asked.values())
    n = len(watched)
    cells = [
        world,
        "at any time" if acting == "whenever" else "with the promotion",
        f"{depth}",
        f"{n}",
        f"{uncalibrated / n:.1%}",
        f"{trips / n:.1%}",
        f"{1 / (depth + 1):.1%}",
        f"{acted / n:.1%}",
        f"{np.median(list(asked.values())):.1f}",
        f"{demoted / n:.0%}",
        _delay(before),
        _delay(after),
    ]
    return f"| {' | '.join(cells)} |"


def _delay(calls: list[int | None]) -> str:
    took = [n for n in calls if n is not None]
    return f"{np.median(took) if took else math.nan:,.0f} ({len(took) / len(calls):.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, nargs="+", default=[7, 20], help="quiet days behind each watch")
    parser.add_argument("--runs", type=int, default=1000, help="days lived in each world")
    parser.add_argument("--seed", type=int, default=20261120)
    parser.add_argument("--worlds", nargs="+", default=["iid", "minutes", "blips1", "blips4"])
    given = parser.parse_args()
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    for world in given.worlds:
        days = list(life(world, given.runs + 1, np.random.default_rng(given.seed)))
        for acting, rules in ACTING.items():
            worst = np.array(
                [
                    strayed(rules, before.blocks(), day.blocks(), TERMS)["success"].worst_nats
                    for before, day in pairwise(days)
                ]
            )
            for depth in given.days:
                print(report(world, acting, days, worst, depth, given.seed), flush=True)


if __name__ == "__main__":
    main()
