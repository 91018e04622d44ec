"""
What must hold whatever happened, from the platform's log and the channel's messages: not from what the daemon believes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchdog.core.guards import DAY, HOUR
from watchdog.core.incident import Incident, Recovery
from watchdog.core.model import ActorType
from watchdog.core.promotion import note_for
from watchdog.core.rollback import MOVING, SagaState
from watchdog.core.watch import OPEN_STATES, Watch
from watchdog.store import incidents, outbox, watches
from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.people import Release
    from tests.simulation.platform import Entry
    from tests.simulation.simulation import Simulation
    from watchdog.store.outbox import Parcel

# From the last look at the history to the request: what lies between are a commit and the way of the request.
_LONGEST_GAP = timedelta(seconds=3)
# After so many calls a version of which half or more fail has long been found, were it judged alone.
_ENOUGH_CALLS = 60


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What is left at the end of a story: the world's own records, and the daemon's."""

    simulation: Simulation
    incidents: dict[str, Incident]
    watches: tuple[Watch, ...]
    parcels: tuple[Parcel, ...]

    @property
    def own(self) -> list[Entry]:
        """The daemon's promotions, from the platform's log."""
        return [e for e in self.simulation.platform.log if e.promotion.actor_type is ActorType.API_TOKEN]

    def incident_of(self, entry: Entry) -> Incident | None:
        return next((i for i in self.incidents.values() if note_for(i.id) == entry.promotion.note), None)

    def before(self, entry: Entry) -> list[Entry]:
        """What stood in this prompt's log when it came, but for double clicks."""
        log, prompt_id = self.simulation.platform.log, entry.promotion.prompt_id
        earlier = (e for e in log[: log.index(entry)] if e.promotion.prompt_id == prompt_id)
        return [e for e in earlier if e.promotion.from_version_id != e.promotion.to_version_id]


def aftermath(simulation: Simulation) -> Aftermath:
    """At the end, when the daemon has closed its database."""
    store = Store(simulation.url)
    try:
        return standing(simulation, store)
    finally:
        store.close()


def standing(simulation: Simulation, store: Store) -> Aftermath:
    """As it is now."""
    with store.read() as connection:
        found = incidents.all_incidents(connection, limit=100_000)
        return Aftermath(
            simulation=simulation,
            incidents={incident.id: incident for incident in found},
            watches=watches.all_watches(connection, limit=100_000),
            parcels=outbox.parcels(connection),
        )


def violations(after: Aftermath) -> list[str]:
    """One sentence each; empty where everything holds."""
    checks = (
        _one_promotion_an_incident,
        _only_what_was_looked_at_just_before,
        _a_human_who_was_gone_over_is_told,
        _targets_are_good,
        _no_more_than_the_guards_allow,
        _everything_came_to_an_end,
        _everybody_was_told_once,
        _no_call_was_counted_twice,
        _severe_harm_was_found,
    )
    return [f"{check.__name__.strip('_')}: {what}" for check in checks for what in check(after)]


def false_reverts(after: Aftermath) -> list[Release]:
    """Harmless versions that the daemon took off production."""
    reverted = {e.revert_of for e in after.own}
    return [r for r in after.simulation.people.releases if r.kind.name == "harmless" and r.promotion.id in reverted]


def at_any_time(after: Aftermath) -> list[str]:
    """Of `violations` those that must hold in the middle of a story as well."""
    checks = (
        _one_promotion_an_incident,
        _only_what_was_looked_at_just_before,
        _a_human_who_was_gone_over_is_told,
        _targets_are_good,
        _no_more_than_the_guards_allow,
        _nobody_was_told_twice,
    )
    return [f"{check.__name__.strip('_')}: {what}" for check in checks for what in check(after)]


def _one_promotion_an_incident(after: Aftermath) -> Iterator[str]:
    for what, counted in (
        ("note", Counter(e.promotion.note for e in after.own)),
        ("promotion that is undone", Counter(e.revert_of for e in after.own)),
    ):
        yield from (f"{n} requests were applied with the {what} {key}" for key, n in counted.items() if n > 1)


def _only_what_was_looked_at_just_before(after: Aftermath) -> Iterator[str]:
    for e in after.own:
        if e.seen != e.revert_of:
            yield f"{e.promotion.id} undoes {e.revert_of}, although the history ended with {e.seen}"
        if e.seen_at is None or e.sent_at is None or e.sent_at - e.seen_at > _LONGEST_GAP:
            yield f"{e.promotion.id} was sent at {e.sent_at}, by what was seen at {e.seen_at}"


def _a_human_who_was_gone_over_is_told(after: Aftermath) -> Iterator[str]:
    """Nobody can keep a human from promoting between the look and the request; but then a human has to be called."""
    for e in after.own:
        last = after.before(e)[-1]
        if last.promotion.id == e.revert_of or last in after.own:
            continue
        incident = after.incident_of(e)
        ended = None if incident is None else incident.state
        if ended in MOVING:
            continue  # it is being found out
        if ended not in (SagaState.NEEDS_HUMAN, SagaState.SUPERSEDED):
            yield f"{e.promotion.id} went over {last.promotion.id}, and its incident is {ended}"


