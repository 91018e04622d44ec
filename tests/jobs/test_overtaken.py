"""
Somebody else was first: each step of a rollback is left alone then, and nothing is sent.

On the simulated platform, which costs no connections; what overtakes comes while the platform is being asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.builders import incident, reading, rule_set, saga, watch
from tests.jobs.meddling import Meddling
from tests.simulation.clock import Calendar, DaemonClock
from tests.simulation.faults import Fault
from tests.simulation.machine import ToldWeather
from tests.simulation.platform import Production, SimulatedPlatform
from tests.simulation.slack import SimulatedSlack
from tests.simulation.traffic import Behaviour, Source, Traffic
from tests.sqlite import empty_database
from watchdog.core.guards import Limits
from watchdog.core.incident import Incident, Recovery
from watchdog.core.notice import Notice, Tone
from watchdog.core.policy import Countdown, Revert, Suggest
from watchdog.core.promotion import Standing as Known
from watchdog.core.promotion import undo_id
from watchdog.core.rollback import SagaState
from watchdog.core.terms import Terms
from watchdog.core.watch import WatchState
from watchdog.jobs import advance, countdown, guarding, opening, send, undoing
from watchdog.jobs.cancelling import cancel
from watchdog.jobs.deps import Deps, Policy, Standing
from watchdog.store import incidents, journal, outbox, tables, watches
from watchdog.store.database import Store
from watchdog.store.outbox import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchdog.core.model import Promotion

_SOURCE = Source(index=0, per_s=0.0, usual_ms=500.0, spread=0.3, usual_failing=0.0)
_MINUTE = timedelta(minutes=1)


@dataclass
class Scene:
    """A prompt whose bad version v2 was promoted over v1, and a daemon that is about to do something about it."""

    store: Store
    platform: SimulatedPlatform
    slack: SimulatedSlack
    weather: ToldWeather
    calendar: Calendar
    bad: Promotion
    deps: Deps

    def stands(self, state: SagaState, **given: object) -> Incident:
        """The incident, in this state, with its watch."""
        begun = saga(
            state,
            id="incident-1",
            bad_promotion_id=self.bad.id,
            bad_promoted_at=self.bad.at,
            settle=timedelta(seconds=30),
            **given,
        )
        made = incident(
            state, saga=begun, watch_id=self.watch().id, next_at=self.calendar.now, opened_at=self.calendar.now
        )
        with self.store.write() as connection:
            journal.record_promotion(connection, self.bad, Known.ON_WATCH)
            watches.open_watch(connection, self.watch(), rule_set())
            incidents.open_incident(connection, made)
        return made

    def watch(self):
        return watch(WatchState.TRIPPED, promotion=self.bad, opened_at=self.bad.at, control_until=self.bad.at)

    def now(self) -> Incident:
        with self.store.read() as connection:
            found = incidents.find_incident(connection, "incident-1")
        assert found is not None
        return found

    def overtaken_at(self, call: str) -> None:
        """Another process touches the incident while ours asks the platform."""

        def touch() -> None:
            with self.store.write() as connection:
                incidents.postpone(connection, self.now_of(connection), self.calendar.now)

        self.deps = replace(self.deps, platform=Meddling(self.platform, call, touch))

    def now_of(self, connection) -> Incident:
        found = incidents.find_incident(connection, "incident-1")
        assert found is not None
        return found

    def advance(self) -> int:
        return advance.run(self.deps, self.calendar.now)

    def own(self) -> list[str]:
        return [e.promotion.to_version_id for e in self.platform.log if e.sent_at is not None]

    def told(self) -> list[str]:
        with self.store.read() as connection:
            return [parcel.key for parcel in outbox.parcels(connection)]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    from tests.builders import T0

    calendar = Calendar(T0 - timedelta(days=1))
    clock = DaemonClock(calendar)
    weather = ToldWeather(np.random.default_rng(1))
    platform = SimulatedPlatform(calendar, clock, Traffic(1), weather)
    platform.add(
        Production(
            id="support", slug="support-reply", source=_SOURCE, behaviours={v: Behaviour() for v in ("v1", "v2")}
        )
    )
    platform.human_promotes("support", "v1", "ana")
    calendar.advance_to(T0)
    bad = platform.human_promotes("support", "v2", "ana")
    calendar.advance_to(T0 + _MINUTE)
    (tmp_path / "watch.db").write_bytes(empty_database())
    store = Store(f"sqlite:///{tmp_path / 'watch.db'}")
    slack = SimulatedSlack(calendar, weather)
    policy = Policy(rules=rule_set(), terms=Terms())
    deps = Deps(store=store, platform=platform, notifier=slack, clock=clock, standing=Standing(policy=policy), reads=1)
    yield Scene(store=store, platform=platform, slack=slack, weather=weather, calendar=calendar, bad=bad, deps=deps)
    store.close()


def test_undisturbed_the_revert_is_made(scene: Scene) -> None:
    """Or the others would show nothing."""
    scene.stands(SagaState.INTENT)
    for _ in range(4):
        scene.advance()
        scene.calendar.pass_by(timedelta(seconds=3))

    assert (["v1"], SagaState.DONE) == (scene.own(), scene.now().state)


def test_an_intent_that_another_process_took_is_not_sent(scene: Scene) -> None:
    """Its row differs from the one that was looked at."""
    scene.stands(SagaState.INTENT)
    scene.overtaken_at("promotions")

    assert 0 == scene.advance()
    assert ([], SagaState.INTENT) == (scene.own(), scene.now().state)


@pytest.mark.parametrize("state", [SagaState.PROMOTED, SagaState.SENDING])
def test_what_was_found_out_is_recorded_by_one(scene: Scene, state: SagaState) -> None:
    """The other one has it."""
    scene.stands(state, attempt=1, sent_at=scene.calendar.now, promoted_at=scene.calendar.now)
    scene.platform.human_promotes("support", "v1", "bob")
    scene.calendar.pass_by(_MINUTE)
    scene.overtaken_at("promotions")

    assert 0 == scene.advance()
    assert (state, []) == (scene.now().state, scene.told())


def test_a_countdown_that_another_process_took_is_not_counted_out_twice(scene: Scene) -> None:
    """No intent, no notice."""
    scene.stands(SagaState.COUNTDOWN, due_at=scene.calendar.now)
    scene.overtaken_at("promotions")

    assert 0 == scene.advance()
    assert (SagaState.COUNTDOWN, []) == (scene.now().state, scene.told())


@pytest.mark.parametrize("state", [SagaState.INTENT, SagaState.COUNTDOWN])
def test_a_guard_that_refuses_is_recorded_by_one(scene: Scene, state: SagaState) -> None:
    """And nothing is sent by either."""
    from watchdog.core.holds import Source as Where
    from watchdog.core.holds import Thrown

    scene.stands(state, due_at=scene.calendar.now)
    scene.overtaken_at("promotions")
    switch = Thrown(source=Where.FILE, where="the file hold", why="")
    scene.deps = replace(scene.deps, thrown=lambda: (switch,))
    scene.advance()

    assert ([], state, []) == (scene.own(), scene.now().state, scene.told())


@pytest.mark.parametrize("fault", [Fault.NOT_SENT, Fault.BUSY])
def test_a_request_that_did_not_leave_is_recorded_by_one(scene: Scene, fault: Fault) -> None:
    """Who was overtaken between the request and its record leaves the row as it is."""
    scene.stands(SagaState.INTENT)
    scene.overtaken_at("promote")
    scene.weather.platform_next = [Fault.NONE, Fault.NONE, fault]

    assert 0 == scene.advance()
    assert ([], SagaState.SENDING) == (scene.own(), scene.now().state)


def test_long_after_it_was_wanted_people_are_told_that_it_cannot_be_sent(scene: Scene) -> None:
    """Once, however often it is tried."""
    begun = scene.stands(SagaState.INTENT)
    scene.calendar.pass_by(timedelta(minutes=10))
    for _ in range(3):
        scene.weather.platform_next = [Fault.NONE, Fault.NONE, Fault.NOT_SENT]
        scene.advance()
        scene.calendar.pass_by(_MINUTE)

    assert SagaState.INTENT is scene.now().state
    assert 1 == len([key for key in scene.told() if key.startswith(begun.id)])


@pytest.mark.parametrize("fault", [Fault.NOT_SENT, Fault.LOST, Fault.GARBAGE])
def test_a_platform_that_cannot_be_seen_for_long_is_told(scene: Scene, fault: Fault) -> None:
    """And production waits; nothing is sent blindly."""
    scene.stands(SagaState.INTENT)
    scene.calendar.pass_by(timedelta(minutes=10))
    scene.weather.platform_next = [fault]
    scene.advance()

    assert ([], SagaState.INTENT, 1) == (scene.own(), scene.now().state, len(scene.told()))


def test_a_cancellation_that_comes_second_changes_nothing(scene: Scene) -> None:
    """Nobody is told of it."""
    before = scene.stands(SagaState.HELD)
    with scene.store.write() as connection:
        incidents.postpone(connection, before, scene.calendar.now)
        assert not cancel(scene.deps, connection, before, "cancelled by ana", scene.calendar.now)

    assert ([], SagaState.HELD) == (scene.told(), scene.now().state)


def test_a_cancelled_revert_of_a_watch_that_is_over_judges_nothing_on(scene: Scene) -> None:
    """It is told, and that is all."""
    scene.stands(SagaState.HELD)
    with scene.store.write() as connection:
        standing = watches.find_watch(connection, scene.watch().id)
        assert standing is not None
        over = WatchState.SUPERSEDED
        watches.change_state(connection, standing, over, event="superseded", at=scene.calendar.now, detail="over")
    with scene.store.write() as connection:
        assert cancel(scene.deps, connection, scene.now_of(connection), "cancelled by ana", scene.calendar.now)
        after = watches.find_watch(connection, scene.watch().id)

    assert SagaState.CANCELLED is scene.now().state
    assert after is not None
    assert over is after.state


def test_a_second_undo_is_not_begun(scene: Scene) -> None:
    """The first one is told, and nobody else's."""
    done = scene.stands(SagaState.DONE, attempt=1, sent_at=scene.calendar.now, promoted_at=scene.calendar.now)
    with scene.store.write() as connection:
        assert undoing.begin(scene.deps, connection, done, "ana", "ana asked", scene.calendar.now)
        assert not undoing.begin(scene.deps, connection, done, "bob", "bob asked", scene.calendar.now)
        undo = incidents.find_incident(connection, undo_id(done.id))

    assert undo is not None
    assert ("ana", SagaState.INTENT, 1) == (undo.asked_by, undo.state, len(scene.told()))
    # As old as can be told: a minute before our request, and not before the bad promotion.
    assert max(scene.bad.at, scene.calendar.now - _MINUTE) == undo.saga.bad_promoted_at


