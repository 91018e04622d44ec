"""Is it this prompt, or does everybody have it?"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats

from watchdog.errors import StatsInputError
from watchdog.stats import common_shock
from watchdog.stats.common_shock import N_SLOW_SPOILT, SPOILT, CommonShockTest, ShockState

LEVELS = np.array((0.0, *SPOILT))
N_WINDOWS = 8640


def spoilt(share: float) -> np.ndarray:
    return 1.0 - (1.0 - share) * (1.0 - LEVELS)


def shock_test(null: float = 0.02, peers: tuple[float, ...] = (0.01,), **given: object) -> CommonShockTest:
    options: dict[str, object] = {"alpha": 0.01, "n_windows": N_WINDOWS, "n_slow": N_SLOW_SPOILT, **given}
    return CommonShockTest.of(spoilt(null), np.stack([spoilt(p) for p in peers]), **options)  # type: ignore[arg-type]


def follow(test: CommonShockTest, windows: list[tuple[float, float, float, float]]) -> ShockState:
    """Windows of (calls, bad, peer calls, peer bad)."""
    state = common_shock.start(test)
    for calls, bad, peer_calls, peer_bad in windows:
        state = common_shock.step(
            test,
            state,
            calls=calls,
            bad=bad,
            peer_calls=np.full(test.peers.shape[0], peer_calls),
            peer_bad=np.full(test.peers.shape[0], peer_bad),
        )
    return state


def by_enumeration(test: CommonShockTest, windows: list[tuple[int, int, int, int]]) -> float:
    """ln E from its definition: every path of the chain, every start, every alternative."""
    n_levels, n = test.null.size, len(windows)
    chain = np.diag(1.0 - test.leave) + np.outer(test.leave, test.redrawn)
    starts = [test.prior_at_start] + [(1.0 - test.prior_at_start) / (test.n_windows - 1)] * (n - 1)
    prior = np.exp(test.log_prior)

    def likelihood(start: int, alternative: int) -> float:
        total = 0.0
        for path in itertools.product(range(n_levels), repeat=n):
            weight = test.at_first[path[0]] * math.prod(chain[a, b] for a, b in itertools.pairwise(path))
            for t, (calls, bad, peer_calls, peer_bad) in enumerate(windows):
                own = test.worse[alternative, path[t]] if t >= start else test.null[path[t]]
                weight *= stats.binom.pmf(bad, calls, own) * stats.binom.pmf(
                    peer_bad, peer_calls, test.peers[0, path[t]]
                )
            total += weight
        return total

    null = likelihood(n, 0)
    worse = sum(mass * prior[j] * likelihood(s, j) for s, mass in enumerate(starts) for j in range(prior.size))
    return math.log(worse / null + 1.0 - sum(starts))


def test_the_recursion_is_the_sum_over_all_paths_and_starts() -> None:
    """An independent computation of the same evidence, from the definition."""
    null, peers = np.array([0.02, 0.2, 0.6]), np.array([[0.01, 0.15, 0.7]])
    test = CommonShockTest.of(null, peers, n_slow=1, alpha=0.01, n_windows=50)
    windows = [(2, 2, 5, 3), (0, 0, 6, 1), (4, 2, 0, 0)]

    found = follow(test, [tuple(float(x) for x in w) for w in windows])  # type: ignore[misc]

    assert_allclose(by_enumeration(test, windows), found.evidence, rtol=1e-10)


def test_what_the_peers_show_of_a_shock_is_the_forward_filter_of_their_calls() -> None:
    """The probability of trouble does not depend on the candidate's own calls."""
    test = shock_test()
    calm = follow(test, [(10.0, 9.0, 50.0, 0.0)] * 6)
    stormy = follow(test, [(10.0, 0.0, 50.0, 20.0)] * 6)

    assert calm.trouble < 0.05
    assert stormy.trouble > 0.999
    assert_allclose(1.0, calm.beheld.sum())


def test_skipping_empty_windows_is_stepping_through_them() -> None:
    """At the cost of one."""
    test = shock_test()
    begun = follow(test, [(5.0, 1.0, 20.0, 1.0)] * 3)
    stepped = begun
    for _ in range(40):
        none = np.zeros(1)
        stepped = common_shock.step(test, stepped, calls=0.0, bad=0.0, peer_calls=none, peer_bad=none)

    skipped = common_shock.skip(test, begun, 40)

    assert stepped.steps == skipped.steps
    assert_allclose(stepped.worse, skipped.worse, rtol=1e-10)
    assert_allclose(stepped.standing, skipped.standing, rtol=1e-10)
    assert_allclose(stepped.beheld, skipped.beheld, rtol=1e-10)
    assert_allclose(stepped.evidence, skipped.evidence, rtol=1e-10)


