"""How many harmless promotions the default pack's reverting rules would put back, all together, within 24 hours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bench.detection.laws import lognormal_latency, token_cost
from bench.detection.report import Share, Table, Target
from bench.detection.screen import Column, column_of, evidence_by_minute, largest_log_e, learned
from bench.detection.trial import SETTINGS, Setting, Tempering, alpha_of, build, first_trip, level_of, reverting_rules
from bench.detection.worlds import CLIMATES, INDEPENDENT, UNCHANGED, Change, World
from watchdog.core.rules import Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.detection.report import Cell
    from bench.detection.trial import Test
    from bench.detection.worlds import Baseline
    from watchdog.core.rules import Rule, RuleSet
    from watchdog.stats.histogram import FloatArray

RATES = (1.0, 0.05)
ALLOWED = 0.001
ALLOWED_UPPER = 0.0013
# At 1 call/s a million calls: the more the baseline knows, the less of its own error the bound has to spare.
LONG_BASELINE_DAYS = 12
_BATCH = 200


@dataclass(frozen=True, kw_only=True)
class Counts:
    """
    Attributes:
        runs: promotions.
        by_rule: how many of them each rule reverted.
        any_rule: how many any rule reverted.
    """

    runs: int
    by_rule: Mapping[str, int]
    any_rule: int


def at_the_margin(rules: Sequence[Rule]) -> Change:
    """As bad as every rule tolerates, at once: the hardest of all harmless promotions."""

    def tolerated(metric: Metric) -> float:
        return max((rule.margin_rel for rule in rules if rule.metric is metric), default=0.0)

    return Change(
        more_failures=max((rule.margin_abs for rule in rules if rule.metric is Metric.SUCCESS), default=0.0),
        latency_factor=1.0 + tolerated(Metric.LATENCY),
        cost_factor=1.0 + tolerated(Metric.COST),
    )


def count(
    world: World,
    pack: RuleSet,
    rules: Sequence[Rule],
    settings: Sequence[Setting],
    *,
    promotions: int,
    seed: int,
) -> dict[Setting, Counts]:
    """
    Run the rules over so many promotions of a world; promotion i has the generator [seed, i].

    Args:
        settings: all without tempering, or one alone.
    """
    tempered = any(setting.tempering is not Tempering.NONE for setting in settings)
    loosest = {rule.name: max(settings, key=lambda s, r=rule: level_of(r, alpha_of(pack, r, s), s)) for rule in rules}
    by_rule = {setting: dict.fromkeys((rule.name for rule in rules), 0) for setting in settings}
    any_rule = dict.fromkeys(settings, 0)
    for first in range(0, promotions, _BATCH):
        batch = range(first, min(first + _BATCH, promotions))
        columns: dict[str, list[Column]] = {rule.name: [] for rule in rules}
        evidence: dict[str, list[FloatArray]] = {rule.name: [] for rule in rules}
        for i in batch:
            baseline, calls = world.promotion(np.random.default_rng([seed, i]), by_minute=tempered)
            for rule in rules:
                column = column_of(built(rule, baseline, pack, loosest[rule.name]))
                columns[rule.name].append(column)
                evidence[rule.name].append(evidence_by_minute(rule, column, calls))
        log_e = {rule.name: largest_log_e(columns[rule.name], evidence[rule.name]) for rule in rules}
        for at, i in enumerate(batch):
            undecided = [
                (setting, rule)
                for setting in settings
                for rule in rules
                if columns[rule.name][at].may_trip(
                    float(log_e[rule.name][at]), level_of(rule, alpha_of(pack, rule, setting), setting)
                )
            ]
            if not undecided:
                continue
            baseline, calls = world.promotion(np.random.default_rng([seed, i]), by_minute=tempered)
            reverted = set()
            for setting, rule in undecided:
                if first_trip(rule, built(rule, baseline, pack, setting), calls) is not None:
                    by_rule[setting][rule.name] += 1
                    reverted.add(setting)
            for setting in reverted:
                any_rule[setting] += 1
    return {s: Counts(runs=promotions, by_rule=by_rule[s], any_rule=any_rule[s]) for s in settings}


def built(rule: Rule, baseline: Baseline, pack: RuleSet, setting: Setting) -> Test:
    """The rule's test, tempered as the setting says where the control's calls are known by minute."""
    alpha = alpha_of(pack, rule, setting)
    if baseline.by_minute is None or setting.tempering is Tempering.NONE:
        return build(rule, baseline, alpha, setting)
    teacher = rule
    if setting.tempering is Tempering.WITHOUT_MARGIN:
        teacher = replace(rule, margin_abs=0.0, margin_rel=0.0)
    dependence = learned(teacher, build(teacher, baseline, alpha, setting), baseline.by_minute)
    return build(rule, baseline, alpha, setting, dependence)


def headline(promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """Independent calls, unchanged and at the margin, all settings."""
    pack, rules = reverting_rules()
    latency, cost = lognormal_latency(), token_cost()
    rows: list[dict[str, Cell | Share]] = []
    worst: dict[Setting, Share] = {}
    strict = tuple(replace(rule, margin_abs=0.0, margin_rel=0.0) for rule in rules)
    at_margin = at_the_margin(rules)
    for truth, judged_by, change, days in (
        ("unchanged", rules, UNCHANGED, 1),
        ("exactly at every margin", rules, at_margin, 1),
        ("unchanged, margins of 0", strict, UNCHANGED, 1),
        (f"exactly at every margin, baseline of {LONG_BASELINE_DAYS} days", rules, at_margin, LONG_BASELINE_DAYS),
    ):
        for rate in RATES:
            told(f"{promotions} promotions, {truth}, {rate:g} calls/s")
            world = World(
                climate=INDEPENDENT,
                calls_per_s=rate,
                latency=latency,
                cost=cost,
                change=change,
                baseline_days=days,
            )
            for setting, counts in count(world, pack, judged_by, SETTINGS, promotions=promotions, seed=seed).items():
                share = Share(hits=counts.any_rule, runs=counts.runs)
                if setting not in worst or share.hits > worst[setting].hits:
                    worst[setting] = share
                row: dict[str, Cell | Share] = {
                    "candidate": truth,
                    "calls/s": rate,
                    "setting": setting.name,
                    "reverted": share,
                }
                rows.append(row | counts.by_rule)
    targets = []
    for setting, share in worst.items():
        targets.append(Target(name=f"false reverts, {setting.name}", measured=share.rate, allowed=ALLOWED))
        targets.append(Target(name="  its 95 % upper limit", measured=share.upper, allowed=ALLOWED_UPPER))
    return Table(
        title="False reverts per promotion",
        about=(
            f"Default pack, rules that revert ({', '.join(rule.name for rule in rules)}) together; baseline of one "
            f"day where the row does not say otherwise, one look a minute for 24 h, {promotions} promotions a row, "
            f"seed {seed}. In brackets the 95 % upper limit."
        ),
        rows=rows,
        targets=targets,
    )


def climates(promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """What moves without the candidate's doing."""
    pack, rules = reverting_rules()
    latency, cost = lognormal_latency(), token_cost()
    capped = Setting(alpha=pack.alpha, mode=pack.threshold)
    guards = (
        ("none", replace(capped, capped=False)),
        ("cap", capped),
        ("cap, tempered at the margin", replace(capped, tempering=Tempering.AT_THE_MARGIN)),
        ("cap, tempered without margin", replace(capped, tempering=Tempering.WITHOUT_MARGIN)),
    )
    rows: list[dict[str, Cell | Share]] = []
    for climate in CLIMATES:
        for rate in RATES:
            told(f"{promotions} promotions, {climate.name}, {rate:g} calls/s")
            world = World(climate=climate, calls_per_s=rate, latency=latency, cost=cost)
            for guard, setting in guards:
                counts = count(world, pack, rules, (setting,), promotions=promotions, seed=seed)[setting]
                row: dict[str, Cell | Share] = {
                    "world": climate.name,
                    "calls/s": rate,
                    "guard": guard,
                    "reverted": Share(hits=counts.any_rule, runs=counts.runs),
                }
                rows.append(row | counts.by_rule)
    return Table(
        title="False reverts where calls are not independent",
        about=(
            f"The default pack's reverting rules together, {capped.name}, the candidate unchanged, no control "
            f"prompts; {promotions} promotions a row, seed {seed}. Tempering is learned from the control's own "
            "minutes: against the largest null that the margin allows, as the panel does, or against the baseline."
        ),
        rows=rows,
    )