def test_an_undo_of_what_was_never_sent_goes_by_the_bad_promotion(scene: Scene) -> None:
    """No time of ours is known; and whose revert it was may be gone."""
    done = scene.stands(SagaState.DONE)
    with scene.store.write() as connection:
        undoing.begin(scene.deps, connection, done, "ana", "ana asked", scene.calendar.now)
        undo = incidents.find_incident(connection, undo_id(done.id))
        assert undo is not None
        connection.execute(tables.incidents.delete().where(tables.incidents.c.id == done.id))
        promoted = replace(undo, saga=replace(undo.saga, state=SagaState.PROMOTED))
        undoing.put_back(connection, promoted, "found", scene.calendar.now)

    assert scene.bad.at == undo.saga.bad_promoted_at


def test_a_promotion_that_has_an_incident_gets_no_second_one(scene: Scene) -> None:
    """Of two looks that find the same, one opens it."""
    with scene.store.write() as connection:
        journal.record_promotion(connection, scene.bad, Known.ON_WATCH)
        watches.open_watch(connection, replace(scene.watch(), state=WatchState.WATCHING), rule_set())
        for _ in range(2):
            decided = Revert(readings=(reading(),), target_version_id="v1")
            guards = guarding.counts(scene.deps, connection, scene.watch(), "v1", scene.calendar.now)
            versions = (), "http://127.0.0.1/"
            opening.begin(scene.deps, connection, scene.watch(), decided, guards, versions, scene.calendar.now)
        everything = incidents.all_incidents(connection)

    assert [SagaState.INTENT] == [i.state for i in everything]
    assert 1 == len(scene.told())


