"""Peers in the database: frozen once, they only ever leave, and their feeds are shared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.builders import MINUTE, T0, call, incident, promotion, rule_set, watch
from tests.store.test_rows import intake, opened
from watchdog.core.incident import Recovery
from watchdog.core.peers import Peer
from watchdog.core.promotion import Standing, watch_id
from watchdog.core.rollback import Event, SagaState
from watchdog.core.watch import WatchState
from watchdog.core.windows import summarise
from watchdog.store import incidents, intakes, journal, peers, watches

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from watchdog.core.watch import Watch
    from watchdog.store.database import Store


def peer(prompt: str = "billing", **given: object) -> Peer:
    values: dict[str, object] = {
        "prompt_id": prompt,
        "slug": prompt,
        "version_id": "v7",
        "provider": "openai",
        "model": "m",
        "calls_per_hour": 120.5,
        "feed": f"{peers.FEED}{prompt}",
        "baseline": summarise([call(1), call(2, ok=False)]),
        "joined_at": T0,
    }
    return Peer(**{**values, **given})  # type: ignore[arg-type]


def another(connection: Connection) -> Watch:
    """A second watch, of another promotion."""
    moved = promotion("v9", prompt_id="other")
    fresh = watch(promotion=moved, id=watch_id(moved), prompt_id="other")
    journal.record_promotion(connection, moved, Standing.ON_WATCH)
    watches.open_watch(connection, fresh, rule_set())
    return fresh


def test_peers_come_back_as_they_went_in_and_are_frozen_once(any_store: Store) -> None:
    """By watch, in a fixed order; a second freezing changes nothing."""
    with any_store.write() as connection:
        ours, theirs = opened(connection), another(connection)
        peers.add_peers(connection, ours.id, [peer("search"), peer("billing")])
        peers.add_peers(connection, ours.id, [peer("billing", calls_per_hour=1.0)])
        peers.add_peers(connection, theirs.id, [peer("search")])

    with any_store.read() as connection:
        assert (peer("billing"), peer("search")) == peers.peers_of(connection, ours.id)
        assert (peer("search"),) == peers.peers_of(connection, theirs.id)
        assert () == peers.peers_of(connection, "nobody")


def test_a_peer_leaves_once(any_store: Store) -> None:
    """The first reason stays."""
    with any_store.write() as connection:
        ours = opened(connection)
        peers.add_peers(connection, ours.id, [peer("billing"), peer("search")])

        assert peers.leave(connection, ours.id, "billing", at=T0 + MINUTE, why="was promoted itself")
        assert not peers.leave(connection, ours.id, "billing", at=T0, why="other")
        assert {"billing": (T0 + MINUTE, "was promoted itself"), "search": (None, "")} == peers.departures(
            connection, ours.id
        )
        assert ["search"] == [place.prompt_id for place in peers.places(connection)]
        assert {f"{peers.FEED}search"} == peers.feeds_for(connection, [ours.id])
        assert frozenset() == peers.feeds_for(connection, [])


def test_an_open_feed_that_began_early_enough_is_shared(any_store: Store) -> None:
    """Of the same prompt and version only."""
    with any_store.write() as connection:
        feed = replace(intake(f"{peers.FEED}one"), prompt_id="billing", version_id="v7")
        intakes.open_intake(connection, feed)
        intakes.open_intake(connection, replace(intake("watch"), prompt_id="billing", version_id="v7"))

        assert feed.owner == peers.feed_of(connection, "billing", "v7", since=T0)
        assert feed.owner == peers.feed_of(connection, "billing", "v7", since=T0 + MINUTE)
        assert peers.feed_of(connection, "billing", "v7", since=T0 - MINUTE) is None
        assert peers.feed_of(connection, "billing", "v8", since=T0) is None
        assert {feed.owner} == peers.open_feeds(connection)
        intakes.close_intake(connection, feed.owner)
        assert peers.feed_of(connection, "billing", "v7", since=T0) is None
        assert frozenset() == peers.open_feeds(connection)


def test_a_feed_is_in_use_while_a_watch_goes_on_or_its_recovery_is_verified(any_store: Store) -> None:
    """Not while an incident waits for a human, be it for days."""
    with any_store.write() as connection:
        ours = opened(connection)
        peers.add_peers(connection, ours.id, [peer()])
        assert {peer().feed} == peers.feeds_in_use(connection)

        watches.change_state(connection, ours, WatchState.TRIPPED, event="tripped", at=T0)
        assert frozenset() == peers.feeds_in_use(connection)

        incidents.open_incident(connection, incident(SagaState.OPEN, watch_id=ours.id))
        assert {peer().feed} == peers.feeds_in_use(connection)

        found = incidents.all_incidents(connection)[0]
        incidents.record(connection, found, Event.HELD, at=T0, why="a guard")
        assert frozenset() == peers.feeds_in_use(connection)

        found = incidents.all_incidents(connection)[0]
        incidents.record_recovery(connection, found, Recovery.VERIFYING, at=T0, why="waiting")
        assert {peer().feed} == peers.feeds_in_use(connection)


def test_an_incident_that_is_held_with_others_says_with_which(any_store: Store) -> None:
    """The reason is kept, and nothing is sent."""
    with any_store.write() as connection:
        ours = opened(connection)
        fresh = incident(SagaState.OPEN, watch_id=ours.id)
        incidents.open_incident(connection, fresh)
        incidents.record(connection, fresh, Event.INTENDED, at=T0, why="worse")
        intended = incidents.all_incidents(connection)[0]

        given = {"at": T0, "why": "3 of 9 prompts tripped", "guard": "fleet"}
        assert incidents.record(connection, intended, Event.HELD, fleet="first", **given)
        held = incidents.all_incidents(connection)[0]
        assert (SagaState.HELD, "first", "3 of 9 prompts tripped") == (held.state, held.fleet, held.recovery_reason)
        assert not incidents.record(connection, intended, Event.HELD, fleet="other", **given)
