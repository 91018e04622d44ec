"""The bench of promotions beside their peers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bench.detection import peers, side_by_side
from bench.detection.many_shocks import Streams, evidence, first_trips
from bench.detection.side_by_side import Scene, Side, common, conditional, promotion
from bench.detection.worlds import CLIMATES, INDEPENDENT, UNCHANGED, Change
from watchdog.stats import common_shock
from watchdog.stats.common_shock import CommonShockTest

if TYPE_CHECKING:
    from watchdog.core.rules import Rule

BLIPS = CLIMATES[-1]


def scene(rule: Rule = peers.FAILURES, *, rate: float = 0.3, times: float = 2.0) -> Scene:
    return Scene(rule=rule, climate=INDEPENDENT, own=Side(calls_per_s=rate), peers=Side(calls_per_s=times * rate))


def two_sided(usual: float, theirs: tuple[float, float]) -> CommonShockTest:
    spoilt = np.array((0.0, 0.02, 0.1, 0.4, 0.9))
    null, others = (1.0 - (1.0 - np.array(share))[..., None] * (1.0 - spoilt) for share in (usual, theirs))
    return CommonShockTest.of(null, others, n_slow=2, alpha=0.01, n_windows=300)


def test_many_at_once_are_the_engine_to_nine_digits() -> None:
    """Three runs beside two peers, with an outage, empty windows, and one candidate that fails by itself."""
    rng = np.random.default_rng(1)
    tests = [two_sided(0.01 * (i + 1), (0.01, 0.05)) for i in range(3)]
    calls, theirs = rng.poisson(3.0, (3, 200)), rng.poisson(6.0, (3, 200, 2))
    calls[:, 50:55], theirs[:, 50:60] = 0, 0
    share = np.full(200, 0.02)
    share[80:90] = 0.6
    own = np.tile(share, (3, 1))
    own[2, 120:] = 0.5
    streams = Streams(
        calls=calls.astype(float),
        bad=rng.binomial(calls, own).astype(float),
        peer_calls=theirs.astype(float),
        peer_bad=rng.binomial(theirs, share[None, :, None]).astype(float),
    )
    expected = np.zeros((200, 3))
    for run, test in enumerate(tests):
        state = common_shock.start(test)
        for t in range(200):
            state = common_shock.step(
                test,
                state,
                calls=streams.calls[run, t],
                bad=streams.bad[run, t],
                peer_calls=streams.peer_calls[run, t],
                peer_bad=streams.peer_bad[run, t],
            )
            expected[t, run] = state.evidence

    assert_allclose(np.stack(list(evidence(tests, streams))), expected, rtol=0, atol=1e-9)
    reached = [np.flatnonzero(path >= math.log(100.0)) for path in expected.T]
    assert [int(at[0]) if at.size else -1 for at in reached] == first_trips(tests, streams).tolist()
    assert first_trips(tests, streams)[2] >= 120


def test_runs_that_tripped_leave_without_a_trace() -> None:
    """The trip of each is where it is alone."""
    worse = [promotion(scene(), Change(more_failures=0.3), np.random.default_rng([2, i])) for i in range(6)]

    together = common(worse)

    assert [common([one])[0] for one in worse] == together
    assert len(set(together)) > 1


def test_the_rival_is_screened_without_changing_a_trip() -> None:
    """One cell beside the engine, minute by minute."""
    seen = [promotion(scene(), Change(more_failures=m), np.random.default_rng([3, i])) for i, m in enumerate((0, 0.05))]
    tests = [side_by_side.ControlTest.against(*p.before, alpha=0.01, n_windows=1440) for p in seen]
    p, test = seen[1], tests[1]
    minute = p.minutes[:, 7].tolist()

    assert_allclose(side_by_side._by_minute(test, 3, p.minutes)[7], test.increments(*minute)[:, 3], atol=1e-9)
    assert [side_by_side._first_trip(t, p.minutes) for t, p in zip(tests, seen, strict=True)] == conditional(seen)
    assert conditional(seen)[1] is not None


@pytest.mark.parametrize("rule", [peers.FAILURES, peers.P95, peers.P95_WITH_MARGIN], ids=lambda rule: rule.name)
def test_calls_are_bad_as_often_as_the_rule_allows_and_more_often_when_it_is_worse(rule: Rule) -> None:
    """Over a day of the candidate's calls; the peers stay as they are."""
    usual, worse = (
        promotion(replace(scene(rule), own=Side(calls_per_s=2.0)), change, np.random.default_rng(4))
        for change in (UNCHANGED, Change(more_failures=0.05, latency_factor=2.0))
    )
    calls, bad, theirs, their_bad = (int(side.sum()) for side in usual.sides)

    assert bad / calls <= 1.05 * usual.test.null[0]
    assert their_bad / theirs == pytest.approx(usual.test.peers[0, 0], rel=0.15)
    assert worse.sides[1].sum() / worse.sides[0].sum() > 2.0 * usual.test.null[0]


def test_a_blip_strikes_both_sides_by_the_same_share() -> None:
    """A candidate that usually fails a fifth as often suffers as much."""
    shared = Scene(
        rule=peers.FAILURES,
        climate=BLIPS,
        own=Side(calls_per_s=20.0),
        peers=Side(calls_per_s=20.0, failures=0.05),
    )
    calls, bad, theirs, their_bad = promotion(shared, UNCHANGED, np.random.default_rng(5)).minutes
    blip = bad > 0.2 * calls

    assert 0 < blip.sum() < 60
    assert bad[blip].sum() / calls[blip].sum() == pytest.approx(0.3, abs=0.02)
    assert their_bad[blip].sum() / theirs[blip].sum() == pytest.approx(1.0 - 0.95 * 0.7 / 0.99, abs=0.02)


def test_at_equal_traffic_the_sum_of_bad_calls_hides_two_thirds_of_what_a_call_says() -> None:
    """1 % -> 6 %: 6 of 7 bad calls are ours instead of 1 of 2; adding up both by hand."""
    by_hand = 0.07 * (6 / 7 * math.log(12 / 7) + 1 / 7 * math.log(2 / 7))

    assert side_by_side.divergence_given_sum(0.01, 0.06, 1.0) == pytest.approx(by_hand)
    assert by_hand == pytest.approx(0.0198, abs=5e-5)
    assert side_by_side.divergence(0.01, 0.06) == pytest.approx(0.0588, abs=5e-5)
    assert side_by_side.fewest_calls_given_sum(0.01, 0.06, 1.0) == pytest.approx(math.log(100.0) / by_hand)
    # With ever more peers nothing is hidden.
    assert side_by_side.divergence_given_sum(0.01, 0.06, 1e6) == pytest.approx(0.06 * math.log(6.0) - 0.05, abs=1e-4)


def test_each_row_counts_both_tests() -> None:
    """Two promotions at a rate that nothing takes long."""
    found = peers.measured([scene(rate=0.02, times=3.0)], 2, 2, 1)

    assert "3x" == found[0].row["peers"]
    assert (2, 2) == (found[0].row["false"].runs, found[0].row["false, conditional"].runs)
    assert found[0].row["calls to find it"].endswith("x)")


def test_the_table_has_a_row_for_each_world_rate_and_size() -> None:
    """And a target for each delay, each world, and all together."""
    table = json.loads(peers.table(peers.FAILURES, 1, 1, lambda _: None).json())

    assert 5 * 2 * 2 == len(table["rows"])
    assert 4 + 5 + 2 == len(table["targets"])
    assert "0.0198 nats a call" in table["about"]
