"""What the peers make of a candidate, window by window."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, T0, call, rule_set, success_rule
from watchdog.core import weighing
from watchdog.core.judge import Progress, advance, begin, judge, weigh
from watchdog.core.judgement import ReadingState
from watchdog.core.opinion import Opinion, opinion
from watchdog.core.panel import Panel, assemble
from watchdog.core.peers import Peer
from watchdog.core.rules import Action, Metric, Rule, RuleSet, Statistic
from watchdog.core.strays import strays
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, Summary, summarise

if TYPE_CHECKING:
    from watchdog.core.model import Call

P95 = Rule(name="p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.95, margin_rel=0.2)
WHOLE = Rule(name="whole", metric=Metric.LATENCY, statistic=Statistic.DISTRIBUTION, margin_rel=0.2)
COST = Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15)
FLOOR = Rule(name="floor", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.5)
SLOWEST = Rule(name="slowest", metric=Metric.LATENCY, statistic=Statistic.LIMIT, limit_value=3000.0, quantile=0.95)
FEEDBACK = Rule(name="feedback", metric=Metric.FEEDBACK, statistic=Statistic.PROPORTION, margin_abs=0.05)


def calls(
    n: int, failures: int = 0, *, slower: float = 1.0, dearer: float = 1.0, at: datetime = T0, model: str = "m"
) -> list[Call]:
    """Latencies of 400 to 1,600 ms, costs of 1 to 4 cents."""
    return [
        call(
            i,
            ok=i >= failures,
            at=at,
            latency_ms=slower * 400.0 * 4.0 ** (17 * i % 40 / 40.0),
            cost_usd=dearer * 0.01 * 4.0 ** (17 * i % 40 / 40.0),
            model=model,
        )
        for i in range(n)
    ]


BASELINE = summarise(calls(2000, 20))


def peer(name: str, *, baseline: Summary = BASELINE, model: str = "m", **given: object) -> Peer:
    values: dict[str, object] = {
        "prompt_id": name,
        "slug": name,
        "version_id": "v",
        "provider": "p",
        "model": model,
        "calls_per_hour": 1000.0,
        "feed": f"peer:{name}",
        "baseline": baseline,
        "joined_at": T0,
        **given,
    }
    return Peer(**values)  # type: ignore[arg-type]


PEERS = (peer("a"), peer("b"), peer("c"))


def panel_with(rules: RuleSet, peers: tuple[Peer, ...] | None = PEERS) -> Panel:
    return assemble(rules, BASELINE, n_windows=8640, min_baseline_calls=50, peers=peers)


def at(window: int) -> datetime:
    return T0 + window * WINDOW


Windows = dict[datetime, Summary]


def run(panel: Panel, own: Windows, theirs: list[Windows], until: int, progress: Progress | None = None) -> Progress:
    """As the daemon does: the candidate as far as it was read, then beside its peers."""
    progress = progress or begin(panel)
    fresh = [(start, w) for start, w in sorted(own.items()) if start >= (progress.judged_until or T0)]
    while True:
        before = progress.judged_until
        progress = advance(panel, progress, fresh, sealed_until=at(until))
        fresh = [(start, w) for start, w in fresh if start >= (progress.judged_until or T0)]
        if progress.judged_until == before:
            return weigh(panel, progress, own, theirs, sealed_until=at(until))


def steady(windows: range, n: int = 5, bad: int = 0, **given: float) -> Windows:
    return {at(i): summarise(calls(n, bad, **given)) for i in windows}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "worse"),
    [
        (success_rule(), {"bad": 4}),
        (FLOOR, {"bad": 5}),
        (P95, {"slower": 3.0}),
        (WHOLE, {"slower": 3.0}),
        (SLOWEST, {"slower": 3.0}),
        (COST, {"dearer": 2.0}),
    ],
    ids=lambda value: value.name if isinstance(value, Rule) else "",
)
def test_every_kind_of_rule_can_tell_alone_from_shared(rule: Rule, worse: dict[str, float]) -> None:
    """Alone it trips; with peers that suffer the same it does not."""
    panel = panel_with(rule_set(replace(rule, late_onset=Action.REVERT)))
    n = range(60)
    ours = steady(n, 5, **worse)  # type: ignore[arg-type]
    alone = judge(panel, run(panel, ours, [steady(n)] * 3, 60))
    shared = judge(panel, run(panel, ours, [ours] * 3, 60))

    assert Verdict.REGRESSED is alone.verdict
    assert "alone with it: odds that it is shared by its 3 peers" in alone.tripped[0].sentence
    assert Verdict.UPSTREAM is shared.verdict
    assert ReadingState.SHARED is shared.readings[0].state
    assert "its 3 peers (900 calls) are worse too, since 2026-11-20 12:00:" in shared.readings[0].sentence


def test_a_rule_that_peers_cannot_be_asked_about_does_what_it_does_without() -> None:
    """Nobody compares the feedback of different prompts."""
    panel = panel_with(rule_set(replace(FEEDBACK, without_peers=Action.ALERT, late_onset=Action.REVERT)))

    assert panel.beside is not None
    assert {} == panel.beside.views


def test_the_weighing_does_not_depend_on_how_often_one_looked() -> None:
    """One look at the end, or one after every window."""
    panel = panel_with(rule_set(success_rule()))
    own, theirs = steady(range(0, 40, 2), 5, 2), [steady(range(0, 40, 3), 4), steady(range(5, 30)), {}]
    once = run(panel, own, theirs, 40)
    often = None
    for i in range(1, 41):
        often = run(panel, own, theirs, i, often)

    assert often is not None
    assert once.weighing is not None
    assert often.weighing is not None
    assert weighing.to_bytes(once.weighing)["success"] == weighing.to_bytes(often.weighing)["success"]


def test_peers_that_are_read_later_than_the_candidate_hold_only_the_weighing_up() -> None:
    """The rule has tripped; whether it is alone is asked as soon as they are there."""
    panel = panel_with(rule_set(success_rule(late_onset=Action.REVERT)))
    own = steady(range(11), 5, 5)
    ahead = run(panel, own, [{}, {}, {}], 11)
    behind = replace(ahead, weighing=weighing.begin(panel.beside)) if panel.beside else ahead
    unread = judge(panel, weigh(panel, behind, own, [{}, {}, {}], sealed_until=at(0)))
    read = judge(panel, weigh(panel, behind, own, [steady(range(11))] * 3, sealed_until=at(11)))

    assert (Verdict.INCONCLUSIVE, ReadingState.UNCLEAR) == (unread.verdict, unread.readings[0].state)
    assert Verdict.REGRESSED is read.verdict


def test_a_peer_that_has_left_counts_no_more() -> None:
    """From the moment on; what it showed before stays."""
    left = (replace(PEERS[0], left_at=at(6)), *PEERS[1:])
    own, theirs = steady(range(12), 5), [steady(range(12), 5, 5), {}, {}]
    stayed = run(panel_with(rule_set(success_rule())), own, theirs, 12)
    gone = run(panel_with(rule_set(success_rule()), left), own, theirs, 12)

    assert stayed.weighing is not None
    assert gone.weighing is not None
    assert (60, 30) == (stayed.weighing.peer_calls, gone.weighing.peer_calls)


@pytest.mark.parametrize(("quiet", "expected"), [(11, Opinion.UNCLEAR), (13, Opinion.SILENT)])
def test_peers_that_were_never_heard_are_waited_for_two_minutes(quiet: int, expected: Opinion) -> None:
    """Total breakage must not wait long."""
    panel = panel_with(rule_set(success_rule()))
    progress = run(panel, steady(range(quiet), 1, 1), [{}, {}, {}], quiet)
    assert panel.beside is not None
    assert progress.weighing is not None

    found = opinion(panel.beside, progress.weighing, "success", first_call_at=T0, judged_until=at(quiet))

    assert expected is found


@pytest.mark.parametrize(("quiet", "expected"), [(29, Opinion.UNCLEAR), (31, Opinion.SILENT)])
def test_peers_that_fell_silent_are_waited_for_five_minutes(quiet: int, expected: Opinion) -> None:
    """Then they are no control."""
    panel = panel_with(rule_set(success_rule()))
    theirs = [{at(0): summarise(calls(1))}, {}, {}]
    progress = run(panel, steady(range(1 + quiet), 1), theirs, 1 + quiet)
    assert panel.beside is not None
    assert progress.weighing is not None

    until = at(1) + quiet * WINDOW
    assert expected is opinion(panel.beside, progress.weighing, "success", first_call_at=T0, judged_until=until)


@pytest.mark.parametrize(("quiet", "expected"), [(179, Opinion.UNCLEAR), (181, Opinion.SILENT)])
def test_peers_that_seldom_call_are_waited_for_longer(quiet: int, expected: Opinion) -> None:
    """Ten calls an hour together: five gaps of six minutes."""
    peers = tuple(replace(peer, calls_per_hour=10.0 / 3.0) for peer in PEERS)
    panel = panel_with(rule_set(success_rule()), peers)
    theirs = [{at(0): summarise(calls(1))}, {}, {}]
    progress = run(panel, {at(0): summarise(calls(1)), at(quiet): summarise(calls(1))}, theirs, 1 + quiet)
    assert panel.beside is not None
    assert progress.weighing is not None

    until = at(1) + quiet * WINDOW
    assert expected is opinion(panel.beside, progress.weighing, "success", first_call_at=T0, judged_until=until)


def test_what_was_shared_is_held_against_nobody_once_it_is_over() -> None:
    """After twenty calls in calm."""
    panel = panel_with(rule_set(success_rule(late_onset=Action.REVERT)))
    own = steady(range(12), 5, 5) | steady(range(12, 60), 5)
    theirs = [own] * 3
    judged = judge(panel, run(panel, own, theirs, 60))

    assert Verdict.OK is judged.verdict
    assert ReadingState.OUTLASTED is judged.readings[0].state
    assert "since then it shows nothing of its own" in judged.readings[0].sentence


def test_without_peers_the_reading_says_so_and_the_rule_decides() -> None:
    """With margins half as wide again."""
    panel = panel_with(rule_set(success_rule(late_onset=Action.REVERT, without_peers=Action.SUGGEST)), ())
    judged = judge(panel, run(panel, steady(range(12), 5, 5), [], 12))

    assert (Verdict.REGRESSED, Action.SUGGEST) == (judged.verdict, judged.tripped[0].action)
    assert "margin 1.5 pp" in judged.tripped[0].sentence
    assert "no peers to compare with" in judged.tripped[0].sentence


def test_where_nobody_looked_for_peers_nothing_changes() -> None:
    """A replay, or a watch of an earlier version."""
    panel = panel_with(rule_set(success_rule(late_onset=Action.REVERT, without_peers=Action.ALERT)), None)
    judged = judge(panel, run(panel, steady(range(12), 5, 5), [], 12))

    assert (Verdict.REGRESSED, Action.REVERT) == (judged.verdict, judged.tripped[0].action)
    assert "margin 1 pp" in judged.tripped[0].sentence


def test_the_weighing_is_stored_to_the_bit() -> None:
    """And goes on from there as if nothing had been."""
    panel = panel_with(rule_set(success_rule(late_onset=Action.REVERT), P95, WHOLE))
    own, theirs = steady(range(20), 5, 5), [steady(range(20), 5, 3)] * 3
    half = run(panel, own, theirs, 10)
    assert half.weighing is not None
    read = weighing.from_bytes(weighing.to_bytes(half.weighing))

    assert weighing.to_bytes(half.weighing) == weighing.to_bytes(read)
    whole = run(panel, own, theirs, 20, half)
    resumed = run(panel, own, theirs, 20, replace(half, weighing=read))
    assert whole.weighing is not None
    assert resumed.weighing is not None
    assert weighing.to_bytes(whole.weighing) == weighing.to_bytes(resumed.weighing)


@pytest.mark.parametrize(
    ("peers", "bad", "expected"),
    [
        ((peer("a"), peer("b"), peer("c")), (4, 0, 0), {"a"}),
        ((peer("a"), peer("b"), peer("c"), peer("d")), (4, 4, 0, 0), set()),
        ((peer("a"), peer("b")), (4, 0), set()),
        ((peer("a"), peer("b", model="n"), peer("c", model="n")), (4, 0, 0), set()),
        ((peer("a", model="n"), peer("b"), peer("c")), (4, 0, 0), {"a"}),
        ((peer("a"), peer("b"), peer("c")), (5, 5, 5), set()),
    ],
    ids=[
        "one of three is worse by itself",
        "two of four are an outage of a part",
        "of two nobody can tell which",
        "the last with the candidate's model stays",
        "one with another model leaves",
        "all of them are an outage",
    ],
)
def test_a_peer_that_is_worse_by_itself_is_told_from_an_outage(
    peers: tuple[Peer, ...], bad: tuple[int, ...], expected: set[str]
) -> None:
    """By the others."""
    panel = panel_with(rule_set(success_rule()), peers)
    theirs = [steady(range(30), 5, n) for n in bad]
    progress = run(panel, steady(range(30), 5), theirs, 30)
    assert panel.beside is not None
    assert progress.weighing is not None

    assert expected == set(strays(panel.beside, progress.weighing))


def test_an_hour_without_any_call_is_one_move() -> None:
    """And the trouble of an hour ago is forgotten."""
    panel = panel_with(rule_set(success_rule()))
    stormy = run(panel, steady(range(6), 5, 2), [steady(range(6), 5, 5)] * 3, 6)
    assert stormy.weighing is not None
    assert stormy.weighing.rules["success"].trouble_since is not None
    own = steady(range(6), 5, 2) | {at(400): summarise(calls(5))}
    later = run(panel, own, [{at(400): summarise(calls(5))}] * 3, 401, stormy)

    assert later.weighing is not None
    assert later.weighing.rules["success"].trouble_since is None
    assert at(401) == later.weighing.until
    assert timedelta(minutes=67) > 401 * WINDOW - MINUTE
