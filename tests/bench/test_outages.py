"""The bench of outages that everybody has: a watch as the daemon runs it, on simulated calls."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from bench.detection import under_outage, watching
from bench.detection.outages import CASES, CHANGES, bad_prompt, everybody
from bench.detection.under_outage import (
    AT_ONCE,
    CANDIDATE,
    NO_PEERS,
    NOBODY_ASKED,
    PEERS,
    SOON,
    WITH_PEERS,
    calls_of,
    panel_of,
    promotions,
)
from bench.detection.watching import ORIGIN, TERMS, Calls, looks, watched
from bench.detection.worlds import UNCHANGED, Change
from watchdog.core.rules import Action
from watchdog.core.windows import WINDOW, slot_for

BROKEN = Change(more_failures=0.9)


def seconds(s: float) -> timedelta:
    return timedelta(seconds=s)


def own(change: Change = UNCHANGED, *, rate: float = 1.0, until_s: float = 300.0, seed: int = 1) -> Calls:
    return calls_of(CANDIDATE, rate, until_s, change, None, 0.0, np.random.default_rng(seed))


def test_a_watch_is_looked_at_as_the_daemon_does() -> None:
    """Each five seconds while it is young, each thirty later."""
    at = looks(seconds(12), 400.0)

    assert [5.0, 10.0, 15.0] == at[:3]
    assert [310.0, 330.0, 360.0, 390.0] == at[-4:]


def test_calls_are_counted_where_the_intake_puts_them() -> None:
    """By start; one that ends after its window was sealed is counted in the first open one, and none is lost."""
    calls, feed = own(until_s=200.0), watching._Feed(own(until_s=200.0))
    expected: dict[object, int] = {}
    sealed, read = ORIGIN, 0
    for now_s in range(5, 400, 5):
        feed.read(now_s)
        until = int((calls.ended_s <= now_s).sum())
        for started in calls.started_s[read:until].tolist():
            start = slot_for(ORIGIN + seconds(started), sealed).start
            expected[start] = expected.get(start, 0) + 1
        read = until
        sealed = max(sealed, ORIGIN + WINDOW * (max(0, now_s - 3) // 10))
        feed.seal(sealed)

    assert expected == {start: window.calls for start, window in feed.windows.items()}
    assert calls.started_s.size == sum(expected.values())
    assert int(calls.failed.sum()) == sum(window.failures for window in feed.windows.values())


def test_a_broken_prompt_beside_healthy_peers_is_reverted_within_a_minute() -> None:
    """Nine of ten calls fail, one call a second."""
    endings = promotions(3, 1.0, WITH_PEERS, BROKEN, None, 300.0, 1)

    assert [Action.REVERT] * 3 == [e.action for e in endings]
    assert all(e.ended_s <= 60.0 and e.calls <= 60 for e in endings)


def test_an_outage_that_everybody_has_is_announced_and_reverts_nothing() -> None:
    """From the first call on; the same without peers is taken for the prompt."""
    beside, alone = (promotions(3, 1.0, asked, UNCHANGED, AT_ONCE, 400.0, 1) for asked in (WITH_PEERS, NO_PEERS))

    assert [None] * 3 == [e.action for e in beside]
    assert all(e.upstream_s is not None and e.upstream_s <= 180.0 for e in beside)
    assert [Action.REVERT] * 3 == [e.action for e in alone]
    assert [None] * 3 == [e.upstream_s for e in alone]


def test_peers_that_stay_healthy_do_not_cover_an_outage_of_the_candidate_alone() -> None:
    """What strikes the candidate only is its own."""
    panel, rng = panel_of(1.0, WITH_PEERS, 0, 1), np.random.default_rng(7)
    struck = calls_of(CANDIDATE, 1.0, 300.0, UNCHANGED, AT_ONCE, 0.8, rng)
    healthy = [calls_of(p, 1.0, 300.0, UNCHANGED, None, 0.0, rng) for p in PEERS]

    assert watched(panel, struck, healthy, until_s=300.0).reverted


def test_the_outage_strikes_for_its_ten_minutes_only_and_fails_the_share_that_it_is_given() -> None:
    """And slows down the others threefold."""
    struck = calls_of(CANDIDATE, 5.0, 1200.0, UNCHANGED, SOON, 0.5, np.random.default_rng(3))
    within = (struck.started_s >= 300.0) & (struck.started_s < 900.0)
    seconds_each = struck.ended_s - struck.started_s
    served = within & ~struck.failed

    assert struck.failed[within].mean() == pytest.approx(0.505, abs=0.03)
    assert struck.failed[~within].mean() == pytest.approx(0.01, abs=0.01)
    assert np.median(seconds_each[served]) == pytest.approx(4.5, rel=0.05)
    assert np.median(seconds_each[~within]) == pytest.approx(1.5, rel=0.05)


def test_the_same_calls_meet_every_judge() -> None:
    """But for the outage, and for who is asked."""
    with_outage, without = (
        calls_of(CANDIDATE, 1.0, 600.0, UNCHANGED, outage, 0.7, np.random.default_rng(4)) for outage in (SOON, None)
    )

    def by_start(calls: Calls) -> list[tuple[float, int]]:
        before = calls.started_s < 300.0
        return sorted(zip(calls.started_s[before].tolist(), calls.cost[before].tolist(), strict=True))

    assert by_start(without) == by_start(with_outage)


@pytest.mark.simulation
def test_judging_again_only_when_something_changed_changes_no_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at which all opinions stand as they stood would decide the same."""
    cases = [(WITH_PEERS, CHANGES["failures +10 pp"], SOON), (WITH_PEERS, UNCHANGED, AT_ONCE), (NO_PEERS, BROKEN, None)]
    expected = [promotions(1, 0.2, asked, change, outage, 900.0, 2) for asked, change, outage in cases]
    monkeypatch.setattr(watching, "standing_of", lambda *_: object())

    assert expected == [promotions(1, 0.2, asked, change, outage, 900.0, 2) for asked, change, outage in cases]


