"""Claims on PostgreSQL: one owner at a time, by the database's clock, and no write by whoever is not the owner."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, text

from tests.builders import T0, incident, promotion, rule_set, saga, watch
from watchdog.core.promotion import Standing
from watchdog.core.rollback import SagaState
from watchdog.core.watch import WatchState
from watchdog.errors import ClaimLost, StoreUnusable
from watchdog.store import claims, incidents, journal, outbox, rows, tables, watches
from watchdog.store.claims import Claim, prompt_item
from watchdog.store.database import Store
from watchdog.store.schema import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

LEASE = timedelta(seconds=30)
MOMENT = timedelta(milliseconds=1)
SUPPORT = prompt_item("support")


@pytest.fixture
def store(postgres_store: Store) -> Store:
    """There are no replicas on SQLite."""
    return postgres_store


@pytest.fixture
def other(store: Store) -> Iterator[Store]:
    """Another process on the same database, as far as connections go."""
    opened = Store(store.url)
    yield opened
    opened.close()


def take(store: Store, owner: str, *items: str, lease: timedelta = LEASE, frozen: timedelta = LEASE) -> list[Claim]:
    with store.claiming() as connection:
        taken, _ = claims.take(connection, owner, items, len(items), lease, frozen=frozen)
    return taken


def take_one(store: Store, owner: str = "a", item: str = SUPPORT, lease: timedelta = LEASE) -> Claim:
    (claim,) = take(store, owner, item, lease=lease)
    return claim


def let_pass(store: Store, seconds: float = 0.05) -> None:
    """Of the database's time, which alone counts."""
    with store.read() as connection:
        connection.execute(select(func.pg_sleep(seconds)))


def cursor(store: Store) -> object:
    with store.read() as connection:
        return journal.cursor(connection, "promotions")


def test_what_one_has_another_cannot_take(store: Store) -> None:
    """Until the lease runs out or it is given up."""
    take_one(store, "a")
    assert [] == take(store, "b", SUPPORT)
    with store.claiming() as connection:
        claims.give_up(connection, "a", [SUPPORT])

    assert [Claim(item=SUPPORT, owner="b", token=2)] == take(store, "b", SUPPORT)


def test_two_that_take_at_the_same_moment_share_what_there_is(store: Store, other: Store) -> None:
    """What one is just taking the other passes over, and does not wait for."""
    items = [prompt_item(str(n)) for n in range(6)]
    take(store, "nobody", *items, lease=MOMENT)
    let_pass(store)
    with store.claiming() as connection:
        first, _ = claims.take(connection, "a", items, 3, LEASE, frozen=LEASE)
        second = take(other, "b", *items)

    assert (3, 3) == (len(first), len(second))
    assert set(items) == {claim.item for claim in (*first, *second)}


def test_a_lease_that_ran_out_is_taken_over_and_the_token_counts_up(store: Store) -> None:
    """And the one who had it may write no more: whatever its transaction did is undone."""
    late = take_one(store, "a", lease=MOMENT)
    let_pass(store)
    taken = take_one(store, "b")

    assert (1, 2, "a") == (late.token, taken.token, taken.taken_from)
    with pytest.raises(ClaimLost, match="token 1"), claims.fenced(late), store.write() as connection:
        journal.set_cursor(connection, "promotions", T0)
    assert None is cursor(store)
    with claims.fenced(taken), store.write() as connection:
        journal.set_cursor(connection, "promotions", T0)
    assert T0 == cursor(store)


def test_who_lost_a_claim_and_has_it_again_goes_on_with_the_new_token_only(store: Store) -> None:
    """A thread that was stopped for long does not know what was done in between."""
    late = take_one(store, "a", lease=MOMENT)
    let_pass(store)
    again = take_one(store, "a")

    with pytest.raises(ClaimLost), claims.fenced(late), store.write():
        pass
    with claims.fenced(again), store.write():
        pass


def test_a_lease_that_ran_out_forbids_to_write_before_anybody_takes_over(store: Store) -> None:
    """By the database's clock, whatever the replica's says."""
    late = take_one(store, lease=MOMENT)
    let_pass(store)

    with pytest.raises(ClaimLost), claims.fenced(late), store.write():
        pass
    with store.claiming() as connection:
        assert set() == claims.renew(connection, "a", LEASE)


