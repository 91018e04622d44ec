"""Counts over the store, alike on both databases, and what they cost."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND, T0, call, incident, promotion, rule_set, watch
from tests.store.test_rows import intake, notice
from watchdog.core.guards import Guard
from watchdog.core.incident import Recovery
from watchdog.core.prevented import prevented
from watchdog.core.promotion import Standing
from watchdog.core.rollback import Event, SagaState
from watchdog.core.watch import Verdict, WatchState
from watchdog.core.windows import Summary, summarise
from watchdog.store import incidents, intakes, journal, outbox, watches
from watchdog.store.outbox import Delivery
from watchdog.store.tallies import DELAY_BOUNDS_S, Ended, tally

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from watchdog.store.database import Store

BAD = summarise(call(f"b{i}", ok=i % 2 == 0) for i in range(40))
RESTORED = summarise(call(f"r{i}", ok=i != 0) for i in range(100))


def watched(connection: Connection, i: int, state: WatchState = WatchState.WATCHING, **given: object) -> str:
    fresh = watch(state, id=f"w{i}", promotion=replace(promotion(), id=f"p{i}"), **given)
    journal.record_promotion(connection, fresh.promotion, Standing.ON_WATCH)
    watches.open_watch(connection, fresh, rule_set())
    return fresh.id


def struck(connection: Connection, i: int, **given: object) -> None:
    """An incident with its watch."""
    first = given.pop("first_call_at", T0)
    watch_id = watched(connection, i, WatchState.TRIPPED, candidate=BAD, first_call_at=first)
    made = incident(SagaState.OPEN, watch_id=watch_id)
    made = replace(
        made,
        saga=replace(made.saga, id=f"i{i}", bad_promotion_id=f"p{i}"),
        opened_at=T0 + timedelta(seconds=90 + i),
        **given,  # type: ignore[arg-type]
    )
    incidents.open_incident(connection, made)


def test_an_empty_store_counts_nothing(any_store: Store) -> None:
    """And is no error."""
    with any_store.read() as connection:
        found = tally(connection, Ended())

    assert {"freezing": 0, "watching": 0} == found.watches
    assert (None, None, 0, 0.0) == (found.read_until, found.oldest_unsent_at, found.unsent, found.prevented)
    assert (0,) * (len(DELAY_BOUNDS_S) + 1) == found.delays


def test_everything_is_counted_by_where_it_stands(any_store: Store) -> None:
    """Watches, verdicts, incidents, notices, rows."""
    with any_store.write() as connection:
        watched(connection, 1, verdict=Verdict.OK, candidate=replace(BAD, late=3))
        watched(connection, 2, WatchState.FREEZING, verdict=Verdict.NO_DATA)
        watched(connection, 3, WatchState.PASSED, verdict=Verdict.OK)
        struck(connection, 4, recovery=Recovery.RECOVERED, restored=RESTORED)
        struck(connection, 5, recovery=Recovery.UPSTREAM_SUSPECTED, restored=RESTORED)
        struck(connection, 6, first_call_at=None)
        intakes.open_intake(connection, replace(intake("w1"), rejected={"a": 2, "b": 1}, other_versions=4))
        intakes.open_intake(connection, replace(intake("w2"), cursor_at=T0 + MINUTE))
        intakes.open_intake(connection, replace(intake("w3"), cursor_at=T0 - MINUTE, open=False, rejected={"a": 5}))
        for i in range(4):
            outbox.put(connection, notice(f"n{i}", at=T0 + i * SECOND))
        parcels = outbox.parcels(connection)
        outbox.mark_sent(connection, parcels[0], T0)
        outbox.mark_failed(connection, parcels[1], error="", next_at=T0, state=Delivery.DEAD)
        outbox.mark_failed(connection, parcels[2], error="", next_at=T0, state=Delivery.SENDING)
    with any_store.read() as connection:
        found = tally(connection, Ended())

    assert {"freezing": 1, "watching": 1} == found.watches
    assert {"ok": 1, "no_data": 1} == found.verdicts
    assert {"passed": 1, "tripped": 3} == found.ended
    assert {"open": 3} == found.incidents
    assert {"recovered": 1, "upstream_suspected": 1, "pending": 1} == found.recoveries
    assert (40, 3) == (found.calls, found.late)
    assert (8, 4) == (found.rejected, found.strays)
    assert T0 == found.read_until
    assert (2, 1, 1) == (found.unsent, found.undeliverable, found.sent)
    assert T0 + 2 * SECOND == found.oldest_unsent_at
    # 94 and 95 s after the first call; the one without a first call has no delay.
    assert 2 == sum(found.delays)
    assert 2 == found.delays[DELAY_BOUNDS_S.index(120.0)]
    assert 189.0 == found.delay_total_s


def test_a_verdict_before_its_first_call_took_no_time(any_store: Store) -> None:
    """The platform's clock may go before ours."""
    with any_store.write() as connection:
        struck(connection, 1, first_call_at=T0 + timedelta(hours=1))
    with any_store.read() as connection:
        found = tally(connection, Ended())

    assert (1, 0.0) == (found.delays[0], found.delay_total_s)