def test_the_evidence_is_a_martingale_when_shocks_follow_the_chain() -> None:
    """The mean of E over all outcomes of the next window, given H0 and all so far, is E: exactly, by enumeration."""
    null, peers = np.array([0.05, 0.3, 0.8]), np.array([[0.02, 0.25, 0.7]])
    test = CommonShockTest.of(null, peers, n_slow=1, alpha=0.01, n_windows=20)
    before = follow(test, [(3.0, 2.0, 6.0, 0.0), (2.0, 0.0, 4.0, 3.0)])
    moved = before.standing * (1.0 - test.leave) + float(before.standing @ test.leave) * test.redrawn

    mean = 0.0
    for bad, peer_bad in itertools.product(range(3), range(5)):
        chance = float(moved @ (stats.binom.pmf(bad, 2, test.null) * stats.binom.pmf(peer_bad, 4, test.peers[0])))
        after = common_shock.step(
            test,
            before,
            calls=2.0,
            bad=float(bad),
            peer_calls=np.array([4.0]),
            peer_bad=np.array([float(peer_bad)]),
        )
        mean += chance * math.exp(after.evidence)

    assert_allclose(math.exp(before.evidence), mean, rtol=1e-9)


def test_total_failure_beside_healthy_peers_is_found_within_three_calls() -> None:
    """One call a window, ten of the peers."""
    test = shock_test(alpha=0.002)
    states = [follow(test, [(1.0, 1.0, 10.0, 0.0)] * n) for n in range(1, 4)]

    assert common_shock.tripped(test, states[2])
    assert not common_shock.tripped(test, states[0])


def test_total_failure_of_everybody_is_nobodys_own() -> None:
    """However long it lasts."""
    test = shock_test(alpha=0.002)

    assert not common_shock.tripped(test, follow(test, [(5.0, 5.0, 50.0, 49.0)] * 300))


def test_silent_peers_leave_an_outage_as_an_explanation() -> None:
    """The evidence stays bounded by the price of a shock, however many calls fail, until peers contradict it."""
    test = shock_test(alpha=1e-6)
    silent = follow(test, [(5.0, 5.0, 0.0, 0.0)] * 300)
    contradicted = follow(test, [(5.0, 5.0, 0.0, 0.0)] * 300 + [(5.0, 5.0, 20.0, 0.0)] * 3)

    # Calm at first, a shock of just that size at once: 0.05 / 15 of the prior.
    assert silent.peak < math.log(15 / 0.05) + 1.0
    assert common_shock.tripped(test, contradicted)
    assert not common_shock.tripped(test, silent)


def test_a_bad_prompt_is_found_while_everybody_suffers_too() -> None:
    """An outage spoils a third of all calls; ours fail nearly always."""
    test = shock_test(alpha=0.002)
    outage = [(10.0, 3.0, 100.0, 32.0)] * 30

    assert not common_shock.tripped(test, follow(test, outage))
    assert common_shock.tripped(test, follow(test, [*outage, *[(10.0, 9.0, 100.0, 32.0)] * 10]))


def test_a_drift_that_lasts_for_hours_is_a_shock_as_well() -> None:
    """Half as many failures again, on both sides, at three times the traffic: no evidence in eight hours."""
    rng = np.random.default_rng(20261126)
    test = shock_test(null=0.01, peers=(0.01,))
    n = rng.poisson([10, 30], (2880, 2)).astype(float)
    bad = rng.binomial(n.astype(int), 0.015).astype(float)
    state = common_shock.start(test)
    for (ours, theirs), (our_bad, their_bad) in zip(n, bad, strict=True):
        state = common_shock.step(
            test,
            state,
            calls=ours,
            bad=our_bad,
            peer_calls=np.array([theirs]),
            peer_bad=np.array([their_bad]),
        )

    assert not common_shock.tripped(test, state)


def test_the_state_is_stored_to_the_bit() -> None:
    """A restart goes on where it was."""
    state = follow(shock_test(peers=(0.01, 0.05)), [(5.0, 1.0, 20.0, 1.0)] * 5)
    read = ShockState.from_bytes(state.to_bytes())

    assert state.to_bytes() == read.to_bytes()
    assert (state.steps, state.invested, state.evidence, state.peak) == (
        read.steps,
        read.invested,
        read.evidence,
        read.peak,
    )


@pytest.mark.parametrize(("stored", "said"), [(b"nonsense", "do not start like"), (b"SHK1" + bytes(60), "must have")])
def test_other_bytes_are_refused(stored: bytes, said: str) -> None:
    """With what is wrong with them."""
    with pytest.raises(StatsInputError, match=said):
        ShockState.from_bytes(stored)


