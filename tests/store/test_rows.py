"""Rows: what goes in comes out, and a state changes by compare-and-set only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND, T0, call, incident, promotion, reading, rule_set, watch
from watchdog.core.clusters import Choice, Looked, report
from watchdog.core.guards import HOUR
from watchdog.core.incident import Recovery
from watchdog.core.ledger import Entry, Kind, Treatment
from watchdog.core.model import Payload, Prompt
from watchdog.core.notice import Fact, Link, Notice, Tone
from watchdog.core.promotion import Standing
from watchdog.core.rollback import Event, SagaState
from watchdog.core.rules import Metric
from watchdog.core.watch import Verdict, WatchState
from watchdog.core.windows import WINDOW, Summary, summarise
from watchdog.errors import IllegalTransition
from watchdog.store import events, incidents, intakes, journal, outbox, payloads, watches
from watchdog.store.intakes import Intake
from watchdog.store.outbox import Delivery
from watchdog.store.watches import Baseline

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from sqlalchemy import Connection

    from watchdog.core.watch import Watch
    from watchdog.store.database import Store
    from watchdog.store.outbox import Parcel


def due_at(at: datetime) -> Callable[[Parcel], bool]:
    return lambda parcel: parcel.next_at <= at


def opened(connection: Connection) -> Watch:
    """A watch in the database."""
    fresh = watch()
    journal.record_promotion(connection, fresh.promotion, Standing.ON_WATCH)
    watches.open_watch(connection, fresh, rule_set())
    return fresh


def notice(key: str = "a", thread: str = "t", **given: object) -> Notice:
    values: dict[str, object] = {"tone": Tone.ALARM, "headline": "h", "step": "s", "at": T0}
    return Notice(key=key, thread=thread, **{**values, **given})  # type: ignore[arg-type]


def intake(owner: str = "w") -> Intake:
    return Intake(
        owner=owner,
        prompt_id="support",
        version_id="v2",
        started_from=T0,
        cursor_at=T0,
        sealed_until=T0,
        open=True,
        other_versions=0,
        rejected={},
        feedback_at=T0,
        last_record_at=None,
    )


def test_a_watch_comes_back_as_it_went_in(any_store: Store) -> None:
    """Every field, with the rules it began with."""
    with any_store.write() as connection:
        fresh = opened(connection)

    with any_store.read() as connection:
        assert fresh == watches.find_watch(connection, fresh.id)
        assert rule_set() == watches.rules_of(connection, fresh)


def test_a_promotion_is_watched_once(any_store: Store) -> None:
    """Detecting twice cannot make two watches, nor two journal entries."""
    with any_store.write() as connection:
        fresh = opened(connection)
        assert not watches.open_watch(connection, fresh, rule_set())
        assert not journal.record_promotion(connection, fresh.promotion, Standing.ADOPTED)


def test_a_frozen_baseline_is_never_replaced(any_store: Store) -> None:
    """Insert-only."""
    with any_store.write() as connection:
        fresh = opened(connection)
        first = Baseline(
            watch_id=fresh.id,
            version_id="v1",
            from_at=T0 - HOUR,
            until_at=T0,
            summary=summarise([call(1)]),
            frozen_at=T0,
        )
        assert watches.freeze_baseline(connection, first)
        assert not watches.freeze_baseline(connection, replace(first, summary=Summary()))
        assert first == watches.find_baseline(connection, fresh.id)


def test_of_two_that_judge_the_same_window_one_is_refused(any_store: Store) -> None:
    """And its evidence is not written."""
    with any_store.write() as connection:
        fresh = opened(connection)

        def judged(states: dict[str, bytes]) -> bool:
            return watches.save_judgement(
                connection,
                fresh,
                judged_until=T0 + WINDOW,
                first_call_at=T0,
                verdict=Verdict.OK,
                reason="fine",
                candidate=summarise([call(1)]),
                readings=[reading().to_json()],
                states=states,
            )

        assert judged({"success": b"one"})
        assert not judged({"success": b"two"})
        assert {"success": b"one"} == watches.evidence_of(connection, fresh.id)


def test_a_state_changes_only_from_the_state_that_was_read(any_store: Store) -> None:
    """Zero rows changed means that another was first; the history has one entry."""
    with any_store.write() as connection:
        fresh = opened(connection)
        assert watches.change_state(connection, fresh, WatchState.TRIPPED, event="tripped", at=T0)
        assert not watches.change_state(connection, fresh, WatchState.PASSED, event="ended", at=T0)
        assert ["opened", "tripped"] == [e.event for e in events.history(connection, fresh.id)]


def test_an_incident_comes_back_as_it_went_in(any_store: Store) -> None:
    """Every field."""
    with any_store.write() as connection:
        opened(connection)
        assert incidents.open_incident(connection, incident())
        assert incident() == incidents.find_incident(connection, incident().id)


def test_a_promotion_has_one_incident_ever(any_store: Store) -> None:
    """Detecting a regression twice cannot revert twice."""
    with any_store.write() as connection:
        opened(connection)
        assert incidents.open_incident(connection, incident())
        assert not incidents.open_incident(connection, incident())


def test_a_stale_token_changes_nothing(any_store: Store) -> None:
    """Who read before another wrote must read again."""
    with any_store.write() as connection:
        opened(connection)
        stale = incident()
        incidents.open_incident(connection, stale)
        assert incidents.record(connection, stale, Event.INTENDED, at=T0, why="")
        assert not incidents.record(connection, stale, Event.INTENDED, at=T0, why="")
        assert not incidents.postpone(connection, stale, T0 + MINUTE)


def test_of_two_who_read_the_same_row_one_sends(any_store: Store) -> None:
    """A further attempt leaves the state as it is: only the token tells the second from the first."""
    with any_store.write() as connection:
        opened(connection)
        incidents.open_incident(connection, incident(SagaState.SENDING))
        both = incidents.find_incident(connection, incident().id)
        assert both is not None
        assert incidents.record(connection, both, Event.SENT, at=T0, why="")
        assert not incidents.record(connection, both, Event.SENT, at=T0, why="")


def test_an_event_that_does_not_follow_changes_nothing(any_store: Store) -> None:
    """The table is asked before the database."""
    with any_store.write() as connection:
        opened(connection)
        incidents.open_incident(connection, incident())
        with pytest.raises(IllegalTransition):
            incidents.record(connection, incident(), Event.AUDITED, at=T0, why="")
        assert incident() == incidents.find_incident(connection, incident().id)


def test_sending_commits_the_attempt_and_its_time(any_store: Store) -> None:
    """That is what a start after a crash reads."""
    with any_store.write() as connection:
        opened(connection)
        incidents.open_incident(connection, incident(SagaState.INTENT))
        incidents.record(connection, incident(SagaState.INTENT), Event.SENT, at=T0 + SECOND, why="")
        after = incidents.find_incident(connection, incident().id)

    assert after is not None
    assert (SagaState.SENDING, 1, T0 + SECOND) == (after.state, after.saga.attempt, after.saga.sent_at)


def test_a_superseded_rollback_has_nothing_to_verify(any_store: Store) -> None:
    """Its recovery is void, with the reason."""
    with any_store.write() as connection:
        opened(connection)
        incidents.open_incident(connection, incident(SagaState.INTENT))
        incidents.record(connection, incident(SagaState.INTENT), Event.HUMAN_MOVED, at=T0, why="ana promoted v3")
        after = incidents.find_incident(connection, incident().id)

    assert after is not None
    assert (Recovery.VOID, "ana promoted v3", T0) == (after.recovery, after.recovery_reason, after.closed_at)


def test_reverts_are_counted_for_the_guards(any_store: Store) -> None:
    """Held and superseded ones do not count."""
    with any_store.write() as connection:
        opened(connection)
        incidents.open_incident(connection, incident(SagaState.COUNTDOWN))
        assert 0 == len(incidents.reverts_since(connection, T0 - HOUR))
        incidents.record(
            connection, incident(SagaState.COUNTDOWN), Event.INTENDED, at=T0 - 25 * HOUR, why="", begun_at=T0
        )
        assert 1 == len(incidents.reverts_since(connection, T0 - HOUR))
        assert 1 == len(incidents.reverts_since(connection, T0, prompt_id="support"))
        assert 0 == len(incidents.reverts_since(connection, T0, prompt_id="other"))
        assert 0 == len(incidents.reverts_since(connection, T0 + SECOND))


def test_windows_merge_what_comes_in_pieces(any_store: Store) -> None:
    """Two pages may hold calls of one window."""
    with any_store.write() as connection:
        intakes.add_to_windows(connection, "w", {T0: summarise([call(1)])})
        intakes.add_to_windows(connection, "w", {T0: summarise([call(2, ok=False)]), T0 + WINDOW: summarise([call(3)])})
        found = intakes.windows_between(connection, "w", since=T0, until=T0 + WINDOW)

    assert ((T0, summarise([call(1), call(2, ok=False)])),) == found


def test_ids_are_remembered_until_no_poll_can_ask_for_them(any_store: Store) -> None:
    """The overlap's calls are counted once, and the table does not grow for ever."""
    with any_store.write() as connection:
        intakes.mark_seen(connection, "w", {"a": T0, "b": T0 + MINUTE}, forget_before=T0)
        assert {"c"} == intakes.unseen(connection, "w", ["a", "b", "c"])
        assert {"a"} == intakes.unseen(connection, "other", ["a"])
        intakes.mark_seen(connection, "w", {}, forget_before=T0 + SECOND)
        assert {"a"} == intakes.unseen(connection, "w", ["a", "b"])