def test_without_anybody_asked_the_rule_alone_decides() -> None:
    """No opinion delays it: never later than beside peers."""
    asked, alone = (
        promotions(3, 1.0, who, CHANGES["failures +30 pp"], None, 600.0, 1) for who in (WITH_PEERS, NOBODY_ASKED)
    )

    assert all(a.ended_s >= b.ended_s for a, b in zip(asked, alone, strict=True))


def test_a_peer_that_strays_leaves_the_panel() -> None:
    """The others stay, and so does what was said of it first."""
    panel = panel_of(0.2, WITH_PEERS, 0, 1)
    once = watching.without_strays(panel, {"peer-1": "worse"}, ORIGIN + WINDOW)
    assert panel.beside is not None
    again = watching.without_strays(
        replace(panel, beside=replace(panel.beside, peers=once)), {"peer-1": "later"}, ORIGIN + 2 * WINDOW
    )

    assert [None, ORIGIN + WINDOW, None, None] == [peer.left_at for peer in again]
    assert "worse" == again[1].why_left


def test_the_peers_are_as_the_daemon_would_choose_them() -> None:
    """Several, three times the traffic, none above half of it."""
    times = [prompt.times for prompt in under_outage.PEERS]

    assert sum(times) == pytest.approx(3.0)
    assert max(times) <= sum(times) / 2.0
    assert TERMS.length == timedelta(hours=24)


def test_both_tables_print_with_hardly_any_runs() -> None:
    """One case at each rate, with a target for its reverts and one for its announcement; one change, five times."""
    outage = json.loads(everybody(2, 1, lambda _: None, CASES[1:2]).json())
    bad = json.loads(bad_prompt(1, 1, lambda _: None, {"broken": BROKEN}).json())

    assert [1.0, 0.2] == [row["calls/s"] for row in outage["rows"]]
    assert ["met"] * 4 == [target["verdict"] for target in outage["targets"]]
    assert ["1/1"] * 2 * 5 == [row["reverted"] for row in bad["rows"]]
