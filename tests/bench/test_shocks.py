"""Common shocks over the recorded calls that are shipped."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from bench.real.__main__ import SEED
from bench.real.changes import CHANGES
from bench.real.promotions import RAW, Bench
from bench.real.shock_tables import shocks
from bench.real.shocks import Shock, Stream, _aligned, chosen, scene, watched_beside
from bench.real.traces import traces
from bench.real.watched import BOTH, PACK, watched
from watchdog.core.rules import Action

SHIPPED = traces(None)
ALL = Shock(0.0, 1.0, 0.9)


def bench(cuts: int = 1) -> Bench:
    return Bench(SHIPPED, cuts=cuts, seed=SEED, told=lambda _: None)


def chance() -> random.Random:
    return random.Random(1)  # noqa: S311 - a simulation


def short(name: str, calls: int = 240) -> Stream:
    """The middle of a stream, cut in two: nothing was promoted, and nothing moves much."""
    trace = next(t for t in SHIPPED if t.name.startswith(name))
    middle = trace.calls[:calls]
    return Stream(trace.name, middle[: calls * 2 // 3], middle[calls * 2 // 3 :])


def test_a_shock_strikes_within_its_part_of_the_calls_and_nowhere_else() -> None:
    """Each call in it either fails or takes three times as long."""
    calls = SHIPPED[0].calls[:200]

    struck = Shock(0.25, 0.5, 0.6).over(calls, chance(), outcomes=True)

    assert list(calls[:50]) == struck[:50]
    assert list(calls[100:]) == struck[100:]
    for was, now in zip(calls[50:100], struck[50:100], strict=True):
        failed = was._replace(ok=False)
        slowed = was._replace(latency_ms=was.latency_ms and 3.0 * was.latency_ms)
        assert now in (failed, slowed)
    assert (
        20
        <= sum(now.latency_ms == was.latency_ms for was, now in zip(calls[50:100], struck[50:100], strict=True))
        <= 40
    )


def test_where_success_is_unknown_a_shock_only_slows() -> None:
    """No outcome is made up."""
    calls = SHIPPED[0].calls[:50]

    assert [c.ok for c in calls] == [c.ok for c in ALL.over(calls, chance(), outcomes=False)]


def test_another_version_of_the_stream_is_no_peer() -> None:
    """It answered the same requests in the same order."""
    one = bench()
    for trace in one.long:
        peers = chosen(one, trace)

        assert peers
        assert trace.stream not in {peer.stream for peer in peers}


def test_everybody_is_struck_over_the_same_part_of_the_way() -> None:
    """Beside the same scene without the shock; what was before the promotion stays as it was."""
    one, trace = bench(), SHIPPED[0]
    calm, struck = (scene(one, trace, 0, shocked=shocked) for shocked in (False, True))
    places = []
    for was, now in zip((calm[0], *calm[1]), (struck[0], *struck[1]), strict=True):
        changed = [i / len(now.after) for i, (a, b) in enumerate(zip(was.after, now.after, strict=True)) if a != b]
        places.append((min(changed), max(changed)))
        assert was.before == now.before

    first, *others = places
    assert all(at == pytest.approx(first, abs=0.02) for at in others)
    assert 0.08 <= first[1] - first[0] <= 0.2


def test_the_sides_are_those_of_the_other_tables() -> None:
    """Cut where they are cut."""
    own, _ = scene(bench(), SHIPPED[0], 0, shocked=False)
    before, after, _ = bench().sides(SHIPPED[0], 0, RAW)

    assert (before, after) == (own.before, own.after)


def test_peers_are_aligned_by_order_and_none_of_their_calls_is_lost() -> None:
    """Ten windows for 25 calls: two or three each."""
    windows = _aligned(SHIPPED[0].calls[:25], 10)

    assert [3, 2] * 5 == [windows[start].calls for start in sorted(windows)]


@pytest.mark.parametrize("change", [c for c in CHANGES if c.target is not None], ids=lambda c: c.before[0])
def test_without_anybody_asked_it_is_the_judge_of_the_other_tables(change) -> None:
    """The same action after the same number of calls."""
    before, after = bench().pair(change) or pytest.fail("not shipped")
    expected = watched(before.calls, after.calls)

    found = watched_beside(Stream("", before.calls, after.calls), None, rules=PACK)

    assert (expected.action, expected.rules, expected.calls) == (found.action, found.rules, found.calls)


def test_a_shock_that_everybody_has_is_upstream_and_one_that_only_one_has_is_not() -> None:
    """The candidate's calls are the same; what differs is what the peers show."""
    own, peers = short("happynumber/gpt-4 0314"), [short("opinionqa"), short("prime/gpt-4 0314")]
    struck = own._replace(after=ALL.over(own.after, chance(), outcomes=True))
    struck_peers = [p._replace(after=ALL.over(p.after, chance(), outcomes=True)) for p in peers]

    alone, shared = watched_beside(struck, peers, rules=BOTH), watched_beside(struck, struck_peers, rules=BOTH)

    assert (Action.REVERT, False) == (alone.action, alone.upstream)
    assert (None, True) == (shared.action, shared.upstream)


def test_the_shipped_calls_give_a_table_without_a_folder() -> None:
    """One source, with and without a shock; the endpoints are not among the shipped calls."""
    few = [replace(trace, calls=trace.calls[:200]) for trace in SHIPPED]

    table, endpoints = shocks(Bench(few, cuts=1, seed=SEED, told=lambda _: None))

    assert ["none", "common shock"] == [row["shock"] for row in table.rows]
    assert 1 == len({row["reverted beside peers"] for row in table.rows})
    assert ("0/6 (0.0 %)", True) == (table.rows[0]["upstream"], table.rows[1]["upstream"] > "0/6")
    assert [] == endpoints.rows