def test_of_two_that_read_the_same_page_one_is_refused(any_store: Store) -> None:
    """Compare-and-set on the cursor."""
    with any_store.write() as connection:
        intakes.open_intake(connection, intake())
        after = replace(intake(), cursor_at=T0 + MINUTE)
        assert intakes.advance(connection, intake(), after)
        assert not intakes.advance(connection, intake(), after)
        assert after == intakes.find_intake(connection, "w")


def test_a_seal_never_moves_back(any_store: Store) -> None:
    """What was sealed stays sealed, whatever the clock does."""
    with any_store.write() as connection:
        intakes.open_intake(connection, intake())
        intakes.seal(connection, "w", T0 + MINUTE)
        intakes.seal(connection, "w", T0 + SECOND)
        found = intakes.find_intake(connection, "w")

    assert found is not None
    assert T0 + MINUTE == found.sealed_until


def test_a_notice_is_put_in_once(any_store: Store) -> None:
    """The same key is never announced twice, and it comes back as it went in."""
    full = notice(
        facts=(Fact(label="a", value="b"),), evidence=("e",), changes=("c",), links=(Link(text="l", url="u"),)
    )
    with any_store.write() as connection:
        assert outbox.put(connection, full)
        assert not outbox.put(connection, notice(headline="other"))
        assert [full] == [p.notice for p in outbox.parcels(connection)]