def test_nobody_takes_over_between_the_check_and_the_commit(store: Store, other: Store) -> None:
    """A transaction that is under way holds its claim, also when the lease runs out meanwhile."""
    claim = take_one(store, "a", lease=timedelta(seconds=0.5))
    with claims.fenced(claim), store.write() as connection:
        let_pass(other, 0.6)
        assert [] == take(other, "b", SUPPORT)
        journal.set_cursor(connection, "promotions", T0)

    assert T0 == cursor(store)
    assert ["a"] == [taken.taken_from for taken in take(other, "b", SUPPORT)]


def test_a_write_under_a_schema_of_a_newer_version_is_refused(store: Store) -> None:
    """An upgrade that another replica began ends what this one does, in the middle of it."""
    claim = take_one(store)
    with store.claiming() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ClaimLost), claims.fenced(claim), store.write():
        pass


def test_a_renewed_claim_lasts_and_one_that_is_written_under_is_renewed_later(store: Store, other: Store) -> None:
    """The renewal waits for nobody: a writer that hangs must not cost the replica its other claims."""
    billing = prompt_item("billing")
    claim, _ = take(store, "a", SUPPORT, billing)
    with claims.fenced(claim), store.write(), other.claiming() as connection:
        assert {billing} == claims.renew(connection, "a", LEASE)
        assert {SUPPORT: 1, billing: 1} == claims.owned(connection, "a")
    with other.claiming() as connection:
        assert {SUPPORT, billing} == claims.renew(connection, "a", LEASE)


def test_a_process_that_is_stopped_within_a_request_is_not_taken_over(store: Store, other: Store) -> None:
    """Its session's lock tells, for as long as the session lives; then the prompt is free."""
    take_one(store, "a", lease=MOMENT)
    with store.session_lock(SUPPORT) as got:
        assert got
        let_pass(other)
        with other.claiming() as connection:
            assert ([], [SUPPORT]) == claims.take(connection, "b", [SUPPORT], 1, LEASE, frozen=MOMENT)
        with other.session_lock(SUPPORT) as got_too:
            assert not got_too

    assert 2 == take_one(other, "b").token


def test_notices_of_a_process_that_is_stopped_are_taken_over_after_a_while(store: Store, other: Store) -> None:
    """A missing alert is worse than a repeated one."""
    take(store, "a", "all:outbox:1", lease=MOMENT)
    with store.session_lock("all:outbox:1"):
        let_pass(other)
        assert [] == take(other, "b", "all:outbox:1", frozen=LEASE)
        assert 1 == len(take(other, "b", "all:outbox:1", frozen=MOMENT))


def test_a_session_that_is_cut_lets_go_of_its_lock(store: Store, other: Store) -> None:
    """Nothing that a dead process held stays."""
    take_one(store, "a", lease=MOMENT)
    with store.session_lock(SUPPORT):
        with other.claiming() as connection:
            cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
            assert [True] == list(connection.execute(text(cut)).scalars())
        assert 1 == len(take(other, "b", SUPPORT))


def test_a_transaction_about_a_prompt_waits_for_the_one_who_works_at_it(store: Store, other: Store) -> None:
    """Whoever notices a promotion writes about what another replica has a claim on."""
    claim = take_one(store)
    done: list[str] = []

    def notice() -> None:
        with other.write(beside=[SUPPORT]):
            done.append("noticed")

    beside = threading.Thread(target=notice)
    with claims.fenced(claim), store.write():
        beside.start()
        wait_for_a_waiter(store, "transactionid", "tuple")
        done.append("worked")
    beside.join(10)

    assert ["worked", "noticed"] == done


def test_two_that_count_do_it_one_after_the_other(store: Store, other: Store) -> None:
    """So that they cannot both take the last place, whatever prompts they work at."""
    done: list[str] = []

    def count() -> None:
        with other.write(counting=True):
            done.append("second")

    second = threading.Thread(target=count)
    with store.write(counting=True):
        second.start()
        wait_for_a_waiter(store, "advisory")
        done.append("first")
    second.join(10)

    assert ["first", "second"] == done