def test_a_countdown_without_calls_to_judge_it_by_goes_on(scene: Scene) -> None:
    """It is not cancelled by what nobody can see."""
    scene.stands(SagaState.COUNTDOWN, due_at=scene.calendar.now + _MINUTE)

    assert 0 == countdown.run(scene.deps, scene.calendar.now)
    assert SagaState.COUNTDOWN is scene.now().state


def _put(scene: Scene, key: str) -> None:
    notice = Notice(key=key, thread="t", tone=Tone.QUIET, headline="headline", step="step", at=scene.calendar.now)
    with scene.store.write() as connection:
        outbox.put(connection, notice)


def test_a_sender_that_is_overtaken_leaves_the_notice_to_the_other(scene: Scene) -> None:
    """It was marked between the look and the mark."""
    _put(scene, "one")

    def another_takes_it() -> None:
        with scene.store.write() as connection:
            for parcel in outbox.waiting(connection):
                outbox.mark_sending(connection, parcel)

    deps = replace(scene.deps, store=Meddling(scene.store, "write", another_takes_it))  # type: ignore[arg-type]

    assert 0 == send.run(deps, scene.calendar.now)
    assert [] == scene.slack.messages


def test_a_root_that_was_posted_anew_is_remembered(scene: Scene) -> None:
    """The thread goes on below the newest one."""
    with scene.store.write() as connection:
        outbox.set_root(connection, "t", "C1", "1.0")
        outbox.set_root(connection, "t", "C2", "2.0")
        assert ("C2", "2.0") == outbox.root_of(connection, "t")