def test_a_thread_is_delivered_in_order_and_does_not_hold_up_others(any_store: Store) -> None:
    """The head of a thread that must wait blocks its own thread only."""
    with any_store.write() as connection:
        for key, thread in (("a1", "a"), ("a2", "a"), ("b1", "b")):
            outbox.put(connection, notice(key, thread))
        first = outbox.next_parcel(connection, due_at(T0))
        assert first is not None
        assert outbox.mark_sending(connection, first)
        outbox.mark_failed(connection, first, error="down", next_at=T0 + MINUTE, state=Delivery.NEW)
        second = outbox.next_parcel(connection, due_at(T0))
        assert second is not None
        later = outbox.next_parcel(connection, due_at(T0 + MINUTE))

    assert ("a1", "b1") == (first.key, second.key)
    assert later is not None
    assert ("a1", 1) == (later.key, later.attempts)


def test_of_two_senders_one_gets_the_parcel(any_store: Store) -> None:
    """Compare-and-set on state and attempts."""
    with any_store.write() as connection:
        outbox.put(connection, notice())
        parcel = outbox.next_parcel(connection, due_at(T0))
        assert parcel is not None
        assert outbox.mark_sending(connection, parcel)
        assert not outbox.mark_sending(connection, parcel)


def test_a_dead_notice_lets_the_next_of_its_thread_pass(any_store: Store) -> None:
    """One message that Slack will never take must not silence an incident."""
    with any_store.write() as connection:
        outbox.put(connection, notice("a1", "a"))
        outbox.put(connection, notice("a2", "a"))
        first = outbox.next_parcel(connection, due_at(T0))
        assert first is not None
        outbox.mark_failed(connection, first, error="refused", next_at=T0, state=Delivery.DEAD)
        second = outbox.next_parcel(connection, due_at(T0))

    assert second is not None
    assert "a2" == second.key