def _targets_are_good(after: Aftermath) -> Iterator[str]:
    for e in after.own:
        earlier = after.before(e)
        if e.promotion.to_version_id not in [x.promotion.to_version_id for x in earlier]:
            yield f"{e.promotion.id} promoted {e.promotion.to_version_id}, which was never on production"
        incident = after.incident_of(e)
        if incident is not None and incident.saga.undo_of:
            continue  # a person wants back what was taken off production
        undone = {x.revert_of for x in earlier if x in after.own}
        fates = [x.promotion.id in undone for x in earlier if x.promotion.to_version_id == e.promotion.to_version_id]
        if fates and fates[-1]:
            yield f"{e.promotion.id} promoted {e.promotion.to_version_id}, which had been reverted itself"


def _no_more_than_the_guards_allow(after: Aftermath) -> Iterator[str]:
    """By when they were opened: what one intent allows may be sent later. What people asked for is not rationed."""
    limits = after.simulation.terms.limits
    automatic = (i for i in (after.incident_of(e) for e in after.own) if i is not None and not i.asked_by)
    begun = [(i.begun_at, i.saga.prompt_id) for i in automatic]
    yield from (f"a revert of {prompt} that no guard counts" for at, prompt in begun if at is None)
    opened = sorted((at, prompt) for at, prompt in begun if at is not None)
    for at, prompt_id in opened:
        for span, most, of in (
            (HOUR, limits.per_hour, None),
            (DAY, limits.per_day, None),
            (limits.cooldown, 1, prompt_id),
        ):
            n = sum(at - span < other <= at and of in (None, p) for other, p in opened)
            if n > most:
                yield f"{n} reverts within {span} until {at}, of {of or 'all prompts'}; at most {most}"


def _everything_came_to_an_end(after: Aftermath) -> Iterator[str]:
    for incident in after.incidents.values():
        if incident.state in MOVING:
            yield f"incident {incident.id} stands in {incident.state.value}"
        if incident.recovery is Recovery.VERIFYING:
            yield f"incident {incident.id} is still being verified"
    yield from (f"watch {w.id} is {w.state.value}" for w in after.watches if w.state in OPEN_STATES)
    yield from (f"notice {p.key} was not sent: {p.error}" for p in after.parcels if p.sent_at is None)


def _nobody_was_told_twice(after: Aftermath) -> Iterator[str]:
    told = Counter(m.key for m in after.simulation.slack.messages)
    yield from (f"{n} messages have the key {key}" for key, n in told.items() if n > 1)
    roots = Counter(m.thread for m in after.simulation.slack.messages if m.root)
    yield from (f"{n} root messages of the thread {thread}" for thread, n in roots.items() if n > 1)


def _everybody_was_told_once(after: Aftermath) -> Iterator[str]:
    yield from _nobody_was_told_twice(after)
    told = {m.key for m in after.simulation.slack.messages}
    yield from (f"nobody was told of {p.key}" for p in after.parcels if p.key not in told)
    roots = {m.thread for m in after.simulation.slack.messages if m.root}
    for e in after.own:
        incident = after.incident_of(e)
        if incident is None:
            yield f"{e.promotion.id} belongs to no incident"
        elif incident.id not in roots and not incident.fleet:
            yield f"nobody was told of incident {incident.id}"


def _no_call_was_counted_twice(after: Aftermath) -> Iterator[str]:
    platform = after.simulation.platform
    for w in after.watches:
        since = w.promotion.not_before - timedelta(minutes=5)
        # By the platform's clock, as the calls are; the daemon's own may have been anything.
        until = w.judged_until or since
        found = platform.calls_of(w.prompt_id, w.candidate_version_id, since=since, until=until + timedelta(minutes=2))
        made = [call for call in found if call.started_at < until]
        if w.candidate.calls > len(made):
            yield f"watch {w.id} counted {w.candidate.calls} calls of {len(made)}"
        failed = sum(not call.ok for call in made)
        if w.candidate.failures > failed:
            yield f"watch {w.id} counted {w.candidate.failures} failures of {failed}"


def _severe_harm_was_found(after: Aftermath) -> Iterator[str]:
    """Where nothing came in between: with calls enough it has an incident, reverted or put before a person."""
    simulation = after.simulation
    found = {i.saga.bad_promotion_id for i in after.incidents.values()}
    for release in simulation.people.releases:
        at, prompt_id = release.promotion.at, release.promotion.prompt_id
        if not release.severe or not release.quiet or release.promotion.id in found:
            continue
        left_at = _left_at(after, release)
        calls = simulation.platform.calls_of(
            prompt_id, release.promotion.to_version_id, since=at, until=min(left_at, at + simulation.terms.length)
        )
        if len(calls) < _ENOUGH_CALLS or _outage_near(simulation, at) or not _had_a_good_version(after, release):
            continue
        yield f"{release.kind.name} on {prompt_id} at {at}: {len(calls)} calls, and no incident"


def _left_at(after: Aftermath, release: Release) -> datetime:
    later = (
        e.promotion.at
        for e in after.simulation.platform.log
        if e.promotion.prompt_id == release.promotion.prompt_id and e.promotion.at > release.promotion.at
    )
    return next(later, after.simulation.calendar.now)


def _outage_near(simulation: Simulation, at: datetime) -> bool:
    near = timedelta(hours=6)
    return any(o.since - near < at < o.until + near for o in simulation.platform.traffic.outages)


def _had_a_good_version(after: Aftermath, release: Release) -> bool:
    """Without a version that is known to be good nothing is ever reverted, and the watch only alerts."""
    watch = next((w for w in after.watches if w.promotion.id == release.promotion.id), None)
    return watch is not None and watch.control_version_id is not None and not watch.why_not_more