def test_the_latest_notice_of_a_kind_is_found_by_how_its_key_begins(scene: Scene) -> None:
    """By the letters themselves: a percent sign is no wildcard."""
    for key in ("blind:1", "blind:2", "seeing:1"):
        _put(scene, key)
    with scene.store.read() as connection:
        found = outbox.last_of(connection, "blind:")
        assert outbox.last_of(connection, "bl%") is None

    assert found is not None
    assert ("blind:2", Delivery.NEW) == (found.key, found.state)


def test_a_notice_that_no_attempt_can_deliver_is_given_up(scene: Scene) -> None:
    """Whatever may have arrived is looked for; what cannot have is sent anew."""
    for fault, state in (
        (Fault.NOT_SENT, Delivery.NEW),
        (Fault.LOST, Delivery.SENDING),
        (Fault.BUSY, Delivery.SENDING),
    ):
        if not scene.told():
            _put(scene, "one")
        scene.weather.slack_next = [fault]
        assert 0 == send.run(scene.deps, scene.calendar.now)
        with scene.store.read() as connection:
            assert state is outbox.parcels(connection)[0].state
        scene.calendar.pass_by(timedelta(minutes=6))

    assert 1 == send.run(scene.deps, scene.calendar.now)
    assert ["one"] == [message.key for message in scene.slack.messages]


def test_a_recovery_moves_on_by_one(scene: Scene) -> None:
    """And only a change of it is an event."""
    before = scene.stands(SagaState.DONE)
    now = scene.calendar.now
    with scene.store.write() as connection:
        assert incidents.record_recovery(connection, before, Recovery.VERIFYING, at=now, why="waiting", until=now)
        assert not incidents.record_recovery(connection, before, Recovery.RECOVERED, at=now, why="back")
        verifying = scene.now_of(connection)
        assert incidents.record_recovery(connection, verifying, Recovery.VERIFYING, at=now, why="still waiting")
        assert [before.id] == [i.id for i in incidents.in_recovery(connection, Recovery.VERIFYING)]
        assert [] == [i.id for i in incidents.undos_of(connection, before.id)]

    assert (Recovery.VERIFYING, "still waiting", None) == (
        scene.now().recovery,
        scene.now().recovery_reason,
        scene.now().closed_at,
    )


@pytest.mark.parametrize(
    ("limits", "decision", "state"),
    [
        (Limits(), Countdown, SagaState.COUNTDOWN),
        (Limits(per_hour=0), Countdown, SagaState.HELD),
        (Limits(oldest_target=timedelta(0)), Revert, SagaState.AWAIT_APPROVAL),
        (Limits(), Suggest, SagaState.AWAIT_APPROVAL),
    ],
    ids=["it counts down", "a guard refuses", "the target is old", "it only suggests"],
)
def test_what_a_verdict_becomes(scene: Scene, limits: Limits, decision: Any, state: SagaState) -> None:
    """By the rule's action and the guards."""
    scene.deps.standing.policy = Policy(rules=rule_set(), terms=replace(Terms(), limits=limits))
    with scene.store.write() as connection:
        standing = replace(scene.watch(), state=WatchState.WATCHING)
        journal.record_promotion(connection, scene.bad, Known.ON_WATCH)
        watches.open_watch(connection, standing, rule_set())
        decided = decision(readings=(reading(),), target_version_id="v1")
        asked = not isinstance(decided, Suggest)
        guards = guarding.counts(scene.deps, connection, standing, "v1", scene.calendar.now) if asked else None
        opening.begin(scene.deps, connection, standing, decided, guards, ((), ""), scene.calendar.now)
        (opened,) = incidents.all_incidents(connection)

    assert state is opened.state
    assert (opened.saga.due_at is not None) is (state is SagaState.COUNTDOWN)