def test_the_journal_is_in_order_of_time(any_store: Store) -> None:
    """Not in the order in which the promotions were found."""
    with any_store.write() as connection:
        journal.record_promotion(connection, promotion("v3", at=T0 + MINUTE), Standing.ON_WATCH)
        journal.record_promotion(connection, promotion("v2", at=T0), Standing.ON_WATCH)
        journal.set_standing(connection, promotion("v2", at=T0).id, Standing.PASSED)
        found = journal.journal(connection, "support")

    assert [("v2", Standing.PASSED), ("v3", Standing.ON_WATCH)] == [
        (e.promotion.to_version_id, e.standing) for e in found
    ]


LEDGER = (
    Entry(kind=Kind.MODEL, treatment=Treatment.LOWERS, sentence="other models", metrics=(Metric.SUCCESS, Metric.COST)),
    Entry(kind=Kind.GAP, treatment=Treatment.NAMED, sentence="no call for 7 min"),
)


def test_a_ledger_and_what_is_known_of_the_versions_come_back_as_they_went_in(any_store: Store) -> None:
    """With the watch, from its beginning, and as each look left it."""
    with any_store.write() as connection:
        fresh = watch(control_model="large", candidate_model="small", ledger=LEDGER[:1], week_note="not a week yet")
        journal.record_promotion(connection, fresh.promotion, Standing.ON_WATCH)
        watches.open_watch(connection, fresh, rule_set())
        assert fresh == watches.find_watch(connection, fresh.id)

        watches.save_ledger(connection, fresh, LEDGER)

        assert replace(fresh, ledger=LEDGER) == watches.find_watch(connection, fresh.id)


def test_of_two_that_read_the_same_hour_one_is_refused(any_store: Store) -> None:
    """So that no hour of a week ago is inserted twice; and what was given up is not begun again."""
    with any_store.write() as connection:
        fresh = opened(connection)
        assert watches.read_hours(connection, fresh, to=T0 - HOUR)
        assert not watches.read_hours(connection, fresh, to=T0 - HOUR)

        read = watches.find_watch(connection, fresh.id)
        assert read is not None
        assert T0 - HOUR == read.week_read_to
        assert watches.read_hours(connection, read, to=read.week_read_to, note="forgotten")
        assert not watches.read_hours(connection, read, to=T0)


