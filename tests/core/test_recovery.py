"""Did the revert help? Each ending, from planted calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.builders import T0, call, rule_set, success_rule
from watchdog.core.incident import Recovery
from watchdog.core.panel import assemble
from watchdog.core.recovery import Finding, assess, damage
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.core.windows import WINDOW, Summary, summarise

if TYPE_CHECKING:
    from datetime import datetime


def calls(n: int, failures: int) -> Summary:
    return summarise(call(i, ok=i >= failures) for i in range(n))


BASELINE = calls(1000, 10)
BAD = calls(20, 12)


def assessed(n: int, share: float, *, overdue: bool = False, rule: Rule | None = None) -> Finding:
    """The restored version makes n calls, one a window, of which a share fails, spread evenly."""
    rule = rule or success_rule()
    panel = assemble(rule_set(rule), BASELINE, n_windows=8640, min_baseline_calls=50)
    found = damage(rule, BASELINE, BAD)
    assert found is not None
    fails = [int((i + 1) * share) > int(i * share) for i in range(n)]
    windows = [(T0 + i * WINDOW, calls(1, int(f))) for i, f in enumerate(fails)]
    return assess(panel, [found], windows, sealed_until=T0 + n * WINDOW, overdue=overdue)


def test_calls_like_the_baseline_show_that_it_recovered() -> None:
    """At least half of the damage is gone, and the numbers stand in the reason."""
    finding = assessed(30, 0.01)

    assert Recovery.RECOVERED is finding.recovery
    assert "60.0 % -> 0.0 % (baseline 1.0 %)" in finding.reason


def test_calls_that_are_still_bad_show_that_it_did_not() -> None:
    """The cause is not the prompt."""
    assert Recovery.UPSTREAM_SUSPECTED is assessed(30, 0.6).recovery


def test_a_few_calls_decide_nothing_before_the_deadline() -> None:
    """It goes on looking."""
    assert Recovery.VERIFYING is assessed(3, 0.0).recovery


def test_a_few_calls_at_the_deadline_leave_it_unverified() -> None:
    """Nothing is claimed."""
    assert Recovery.UNVERIFIED is assessed(3, 0.0, overdue=True).recovery


def test_a_handful_of_good_calls_is_no_recovery_before_the_deadline() -> None:
    """Failures are gone after fifteen, but latency and cost have not been heard; at the deadline it is enough."""
    assert Recovery.VERIFYING is assessed(15, 0.0).recovery
    assert Recovery.RECOVERED is assessed(15, 0.0, overdue=True).recovery


def test_no_calls_at_the_deadline_leave_it_unverified() -> None:
    """Silence is not recovery."""
    assert Recovery.UNVERIFIED is assessed(0, 0.0, overdue=True).recovery


def test_a_rule_that_only_alerts_does_not_decide_about_the_recovery() -> None:
    """Bad calls then leave it open until the deadline, when they speak for themselves."""
    quiet = success_rule(action=Action.ALERT)

    assert Recovery.VERIFYING is assessed(30, 0.6, rule=quiet).recovery
    assert Recovery.UPSTREAM_SUSPECTED is assessed(30, 0.6, rule=quiet, overdue=True).recovery


def test_latency_damage_is_measured_where_bad_and_good_lie_furthest_apart() -> None:
    """Half gone means half of the calls that were too slow."""
    rng = np.random.default_rng(3)
    rule = Rule(name="p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.95, margin_rel=0.2)

    def slow(factor: float, n: int) -> list[float]:
        return [float(800 * factor * np.exp(rng.normal(0, 0.2))) for _ in range(n)]

    baseline = summarise(call(i, latency_ms=ms) for i, ms in enumerate(slow(1, 1000)))
    bad = summarise(call(i, latency_ms=ms) for i, ms in enumerate(slow(3, 40)))
    found = damage(rule, baseline, bad)
    assert found is not None
    assert 1000 < (found.over or 0) < 2400
    panel = assemble(rule_set(rule), baseline, n_windows=8640, min_baseline_calls=50)

    def ending(factor: float) -> Recovery:
        windows: list[tuple[datetime, Summary]] = [
            (T0 + i * WINDOW, summarise([call(i, latency_ms=ms)])) for i, ms in enumerate(slow(factor, 60))
        ]
        return assess(panel, [found], windows, sealed_until=T0 + 60 * WINDOW, overdue=True).recovery

    assert Recovery.RECOVERED is ending(1)
    assert Recovery.UPSTREAM_SUSPECTED is ending(3)


def test_there_is_no_damage_where_nothing_is_worse() -> None:
    """A rule that tripped for another reason has nothing to verify."""
    assert damage(success_rule(), BAD, BASELINE) is None
