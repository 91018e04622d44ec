"""
Other prompts as a control, where the provider misbehaves: does the common shock test blame a promotion for what
everybody suffers, and what does asking it cost in calls?
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.detection.laws import lognormal_latency
from bench.detection.report import Share, Table, Target
from bench.detection.side_by_side import (
    ALPHA,
    BATCH,
    Scene,
    Side,
    common,
    conditional,
    divergence,
    divergence_given_sum,
    fewest_calls_given_sum,
    oracle_calls,
    promotion,
)
from bench.detection.worlds import CLIMATES, FAILURE_SHARE, INDEPENDENT, UNCHANGED, Change
from watchdog.core.rules import Metric, Rule, Statistic

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.detection.report import Cell

RATES = (1.0, 0.05)
TIMES = (10.0, 1.0)
ALLOWED_DELAY_RATIO = 2.5
MORE_FAILURES = 0.05
FAILURES = Rule(name="failures", metric=Metric.SUCCESS, statistic=Statistic.PROPORTION)
P95 = Rule(name="p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.95)
# As the default pack has it.
P95_WITH_MARGIN = replace(P95, name="p95, margin 20 %", margin_rel=0.2)
_CHANGES = {Metric.SUCCESS: Change(more_failures=MORE_FAILURES), Metric.LATENCY: Change(latency_factor=2.0)}
_NAMES = {Metric.SUCCESS: "+5 pp failures", Metric.LATENCY: "latency x2"}
_WIDE = lognormal_latency(sigma=0.7)
_COLUMNS = (
    "world",
    "calls/s",
    "peers",
    "false",
    "calls to find it",
    "false, conditional",
    "calls, conditional",
)
# Overdispersed minutes are a prompt's own and not the provider's.
_COMMON_CLIMATES = tuple(c for c in CLIMATES if "overdispersed" not in c.name)


class Measured(NamedTuple):
    """One row."""

    row: dict[str, Cell | Share]
    alarms: int
    delay_ratio: float


class _Trial(NamedTuple):
    """One promotion to be run, and what came of it: calls to the trip by judge, None for none; and all its calls."""

    scene: Scene
    change: Change
    seed: tuple[int, ...]


class _Found(NamedTuple):
    common: int | None
    conditional: int | None
    of_calls: int


def measured(scenes: Sequence[Scene], promotions: int, changed: int, seed: int) -> list[Measured]:
    """
    One row a scene. Promotion i has the generator [seed, i], with the change [seed, 1, i].

    Args:
        scenes: of one rule.
    """
    change = _CHANGES[scenes[0].rule.metric]
    quiet = _run([_Trial(scene, UNCHANGED, (seed, i)) for scene in scenes for i in range(promotions)])
    worse = _run([_Trial(scene, change, (seed, 1, i)) for scene in scenes for i in range(changed)])
    rows = []
    for at, scene in enumerate(scenes):
        calm = quiet[at * promotions : (at + 1) * promotions]
        bad = worse[at * changed : (at + 1) * changed]
        oracle = oracle_calls(scene, change)
        delays = [one.of_calls if one.common is None else one.common for one in bad]
        row: dict[str, Cell | Share] = {
            "world": scene.climate.name,
            "calls/s": scene.own.calls_per_s,
            "peers": f"{scene.peers.calls_per_s / scene.own.calls_per_s:g}x",
            "false": _false([one.common for one in calm]),
            "calls to find it": _delay([one.common for one in bad], bad, oracle),
        }
        if not scene.rule.margin_rel:
            row |= {
                "false, conditional": _false([one.conditional for one in calm]),
                "calls, conditional": _delay([one.conditional for one in bad], bad, oracle),
            }
        alarms = sum(one.common is not None for one in calm)
        rows.append(Measured(row, alarms, float(np.mean(delays)) / oracle))
    return rows


def _run(trials: Sequence[_Trial]) -> list[_Found]:
    """In batches, which hold the promotions of several scenes."""
    found: list[_Found] = []
    for first in range(0, len(trials), BATCH):
        batch = trials[first : first + BATCH]
        seen = [promotion(one.scene, one.change, np.random.default_rng(one.seed)) for one in batch]
        # The rival has no margin: a slowdown that is tolerated is no ratio of odds.
        rival = [None] * len(seen) if batch[0].scene.rule.margin_rel else conditional(seen)
        calls = [int(p.sides[0].sum()) for p in seen]
        found += [_Found(*one) for one in zip(common(seen), rival, calls, strict=True)]
    return found


def _false(found: Sequence[int | None]) -> Share:
    return Share(hits=sum(calls is not None for calls in found), runs=len(found))


def _delay(found: Sequence[int | None], of: Sequence[_Found], oracle: float) -> str:
    """A day without an agreement counts as the whole day."""
    mean = np.mean([one.of_calls if calls is None else calls for calls, one in zip(found, of, strict=True)])
    hits = sum(calls is not None for calls in found)
    return f"{mean:.0f} ({mean / oracle:.2f}x{'' if hits == len(of) else f', found {hits} of {len(of)}'})"


def table(rule: Rule, promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """Peers like the candidate, in every world."""
    changed = max(3, promotions // 2)
    scenes = [
        Scene(rule=rule, climate=climate, own=Side(calls_per_s=rate), peers=Side(calls_per_s=times * rate))
        for climate in _COMMON_CLIMATES
        for rate in RATES
        for times in TIMES
    ]
    told(f"beside peers, {rule.name}, {promotions} promotions a row")
    found = measured(scenes, promotions, changed, seed)
    oracle = oracle_calls(scenes[0], _CHANGES[rule.metric])
    delays = [
        Target(
            name=f"delay beside the SPRT, {scene.own.calls_per_s:g} calls/s, peers {one.row['peers']}",
            measured=one.delay_ratio,
            allowed=ALLOWED_DELAY_RATIO,
        )
        for scene, one in zip(scenes, found, strict=True)
        if scene.climate is INDEPENDENT and rule is FAILURES
    ]
    alarms = dict.fromkeys((climate.name for climate in _COMMON_CLIMATES), 0)
    for scene, one in zip(scenes, found, strict=True):
        alarms[scene.climate.name] += one.alarms
    a_world = promotions * len(RATES) * len(TIMES)
    false = [
        Target(name=f"false agreements, {name}", measured=hits / a_world, allowed=ALPHA)
        for name, hits in alarms.items()
    ]
    rival = (
        ""
        if rule.margin_rel
        else "beside it the test that assumes nothing about the provider (conditional), a look a minute, same streams; "
    )
    about = (
        f"The common shock test as the daemon asks it, windows of 10 s, margin {100.0 * rule.margin_rel:g} %, alpha "
        f"{ALPHA:g}, baseline of one day, 24 h of watch; {rival}{promotions} unchanged promotions and {changed} with "
        f"{_NAMES[rule.metric]} a row, seed {seed}; a day without an agreement counts as the whole day. In brackets "
        f"the ratio to the SPRT that knows both shares and looks at every call, {oracle:.1f} calls."
    )
    if rule is FAILURES:
        about = f"{about} {_bound(oracle)}"
    return Table(
        title=f"Beside peers: {rule.name}",
        about=about,
        rows=[one.row for one in found],
        targets=[*delays, *false, *_together(sum(alarms.values()), a_world * len(alarms))],
    )


def unlike(promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """Peers that are not like the candidate: what strikes all alike moves the ratio of their odds."""
    changed = max(3, promotions // 2)
    calm, drift, wave, one, four = _COMMON_CLIMATES
    often, wide = {"failures": 5.0 * FAILURE_SHARE}, {"latency": _WIDE}
    rows: list[dict[str, Cell | Share]] = []
    alarms = 0
    for name, rule, own, theirs, climates in (
        ("fails five times as often", FAILURES, often, {}, (calm, one, four)),
        ("fails a fifth as often", FAILURES, {}, often, (calm, one, four)),
        ("latency spreads more", P95_WITH_MARGIN, wide, {}, (drift, wave, four)),
        ("latency spreads less", P95_WITH_MARGIN, {}, wide, (drift, wave, four)),
    ):
        told(f"beside peers, {name}, {promotions} promotions a row")
        scenes = [
            Scene(
                rule=rule,
                climate=climate,
                own=replace(Side(calls_per_s=rate), **own),
                peers=replace(Side(calls_per_s=times * rate), **theirs),
            )
            for climate in climates
            for rate in RATES
            for times in TIMES
        ]
        for one in measured(scenes, promotions, changed, seed):
            row = {"false, conditional": None, "calls, conditional": None} | one.row
            rows.append({"the candidate": name} | {key: row[key] for key in _COLUMNS})
            alarms += one.alarms
    return Table(
        title="Beside peers that are not like the candidate",
        about=(
            "As above. A blip adds failures, the same share of the calls that would have been good on either side, and "
            "multiplies latencies (p95 with a margin of 20 %). Usual failures 5 % beside 1 %, or 1 % beside 5 %; sigma "
            f"of ln latency 0.7 beside 0.5, or 0.5 beside 0.7. {promotions} unchanged promotions and {changed} changed "
            f"ones a row, seed {seed}."
        ),
        rows=rows,
        targets=_together(alarms, promotions * len(rows)),
    )


def _together(hits: int, runs: int) -> tuple[Target, Target]:
    share = Share(hits=hits, runs=runs)
    return (
        Target(name="false agreements, all rows together", measured=share.rate, allowed=ALPHA),
        Target(name="  its 95 % upper limit", measured=share.upper, allowed=ALPHA),
    )


def _bound(oracle: float) -> str:
    """What no test that assumes nothing about the provider can do."""
    usual, worse = FAILURE_SHARE, FAILURE_SHARE + MORE_FAILURES
    said = [
        f"{fewest_calls_given_sum(usual, worse, times):.0f} at {times:g}x "
        f"({divergence_given_sum(usual, worse, times):.4f} nats a call, "
        f"{fewest_calls_given_sum(usual, worse, times) / oracle:.2f} times the SPRT)"
        for times in TIMES
    ]
    return (
        f"A call of known share gives {divergence(usual, worse):.4f} nats. No test that looks only at which of the bad "
        f"calls were ours finds every change with fewer calls on average than {', '.join(said)}."
    )
