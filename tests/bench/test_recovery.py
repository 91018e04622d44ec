"""The bench of recoveries: that its short cuts change no ending, its oracle, and the levels that it measures."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from scipy import stats

from bench.recovery.__main__ import main
from bench.recovery.incidents import (
    DAMAGES,
    DEADLINE_S,
    N_WINDOWS,
    WELL,
    Condition,
    Kind,
    Origin,
    drawn,
    ending,
    restored,
    summaries,
    which_may_trip,
)
from bench.recovery.oracle import ERROR, at_the_margin, calls_there_are, calls_to_tell, nearest_other
from bench.recovery.tables import origins, run, seeded
from watchdog.core.incident import Recovery
from watchdog.core.recovery import assess
from watchdog.core.rules import Action

SEED = 20261126
UPSTREAM = Recovery.UPSTREAM_SUSPECTED


@cache
def promotions(damage: str, n: int = 5) -> tuple[Origin, ...]:
    return origins(damage, n, SEED)


@pytest.mark.parametrize("kind", [Kind.WELL, Kind.HALF, Kind.BLIP_5], ids=lambda kind: kind.name)
def test_the_screen_changes_no_ending(kind: Kind) -> None:
    """Every rule stepped, beside those alone that may trip."""
    of = [promotions("failures +30 pp")[i % 5] for i in range(10)]
    calls = [restored(kind, DAMAGES["failures +30 pp"], 0.05, seeded(SEED, kind, i)) for i in range(10)]
    screened = which_may_trip(of, calls)
    by_screen = [ending(o, s, o.gauges(), c) for o, s, c in zip(of, screened, calls, strict=True)]
    by_all = [ending(o, o.panel.seats, o.gauges(), c) for o, c in zip(of, calls, strict=True)]

    assert by_all == by_screen
    assert any(len(seats) < 4 for seats in screened)


def test_one_look_at_the_deadline_stands_for_all_looks() -> None:
    """The daemon looks at every window, and ends at the same one with the same words."""
    for i, origin in enumerate(promotions("all fail")):
        gauges = origin.gauges()
        calls = restored((Kind.WELL, Kind.HALF)[i % 2], DAMAGES["all fail"], 0.05, seeded(SEED, "looks", i))
        windows = summaries(calls)
        looks = (assess(origin.panel, gauges, windows[:n], overdue=False) for n in range(1, len(windows) + 1))
        first = next((look for look in looks if look.recovery is not Recovery.VERIFYING), None)

        assert first in (None, ending(origin, origin.panel.seats, gauges, calls).finding)


def test_a_bad_promotion_is_one_that_an_acting_rule_found() -> None:
    """With the calls up to the verdict, and what it tripped."""
    for origin in promotions("latency x2"):
        acting = {seat.rule.name for seat in origin.panel.seats if seat.action is not Action.ALERT}

        assert origin.tripped & acting
        assert 5 <= origin.bad.calls < 1000


def test_calls_are_bad_as_long_as_the_blip_lasts() -> None:
    """Everything fails for five minutes, and then what always fails."""
    calls = drawn(np.full(N_WINDOWS, 20), Condition(fails=1.0), Kind.BLIP_5.bad_windows, np.random.default_rng(1))

    assert 30 * 20 == calls.failures[:30].sum()
    assert calls.failures[30:].sum() < 0.03 * 150 * 20
    assert 20 * N_WINDOWS == calls.latency.size


def test_half_of_the_damage_is_half_of_each_metric() -> None:
    """The share of failures, and the factors."""
    half = Condition(fails=0.31, latency=2.0, cost=1.5).part_of(0.5)

    assert pytest.approx((0.16, 1.5, 1.25)) == (half.fails, half.latency, half.cost)


def test_the_oracle_is_wrong_once_in_a_hundred_on_either_side() -> None:
    """The share that lies halfway between its two errors, by scipy's binomial law."""
    half = Condition(fails=0.16)
    n = round(calls_to_tell(WELL, half))
    missed, alarmed = min(
        ((stats.binom.sf(cut, n, WELL.fails), stats.binom.cdf(cut, n, half.fails)) for cut in range(n)), key=max
    )

    assert max(missed, alarmed) == pytest.approx(ERROR, abs=0.015)
    assert calls_to_tell(WELL, half) == pytest.approx(calls_to_tell(half, WELL))


def test_what_is_half_as_bad_is_told_from_what_the_rule_allows() -> None:
    """Of the metric that is damaged, by the default pack."""
    assert Condition(fails=0.02, latency=1.2, cost=1.15) == at_the_margin()
    assert (Condition(latency=1.5), Condition(latency=1.2)) == nearest_other(Kind.HALF, DAMAGES["latency x2"])
    assert (WELL, Condition(cost=1.25)) == nearest_other(Kind.WELL, DAMAGES["cost x1.5"])


def test_a_blip_has_the_calls_of_its_own_minutes() -> None:
    """What came after it does not speak for it."""
    assert 300 == calls_there_are(Kind.BLIP_5, 1.0)
    assert DEADLINE_S * 0.2 == calls_there_are(Kind.AS_BAD, 0.2)


def test_a_tiny_run_prints_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Six damages, three traffics, six truths; each row adds up."""
    main(["--runs", "2", "--promotions", "2", "--tables", "endings", "--json"])
    confusion, sums = (json.loads(line) for line in capsys.readouterr().out.splitlines())

    assert 6 * (3 * 5 + 1) == len(confusion["rows"])
    assert {2} == {row["recovered"] + row["upstream_suspected"] + row["unverified"] for row in confusion["rows"]}
    assert 6 == len(sums["rows"])
    assert any("called recovered" in target["name"] for target in sums["targets"])


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("damage", "rate"),
    [("failures +5 pp", 0.2), ("failures +30 pp", 0.2), ("all fail", 0.02), ("latency x2", 0.2), ("cost x1.5", 0.2)],
)
@pytest.mark.parametrize("kind", [Kind.AS_BAD, Kind.HALF], ids=lambda kind: kind.name)
def test_what_is_as_bad_or_half_as_bad_is_hardly_ever_called_recovered(damage: str, rate: float, kind: Kind) -> None:
    """One in a hundred at the most, of 60 incidents with a binomial tolerance; the test of each gauge allows five."""
    cell = run(damage, rate, kind, promotions(damage, 10), 60, SEED)

    assert cell.count(Recovery.RECOVERED) <= stats.binom.ppf(0.999, 60, 0.01)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("damage", "rate"), [("failures +30 pp", 1.0), ("all fail", 0.02), ("latency x1.5", 0.2), ("cost x1.5", 0.02)]
)
def test_what_is_well_again_is_hardly_ever_called_upstream(damage: str, rate: float) -> None:
    """One in a hundred at the most, of 60 incidents with a binomial tolerance."""
    cell = run(damage, rate, Kind.WELL, promotions(damage, 10), 60, SEED)

    assert cell.count(UPSTREAM) <= stats.binom.ppf(0.999, 60, 0.01)


@pytest.mark.simulation
def test_where_calls_suffice_the_recovery_is_seen() -> None:
    """After total failure, at one call in five seconds: every one of 100, most within five minutes."""
    cell = run("all fail", 0.2, Kind.WELL, promotions("all fail", 10), 100, SEED)

    assert cell.suffices
    assert cell.count(Recovery.RECOVERED) >= 98
    assert (cell.minutes(0.5) or 99.0) < 6.0