def wait_for_a_waiter(store: Store, *kinds: str) -> None:
    """Until somebody waits for a lock of this kind; fails where nobody does within some seconds."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = ANY(:kinds)")
    for _ in range(100):
        let_pass(store, 0.03)
        with store.read() as connection:
            if connection.execute(waiting, {"kinds": list(kinds)}).scalar_one():
                return
    pytest.fail("nobody waited")


def test_replicas_are_seen_counted_and_forgotten(store: Store) -> None:
    """By the database's time."""
    with store.claiming() as connection:
        claims.see(connection, "a", "host-a")
        claims.see(connection, "b", "host-b")
        assert 2 == claims.live(connection, LEASE)
        claims.take(connection, "a", [SUPPORT, "all:detect"], 2, LEASE, frozen=LEASE)
        assert [("host-a", 1, 1), ("host-b", 0, 0)] == [
            (r.name, r.prompts, r.others) for r in claims.all_replicas(connection)
        ]
        claims.leave(connection, "a")
        assert 1 == claims.live(connection, LEASE)
        assert {} == claims.owned(connection, "a")
    let_pass(store)
    with store.claiming() as connection:
        assert 0 == claims.live(connection, MOMENT)


def test_only_prompts_with_open_work_are_claimed(store: Store) -> None:
    """A watch, an intake, a rollback under way, or an incident that may still be diagnosed."""
    with store.write() as connection:
        assert set() == claims.prompts_with_work(connection, T0)
        journal.record_promotion(connection, promotion(), Standing.ON_WATCH)
        opened = watch()
        watches.open_watch(connection, opened, rule_set())
        assert {"support"} == claims.prompts_with_work(connection, T0)
        assert (opened.id,) == claims.watches_of(connection, [SUPPORT, "all:detect"])
        watches.change_state(connection, opened, WatchState.PASSED, event="ended", at=T0)
        assert set() == claims.prompts_with_work(connection, T0)
        incidents.open_incident(connection, incident(saga=saga(SagaState.INTENT, prompt_id="billing")))
        assert {"billing"} == claims.prompts_with_work(connection, T0 + timedelta(hours=1))


def test_who_adds_what_somebody_is_just_adding_finds_that_he_was_not_first(store: Store, other: Store) -> None:
    """No error: it waits for the first one's end, and nothing was lost."""
    answers: list[bool] = []

    def second() -> None:
        with other.write() as connection:
            answers.append(journal.record_promotion(connection, promotion(), Standing.SUPERSEDED))

    beside = threading.Thread(target=second)
    with store.write() as connection:
        answers.append(journal.record_promotion(connection, promotion(), Standing.ON_WATCH))
        beside.start()
        wait_for_a_waiter(store, "transactionid")
    beside.join(10)

    assert [True, False] == answers
    with store.read() as connection:
        assert [Standing.ON_WATCH] == [entry.standing for entry in journal.journal(connection, "support")]


def test_a_look_sees_one_moment(store: Store, other: Store) -> None:
    """What others commit meanwhile is seen by the next look; and a look changes nothing."""
    with store.read() as connection:
        assert None is journal.cursor(connection, "promotions")
        with other.write() as writing:
            rows.put(writing, tables.cursors, {"name": "promotions"}, {"at": T0})
        assert None is journal.cursor(connection, "promotions")
    assert T0 == cursor(store)
    with pytest.raises(StoreUnusable, match="read-only"), store.read() as connection:
        outbox.set_root(connection, "thread", "C1", "1")


def test_two_processes_that_start_at_once_create_the_tables_once(postgres_url: str) -> None:
    """The second waits for the first, and finds nothing to do."""
    start = "import sys; from watchdog.store.database import Store; Store(sys.argv[1]).migrate()"
    both = [subprocess.Popen([sys.executable, "-c", start, postgres_url]) for _ in range(2)]

    assert [0, 0] == [process.wait(timeout=120) for process in both]
    store = Store(postgres_url)
    assert (HEAD, HEAD) == store.revision()
    with store.read() as connection:
        assert 1 == connection.execute(select(func.count()).select_from(tables.metadata.tables["audit"])).scalar_one()
    store.close()
