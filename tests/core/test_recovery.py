"""Did the revert help? Each ending, from planted calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.builders import T0, call, rule_set, success_rule
from watchdog.core.damage import TOLERATED_PART, gauges_of
from watchdog.core.incident import Recovery
from watchdog.core.panel import assemble
from watchdog.core.recovery import Finding, assess
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.core.windows import WINDOW, Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

P95 = Rule(name="p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.95, margin_rel=0.2)
COST = Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15)
PEERS = "5 of 6 other prompts on openai got worse since 12:03 UTC"


def calls(n: int, failures: int) -> Summary:
    return summarise(call(i, ok=i >= failures) for i in range(n))


def drawn(
    n: int, *, fails: float = 0.01, latency: float = 1.0, cost: float = 1.0, seed: int = 3, segment: str = ""
) -> list[Summary]:
    """n calls, one a window: a share fails, evenly spread; latency and cost scatter as usual, times a factor."""
    rng = np.random.default_rng(seed)
    return [
        summarise(
            [
                call(
                    i,
                    ok=int((i + 1) * fails) == int(i * fails),
                    latency_ms=float(800.0 * latency * np.exp(rng.normal(0.0, 0.3))),
                    cost_usd=float(0.01 * cost * np.exp(rng.normal(0.0, 0.3))),
                    segment=segment,
                )
            ]
        )
        for i in range(n)
    ]


def merged(parts: Iterable[Summary]) -> Summary:
    total = Summary()
    for part in parts:
        total = total.merge(part)
    return total


def spaced(parts: Sequence[Summary]) -> list[tuple[datetime, Summary]]:
    return [(T0 + i * WINDOW, part) for i, part in enumerate(parts)]


BASELINE = calls(1000, 10)
BAD = calls(20, 12)
USUAL = merged(drawn(1000, seed=1))


def assessed(
    n: int,
    share: float,
    *,
    overdue: bool = False,
    rule: Rule | None = None,
    peers_worse: str = "",
    bad: Summary = BAD,
) -> Finding:
    """The restored version makes n calls, one a window, of which a share fails, spread evenly."""
    rule = rule or success_rule()
    panel = assemble(rule_set(rule), BASELINE, n_windows=8640, min_baseline_calls=50)
    fails = [int((i + 1) * share) > int(i * share) for i in range(n)]
    gauges = gauges_of(panel, {rule.name}, bad)
    return assess(panel, gauges, spaced([calls(1, int(f)) for f in fails]), overdue=overdue, peers_worse=peers_worse)


def judged(
    bad: Sequence[Summary], restored: Sequence[Summary], *tripped: str, overdue: bool = False, baseline: Summary = USUAL
) -> Finding:
    """Under rules on failures, p95 and cost, of which some tripped on the bad version."""
    panel = assemble(rule_set(success_rule(), P95, COST), baseline, n_windows=8640, min_baseline_calls=50)
    return assess(panel, gauges_of(panel, set(tripped), merged(bad)), spaced(restored), overdue=overdue)


def test_calls_like_the_baseline_show_that_it_recovered_and_how_sure_that_is() -> None:
    """What is left of the damage at the most, beside what it was; and how seldom more than that would look so."""
    finding = assessed(30, 0.01)

    assert Recovery.RECOVERED is finding.recovery
    assert finding.reason == (
        "20 calls on the restored version; failures 0.0 %, at most 16.6 % (95 %, any time), where the reverted version "
        "had 60.0 % and the baseline 1.0 %; success 100.0 % (baseline 99.0 %), p95 802 ms (802 ms), cost $0.0100 "
        "($0.0100); tolerated is less than 19.2 % (two fifths of the least that the damage was), odds of "
        "this by chance 1 in 37"
    )


def test_calls_that_are_still_bad_show_that_it_did_not() -> None:
    """The cause is not the prompt."""
    finding = assessed(30, 0.6)

    assert Recovery.UPSTREAM_SUSPECTED is finding.recovery
    assert finding.restored.calls < 20


def test_a_few_calls_decide_nothing_before_the_deadline() -> None:
    """It goes on looking."""
    assert Recovery.VERIFYING is assessed(3, 0.0).recovery


def test_a_few_calls_at_the_deadline_leave_it_unverified() -> None:
    """Nothing is claimed."""
    finding = assessed(3, 0.0, overdue=True)

    assert Recovery.UNVERIFIED is finding.recovery
    assert "3 calls of the restored version before the deadline are too few to tell" in finding.reason


def test_a_handful_of_good_calls_is_no_recovery_before_the_deadline() -> None:
    """After total failure fifteen good calls are enough, and nothing is said before the twentieth but the last word."""
    failed = calls(20, 20)

    assert Recovery.VERIFYING is assessed(15, 0.0, bad=failed).recovery
    assert Recovery.RECOVERED is assessed(15, 0.0, bad=failed, overdue=True).recovery


def test_no_calls_at_the_deadline_leave_it_unverified() -> None:
    """Silence is not recovery."""
    assert Recovery.UNVERIFIED is assessed(0, 0.0, overdue=True).recovery


def test_half_a_recovery_is_none() -> None:
    """Half of the failures are gone: worse than the margin, and more than the tolerated part of the damage."""
    assert Recovery.UPSTREAM_SUSPECTED is assessed(180, 0.3).recovery


def test_what_is_left_below_the_tolerance_is_still_no_recovery_while_it_looks_worse_than_the_margin() -> None:
    """Thirteen per cent fail where the baseline has one: less than two fifths of the damage, and plainly not well."""
    finding = assessed(25, 0.13, overdue=True)

    assert Recovery.UPSTREAM_SUSPECTED is finding.recovery
    assert "it still looks worse than the margin allows at the deadline: failures 12.0 %" in finding.reason


def test_a_rule_that_only_alerts_does_not_decide_about_the_recovery() -> None:
    """Bad calls then leave it open until the deadline, when they speak for themselves."""
    quiet = success_rule(action=Action.ALERT)

    assert Recovery.VERIFYING is assessed(30, 0.6, rule=quiet).recovery
    assert Recovery.UPSTREAM_SUSPECTED is assessed(30, 0.6, rule=quiet, overdue=True).recovery


@pytest.mark.parametrize("worse", ["latency", "cost"])
def test_a_metric_that_was_fine_under_the_bad_version_has_its_say_as_well(worse: str) -> None:
    """The failures are gone, but everything takes, or costs, twice as much now."""
    finding = judged(drawn(20, fails=1.0), drawn(180, **{worse: 2.0}), "success", overdue=True)

    assert Recovery.UPSTREAM_SUSPECTED is finding.recovery
    assert worse in finding.reason


def test_slowest_calls_that_are_slow_now_are_no_recovery_of_p95() -> None:
    """Most calls are as quick as before; one in eight takes four times as long."""
    usual = drawn(180)
    tail = [part if i % 8 else summarise([call(i, latency_ms=3200.0)]) for i, part in enumerate(usual)]

    assert Recovery.RECOVERED is judged(drawn(60, latency=3.0), usual, "p95").recovery
    assert Recovery.UPSTREAM_SUSPECTED is judged(drawn(60, latency=3.0), tail, "p95", overdue=True).recovery


def test_before_the_deadline_every_metric_must_have_been_heard() -> None:
    """Failures are seen to be gone with the twentieth call, the first that may end it; that p95 is well takes more."""
    finding = judged(drawn(20, fails=1.0), drawn(180), "success")

    assert Recovery.RECOVERED is finding.recovery
    assert finding.restored.calls > 20
    assert Recovery.RECOVERED is judged(drawn(20, fails=1.0), drawn(25), "success", overdue=True).recovery


def test_peers_that_are_worse_too_decide_at_once_where_the_restored_version_looks_bad() -> None:
    """Two failures of five calls prove nothing by themselves."""
    alone, shared = assessed(5, 0.4), assessed(5, 0.4, peers_worse=PEERS)

    assert Recovery.VERIFYING is alone.recovery
    assert Recovery.UPSTREAM_SUSPECTED is shared.recovery
    assert shared.reason.endswith(PEERS)


def test_peers_that_are_worse_do_not_matter_while_the_restored_version_is_fine() -> None:
    """Before it is sure, and after."""
    assert Recovery.VERIFYING is assessed(10, 0.0, peers_worse=PEERS).recovery
    assert Recovery.RECOVERED is assessed(30, 0.01, peers_worse=PEERS).recovery


@pytest.mark.parametrize("share", [0.0, 0.07, 0.2, 0.6])
def test_the_ending_does_not_depend_on_when_one_looks(share: float) -> None:
    """The first look that ends it says what one look at all of the calls says."""
    at_once = assessed(120, share)
    looks = (assessed(n, share) for n in range(121))
    first = next((look for look in looks if look.recovery is not Recovery.VERIFYING), at_once)

    assert at_once == first


def test_latency_damage_is_measured_where_bad_and_good_lie_furthest_apart() -> None:
    """At the geometric middle of the two medians; the tolerated part is of the calls that became too slow."""
    panel = assemble(rule_set(P95), USUAL, n_windows=8640, min_baseline_calls=50)
    damage, tail = gauges_of(panel, {"p95"}, merged(drawn(400, latency=2.0, seed=5)))

    assert 1000 < (damage.over or 0) < 1300
    assert damage.during is not None
    assert 0.9 < damage.tolerated / (TOLERATED_PART * (damage.during - damage.before)) < 1.0
    assert tail.during is None
    assert (tail.over or 0) > 1400


def test_every_rule_that_may_act_has_a_gauge_and_a_tripped_one_that_of_its_damage() -> None:
    """A quantile also keeps its guard: that most calls are as quick as before says nothing of the slowest."""
    panel = assemble(rule_set(success_rule(), P95, COST), USUAL, n_windows=8640, min_baseline_calls=50)
    dear, slow = merged(drawn(60, cost=2.0)), merged(drawn(60, latency=3.0))

    def kinds(bad: Summary, tripped: str) -> list[tuple[str, bool]]:
        return [(gauge.rule.name, gauge.during is not None) for gauge in gauges_of(panel, {tripped}, bad)]

    assert [("success", False), ("p95", False), ("cost", True)] == kinds(dear, "cost")
    assert [("success", False), ("p95", True), ("p95", False), ("cost", False)] == kinds(slow, "p95")


def test_damage_that_few_calls_overstate_is_taken_for_less() -> None:
    """Six failures of ten calls, and six hundred of a thousand."""
    panel = assemble(rule_set(), BASELINE, n_windows=8640, min_baseline_calls=50)
    (few,), (many,) = (gauges_of(panel, {"success"}, calls(n, n * 6 // 10)) for n in (10, 1000))

    assert few.during == many.during
    assert few.tolerated < 0.16 < 0.22 < many.tolerated < TOLERATED_PART * 0.59


def test_the_margin_is_tolerated_where_the_damage_was_hardly_more() -> None:
    """Two fifths of three points are little more than one, and the rule allows two."""
    panel = assemble(rule_set(success_rule(margin_abs=0.02)), BASELINE, n_windows=8640, min_baseline_calls=50)
    (gauge,) = gauges_of(panel, {"success"}, calls(1000, 40))

    assert pytest.approx(0.02) == gauge.tolerated


def test_there_is_no_damage_where_nothing_is_worse() -> None:
    """A rule that tripped for another reason has nothing to verify, and nothing is called recovered."""
    panel = assemble(rule_set(), BAD.merge(calls(60, 30)), n_windows=8640, min_baseline_calls=50)

    assert () == gauges_of(panel, {"success"}, BASELINE)
    assert Recovery.UNVERIFIED is assess(panel, (), spaced(drawn(100)), overdue=True).recovery


def test_a_mix_that_moves_to_harder_requests_is_no_failed_recovery() -> None:
    """Three in ten of the hard requests always failed; after the revert most requests are hard."""
    easy, hard = drawn(700, fails=0.0, segment="easy"), drawn(300, fails=0.3, segment="hard", seed=4)
    panel = assemble(rule_set(success_rule()), merged([*easy, *hard]), n_windows=8640, min_baseline_calls=50)
    bad = merged([*drawn(20, fails=1.0, segment="easy"), *drawn(10, fails=1.0, segment="hard")])
    gauges = gauges_of(panel, {"success"}, bad)
    mostly_hard = [p for i in range(40) for p in (hard[4 * i : 4 * i + 4] + easy[i : i + 1])]

    finding = assess(panel, gauges, spaced(mostly_hard), overdue=True)

    assert Recovery.RECOVERED is finding.recovery
    assert 0.15 < 1.0 - (finding.restored.success_rate or 0.0)


def test_longer_requests_that_take_longer_are_no_failed_recovery() -> None:
    """Latency is compared at like input tokens: after the revert all requests are of the long kind."""
    rng = np.random.default_rng(8)

    def timed(n: int, share_long: float, factor: float = 1.0) -> list[Summary]:
        long = rng.random(n) < share_long
        ms = np.where(long, 1600.0, 400.0) * factor * np.exp(rng.normal(0.0, 0.2, n))
        tokens = np.where(long, 1600, 400)
        return [summarise([call(i, latency_ms=float(ms[i]), input_tokens=int(tokens[i]))]) for i in range(n)]

    def ending(share_long: float, factor: float) -> Recovery:
        return assess(panel, gauges, spaced(timed(150, share_long, factor)), overdue=True).recovery

    usual = timed(1000, 0.5)
    panel = assemble(rule_set(P95), merged(usual), n_windows=8640, min_baseline_calls=50, blocks=usual)
    gauges = gauges_of(panel, {"p95"}, merged(timed(60, 0.5, 3.0)))

    assert Recovery.RECOVERED is ending(0.6, 1.0)
    assert Recovery.UPSTREAM_SUSPECTED is ending(0.6, 3.0)
    assert Recovery.UPSTREAM_SUSPECTED is not ending(1.0, 1.0)


@pytest.mark.parametrize("failures", [0, 1], ids=["all good", "all failed"])
def test_too_many_rows_that_cannot_be_used_leave_it_unverified(failures: int) -> None:
    """What is left may be no fair sample of the calls, good or bad."""
    panel = assemble(rule_set(success_rule()), BASELINE, n_windows=8640, min_baseline_calls=50)
    gauges, windows = gauges_of(panel, {"success"}, BAD), spaced([calls(1, failures)] * 60)
    finding = assess(panel, gauges, windows, overdue=True, rejected={"no version": 30})

    assert Recovery.UNVERIFIED is finding.recovery
    assert "30 of 90 rows could not be used" in finding.reason


def test_without_a_baseline_it_recovered_when_it_is_below_the_limit() -> None:
    """The number that the user states is all that there is to compare with."""
    floor = Rule(name="floor", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.5)
    panel = assemble(rule_set(floor), None, n_windows=8640, min_baseline_calls=50)
    gauges = gauges_of(panel, {"floor"}, calls(25, 25))

    assert Recovery.RECOVERED is assess(panel, gauges, spaced([calls(1, 0)] * 30), overdue=False).recovery
    assert Recovery.UPSTREAM_SUSPECTED is assess(panel, gauges, spaced([calls(1, 1)] * 30), overdue=False).recovery
