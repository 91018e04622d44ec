"""What the baseline's blocks, the budget and quiet days make of a rule's threshold and evidence."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.builders import T0, call, rule_set, success_rule
from watchdog.core.calibration import Calibration
from watchdog.core.judge import advance, begin, judge
from watchdog.core.panel import Panel, assemble
from watchdog.core.rules import Action, Method, Metric, Rule, Statistic
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, Summary, summarise
from watchdog.errors import StatsInputError
from watchdog.stats.eprocess import ThresholdMode

if TYPE_CHECKING:
    from collections.abc import Sequence

SHAPE = Rule(name="shape", metric=Metric.LATENCY, statistic=Statistic.DISTRIBUTION, margin_rel=0.2)
COST = Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15)
LIMIT = Rule(name="floor", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.5)
CLASSICAL = {
    Method.FISHER: success_rule(method=Method.FISHER),
    Method.WELCH: replace(COST, method=Method.WELCH),
    Method.MANN_WHITNEY: replace(SHAPE, method=Method.MANN_WHITNEY),
    Method.KS: replace(SHAPE, method=Method.KS),
    Method.FIXED: replace(LIMIT, method=Method.FIXED),
}


def blocks(n: int, bad: Sequence[int]) -> list[Summary]:
    """Blocks of n calls with so many bad ones each."""
    return [summarise([call(i, ok=i >= b) for i in range(n)]) for b in bad]


def whole(parts: Sequence[Summary]) -> Summary:
    total = Summary()
    for part in parts:
        total = total.merge(part)
    return total


def assembled(*rules: Rule, baseline: Sequence[Summary], tempered: bool = True, **given: object) -> Panel:
    return assemble(
        rule_set(*rules),
        whole(baseline),
        n_windows=8640,
        min_baseline_calls=50,
        blocks=baseline if tempered else (),
        **given,  # type: ignore[arg-type]
    )


def verdict_on(panel: Panel, windows: Sequence[Summary]) -> tuple[Verdict, int]:
    timed = [(T0 + i * WINDOW, window) for i, window in enumerate(windows)]
    progress = advance(panel, begin(panel), timed, sealed_until=timed[-1][0] + WINDOW)
    return judge(panel, progress).verdict, progress.candidate.calls


BURSTY = blocks(10, [8 if i % 20 in (7, 8) else 0 for i in range(100)])
STEADY = blocks(10, [1 if i % 5 == 2 else 0 for i in range(100)])


def test_a_burst_like_those_of_the_baseline_is_no_regression() -> None:
    """Untempered, the same burst reverts a harmless promotion."""
    again = BURSTY[7:40]

    assert Verdict.OK is verdict_on(assembled(success_rule(), baseline=BURSTY), again)[0]
    assert Verdict.REGRESSED is verdict_on(assembled(success_rule(), baseline=BURSTY, tempered=False), again)[0]


def test_a_steady_baseline_costs_the_evidence_nothing() -> None:
    """Calls that vary no more than chance are independent as far as anyone can tell."""
    tempered = assembled(success_rule(), baseline=STEADY).seats[0].design
    plain = assembled(success_rule(), baseline=STEADY, tempered=False).seats[0].design

    assert plain.temper.tolist() == tempered.temper.tolist()
    assert plain.log_weight_baseline.tolist() == tempered.log_weight_baseline.tolist()


def test_total_failure_after_a_bursty_baseline_is_still_found() -> None:
    """It takes a few windows more, not an hour."""
    verdict, calls = verdict_on(assembled(success_rule(), baseline=BURSTY), blocks(10, [10] * 20))

    assert Verdict.REGRESSED is verdict
    assert calls <= 60


@pytest.mark.parametrize("method", CLASSICAL, ids=lambda method: method.value)
def test_every_classical_method_finds_what_is_plain(method: Method) -> None:
    """Failures, latency and cost are all much worse."""
    rule = CLASSICAL[method]
    panel = assembled(
        rule,
        baseline=[summarise([call(i, latency_ms=700.0 + i % 200, cost_usd=0.01 + i % 7 * 1e-3)]) for i in range(600)],
    )
    worse = [summarise([call(i, ok=False, latency_ms=5000.0 + i, cost_usd=0.05 + i % 7 * 1e-3)]) for i in range(60)]

    verdict, calls = verdict_on(panel, worse)

    assert Verdict.REGRESSED is verdict
    assert calls < 60


@pytest.mark.parametrize("method", CLASSICAL, ids=lambda method: method.value)
def test_evidence_of_every_method_survives_being_stored(method: Method) -> None:
    """A restart goes on at the same bit."""
    panel = assembled(CLASSICAL[method], baseline=STEADY)
    seat = panel.seats[0]
    evidence = seat.step(seat.start(), STEADY[0], STEADY[0])

    assert evidence == seat.read(evidence.to_bytes())


def test_evidence_of_another_method_is_refused() -> None:
    """It would be read as something that it is not."""
    sequential = assembled(success_rule(), baseline=STEADY).seats[0]
    fisher = assembled(CLASSICAL[Method.FISHER], baseline=STEADY).seats[0]

    with pytest.raises(StatsInputError):
        fisher.read(sequential.start().to_bytes())
    with pytest.raises(StatsInputError, match="start it anew"):
        fisher.nats(sequential.start())


def test_a_certified_threshold_asks_for_less_of_the_rules_that_simulation_backs() -> None:
    """Three times the level for shares; the mean keeps its own."""
    rules = replace(rule_set(success_rule(), COST), threshold=ThresholdMode.CERTIFIED)
    panel = assemble(rules, whole(STEADY), n_windows=8640, min_baseline_calls=50)
    share, mean = (seat.threshold for seat in panel.seats)

    assert math.log(1.0 / (3 * 0.0025)) == pytest.approx(share)
    assert math.log(1.0 / 0.0025) == pytest.approx(mean)


def test_what_is_left_of_the_budget_is_all_there_is() -> None:
    """Rules that take over in the middle of a watch have a tenth of it here."""
    panel = assembled(success_rule(), baseline=STEADY, alpha_left=0.1)

    assert math.log(1.0 / 0.0005) == pytest.approx(panel.seats[0].threshold)


def test_quiet_days_that_strayed_raise_the_threshold() -> None:
    """So much evidence comes about without any promotion."""
    quiet = {"success": Calibration(days=7, worst_nats=9.0, alpha_nats=math.log(200.0))}
    panel = assembled(success_rule(), baseline=STEADY, calibration=quiet)

    assert 9.5 == panel.seats[0].threshold
    assert Action.REVERT is panel.seats[0].action


def test_a_rule_that_cannot_tell_a_regression_from_a_usual_day_only_alerts() -> None:
    """And says so in its line."""
    quiet = {"success": Calibration(days=7, worst_nats=40.0, alpha_nats=math.log(200.0))}
    panel = assembled(success_rule(), baseline=STEADY, calibration=quiet)
    progress = advance(panel, begin(panel), [(T0, STEADY[0])], sealed_until=T0 + WINDOW)
    reading = judge(panel, progress).readings[0]

    assert Action.ALERT is reading.action
    assert "7 quiet days" in reading.sentence
    assert "this rule only alerts here" in reading.sentence


OUTAGE = blocks(10, [10 if i in (40, 41, 42, 43, 44, 45) else i % 10 == 5 for i in range(500)])


def test_one_outage_in_the_baseline_does_not_blind_a_rule() -> None:
    """Sixty of 5,000 calls failed in a row: half of the calls failing is still found, if later than without."""
    verdict, calls = verdict_on(assembled(success_rule(), baseline=OUTAGE), blocks(10, [5] * 100))

    assert Verdict.REGRESSED is verdict
    assert calls <= 450  # 500 where a block may count for more than its windows could


def test_what_looks_worse_and_cannot_be_shown_is_not_called_fine() -> None:
    """Failures rise from 2 % to 12 %, and a baseline as uneven as this one does not bear it out: nobody is told OK."""
    uneven = blocks(10, [10 if i % 50 == 3 else 0 for i in range(100)])
    verdict, _ = verdict_on(assembled(success_rule(), baseline=uneven), blocks(10, [1, 1, 2] * 30))

    assert Verdict.INCONCLUSIVE is verdict