@pytest.mark.parametrize(
    ("at_least", "until", "found"),
    [
        (5 * MINUTE, 30 * MINUTE, [(2, 10), (11, 18)]),
        (8 * MINUTE, 30 * MINUTE, [(2, 10)]),
        (5 * MINUTE, 9 * MINUTE, [(2, 9)]),
        (5 * MINUTE, 26 * MINUTE, [(2, 10), (11, 18)]),
        (5 * MINUTE, 60 * MINUTE, [(2, 10), (11, 18), (26, 60)]),
        (40 * MINUTE, 60 * MINUTE, []),
    ],
)
def test_silences_lie_between_windows_and_after_the_last(
    any_store: Store, at_least: timedelta, until: timedelta, found: list[tuple[int, int]]
) -> None:
    """Windows of ten seconds that end at minutes 2, 11 and 26, or begin at 10 and 18."""
    starts = [MINUTE, 2 * MINUTE - WINDOW, 10 * MINUTE, 11 * MINUTE - WINDOW]
    starts += [18 * MINUTE + i * MINUTE for i in range(8)] + [26 * MINUTE - WINDOW]
    with any_store.write() as connection:
        intakes.add_to_windows(connection, "w", {T0 + at: summarise([call(1)]) for at in starts})
        intakes.add_to_windows(connection, "x", {T0 + 5 * MINUTE: summarise([call(1)])})
        silences = intakes.silences(connection, "w", since=T0, until=T0 + until, at_least=at_least)

    assert [(T0 + a * MINUTE, T0 + b * MINUTE) for a, b in found] == list(silences)


def test_promotions_around_one_are_those_of_other_prompts_that_really_moved(any_store: Store) -> None:
    """With the slug where one is known; what the first start adopted stood there before."""
    given = [
        ("support", 0, Standing.ON_WATCH),
        ("refund", -10, Standing.UNWATCHED),
        ("invoice", 10, Standing.RESTORED),
        ("early", -16, Standing.PASSED),
        ("adopted", 1, Standing.ADOPTED),
    ]
    with any_store.write() as connection:
        for prompt, minutes, standing in given:
            moved = promotion(id=f"{prompt}-1", prompt_id=prompt, at=T0 + minutes * MINUTE)
            journal.record_promotion(connection, moved, standing)
        refund = Prompt(id="refund", slug="refund-reply", name="", production_version_id="v2")
        journal.see_pointer(connection, refund, T0)
        around = journal.promoted_between(connection, T0 - 15 * MINUTE, T0 + 15 * MINUTE, but="support")

    assert [("refund-reply", "refund-1"), ("invoice", "invoice-1")] == [(slug, p.id) for slug, p in around]


def test_what_failing_calls_looked_like_is_written_once(any_store: Store) -> None:
    """A second report is refused, and text that no database takes was made harmless before."""
    odd = Payload(call_id="call-0", output="a\x00b\ud800 canary@example.com", message="c")
    found = report([Looked(call=call(ok=False), payload=odd)], Choice.FAILING)
    with any_store.write() as connection:
        opened(connection)
        incidents.open_incident(connection, incident())
        before = payloads.awaiting(connection, since=T0)

        assert payloads.keep(connection, incident().id, found, at=T0)
        assert not payloads.keep(connection, incident().id, report([], Choice.FAILING), at=T0)

    with any_store.read() as connection:
        assert found == payloads.find(connection, incident().id)
        assert "a\ufffdb\ufffd [mail]" == found.clusters[0].examples[0].output
        assert ((incident().id,), ()) == (before, payloads.awaiting(connection, since=T0))
        assert payloads.find(connection, "nobody") is None


def test_an_attempt_that_came_to_nothing_is_history_and_changes_no_state(any_store: Store) -> None:
    """The rollback goes on meanwhile: its token stays."""
    with any_store.write() as connection:
        opened(connection)
        incidents.open_incident(connection, incident())
        payloads.note_failure(connection, incident(), at=T0 + SECOND, why="503")
        payloads.note_failure(connection, incident(), at=T0 + MINUTE, why="503 again")
        payloads.set_changes(connection, incident().id, ("temperature: 0.2 -> 1.0",))

    with any_store.read() as connection:
        kept = incidents.find_incident(connection, incident().id)
        assert kept is not None
        assert (incident().token, incident().state) == (kept.token, kept.state)
        assert ("temperature: 0.2 -> 1.0",) == kept.changes
        assert (2, T0 + MINUTE) == payloads.failures(connection, incident().id)
        assert (0, None) == payloads.failures(connection, "nobody")