def test_evidence_without_end_does_not_overflow() -> None:
    """A whole day of total failure beside healthy peers, and then a whole day of health."""
    test = shock_test()
    state = follow(test, [(100.0, 100.0, 100.0, 0.0)] * 400)
    later = state
    for _ in range(400):
        later = common_shock.step(
            test, later, calls=100.0, bad=0.0, peer_calls=np.array([100.0]), peer_bad=np.array([0.0])
        )

    assert np.isfinite(state.worse).all()
    assert np.isfinite(later.evidence)
    assert common_shock.tripped(test, later)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"null": np.array([0.1])}, "null has shape"),
        ({"null": np.array([0.5, 0.2])}, "not fall with the level"),
        ({"null": np.array([0.5, 1.2])}, r"in \[0, 1\]"),
        ({"null": np.array([0.97, 0.99])}, "may be bad in calm"),
        ({"peers": np.zeros((0, 2))}, "at least one peer"),
        ({"peers": np.zeros((1, 3))}, "peers have shape"),
        ({"n_slow": 2}, "n_slow is 2"),
        ({"alpha": 1.0}, "alpha is 1.0"),
        ({"n_windows": 0}, "n_windows is 0"),
    ],
)
def test_values_outside_their_range_are_named(given: dict[str, object], said: str) -> None:
    """Before anything is computed from them."""
    usual: dict[str, object] = {
        "null": np.array([0.1, 0.2]),
        "peers": np.array([[0.1, 0.2]]),
        "n_slow": 1,
        "alpha": 0.01,
        "n_windows": 10,
    }
    with pytest.raises(StatsInputError, match=said):
        CommonShockTest.of(**{**usual, **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(("calls", "bad", "peer_bad"), [(1.0, 2.0, 0.0), (1.0, -1.0, 0.0), (1.0, 0.0, 3.0)])
def test_counts_that_cannot_be_are_refused(calls: float, bad: float, peer_bad: float) -> None:
    """They would make evidence of nothing."""
    test = shock_test()
    with pytest.raises(StatsInputError, match="cannot be"):
        common_shock.step(
            test,
            common_shock.start(test),
            calls=calls,
            bad=bad,
            peer_calls=np.array([2.0]),
            peer_bad=np.array([peer_bad]),
        )


@pytest.mark.simulation
@pytest.mark.parametrize("times", [1.0, 10.0])
def test_blips_of_the_provider_do_not_make_a_prompt_guilty(times: float) -> None:
    """Eight blips of 3 minutes in a day of 6,000 calls: at most alpha of 30 days trip, give or take chance."""
    alpha, days = 0.01, 30
    trips = 0
    for day in range(days):
        rng = np.random.default_rng([20261126, day])
        share = np.full(N_WINDOWS // 4, 0.01)
        for begin in rng.integers(0, share.size, 8).tolist():
            share[begin : begin + 18] = 0.3
        ours, theirs = rng.poisson(3.0, share.size), rng.poisson(3.0 * times, share.size)
        our_bad, their_bad = rng.binomial(ours, share), rng.binomial(theirs, share)
        test = shock_test(null=0.01, peers=(0.01,), alpha=alpha, n_windows=share.size)
        state = common_shock.start(test)
        for i in range(share.size):
            state = common_shock.step(
                test,
                state,
                calls=float(ours[i]),
                bad=float(our_bad[i]),
                peer_calls=np.array([float(theirs[i])]),
                peer_bad=np.array([float(their_bad[i])]),
            )
        trips += common_shock.tripped(test, state)

    # More than this has a chance below one in a thousand at the level.
    assert trips <= stats.binom.ppf(0.999, days, alpha)


@pytest.mark.simulation
def test_a_true_rise_is_found_with_few_more_calls_than_by_who_knows_everything() -> None:
    """1 % -> 6 %, ten times the traffic as peers: within 2.5 times the calls of the test that knows both shares."""
    oracle = math.log(100.0) / (special.rel_entr(0.06, 0.01) + special.rel_entr(0.94, 0.99))
    needed = []
    for run in range(60):
        rng = np.random.default_rng([7, run])
        test = shock_test(null=0.01, peers=(0.01,))
        state, calls = common_shock.start(test), 0
        while not common_shock.tripped(test, state):
            n, nc = rng.poisson(3.0), rng.poisson(30.0)
            calls += int(n)
            state = common_shock.step(
                test,
                state,
                calls=float(n),
                bad=float(rng.binomial(n, 0.06)),
                peer_calls=np.array([float(nc)]),
                peer_bad=np.array([float(rng.binomial(nc, 0.01))]),
            )
        needed.append(calls)

    assert np.mean(needed) <= 2.5 * oracle