def test_only_reverts_that_helped_have_prevented_anything(any_store: Store) -> None:
    """Half of 40 calls failed, and one of the restored version's 100; the lower limit of the share counts."""
    with any_store.write() as connection:
        struck(connection, 1, recovery=Recovery.RECOVERED, restored=RESTORED)
        struck(connection, 2, recovery=Recovery.UPSTREAM_SUSPECTED, restored=RESTORED)
        struck(connection, 3, recovery=Recovery.UNVERIFIED, restored=RESTORED)
    ended = Ended()
    with any_store.read() as connection:
        found = tally(connection, ended).prevented

    assert 40.0 < found < 49.0
    assert {"i1"} == set(ended.prevented)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((0, 0, 100, 0), 0.0),
        ((40, 0, 100, 0), 0.0),
        ((40, 20, 0, 0), 0.0),
        ((40, 20, 100, 90), 0.0),
        ((10_000, 5_000, 100, 1), 48.5),
    ],
)
def test_an_estimate_is_never_negative_and_nears_the_plain_difference(
    given: tuple[int, int, int, int], expected: float
) -> None:
    """With many calls, the share of failures times the calls, less those that failed."""
    names = ("bad_calls", "bad_failures", "restored_calls", "restored_failures")

    assert expected == pytest.approx(prevented(**dict(zip(names, given, strict=True))), abs=0.51)


def test_calls_of_many_kinds_are_summed_over_them(any_store: Store) -> None:
    """What the kinds add up to is not stored twice."""
    kinds = summarise(call(f"k{i}", ok=i % 4 != 0, segment="ab"[i % 2], input_tokens=100 + i) for i in range(40))
    assert kinds.kinds
    with any_store.write() as connection:
        watched(connection, 1, candidate=kinds)
    with any_store.read() as connection:
        assert 40 == tally(connection, Ended()).calls


def test_refusals_are_counted_by_guard(any_store: Store) -> None:
    """Each of them, whatever its sentence says."""
    refused = (Guard.FLEET, Guard.COOLDOWN, Guard.PER_HOUR, Guard.FLEET, Guard.HOLD)
    with any_store.write() as connection:
        for i, guard in enumerate(refused):
            struck(connection, i)
            made = incidents.find_incident(connection, f"i{i}")
            assert made is not None
            incidents.record(connection, made, Event.HELD, at=T0, why="a sentence", guard=guard.value)
    with any_store.read() as connection:
        assert {"fleet": 2, "cooldown": 1, "per_hour": 1, "hold": 1} == tally(connection, Ended()).refusals


def test_a_scrape_of_a_large_store_is_cheap(store: Store) -> None:
    """2,000 incidents and 500 open watches with a day of calls each; the first scrape computes what later ones keep."""
    lively = summarise(
        call(f"c{i}", ok=i % 9 != 0, latency_ms=200.0 + 37 * (i % 90), cost_usd=0.001 * (1 + i % 9)) for i in range(400)
    )
    with store.write() as connection:
        for i in range(500):
            watched(connection, 10_000 + i, candidate=lively)
            intakes.open_intake(connection, intake(f"w{10_000 + i}"))
        for i in range(2_000):
            struck(connection, i, recovery=Recovery.RECOVERED, restored=lively)
    ended = Ended()
    took_s = []
    for _ in range(4):
        began_s = time.perf_counter()
        with store.read() as connection:
            found = tally(connection, ended)
        took_s.append(time.perf_counter() - began_s)

    assert 2_000 == sum(found.delays)
    assert 2_000 == len(ended.prevented)
    # Ten times what it takes on an idle machine; it is asked once in five seconds at most.
    assert took_s[0] < 10.0
    assert min(took_s[1:]) < 1.0


def test_nothing_of_a_summary_is_lost_by_the_short_way(any_store: Store) -> None:
    """The same calls, late ones and failures as the long way finds."""
    with any_store.write() as connection:
        watched(connection, 1, candidate=replace(BAD, late=2))
        watched(connection, 2, candidate=Summary())
    with any_store.read() as connection:
        found = tally(connection, Ended())
        whole = [w.candidate for w in watches.open_watches(connection)]

    assert (sum(s.calls for s in whole), sum(s.late for s in whole)) == (found.calls, found.late)
