"""Findings come back as they went in, and whose turn it is is known from what people were told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, T0, incident, promotion, rule_set, saga, watch
from watchdog.core.incident import Recovery
from watchdog.core.notice import Notice, Tone
from watchdog.core.promotion import Standing, incident_id
from watchdog.core.rollback import SagaState
from watchdog.core.upstream import Finding, diagnosis_key
from watchdog.core.watch import Verdict, WatchState
from watchdog.store import findings, incidents, journal, outbox, watches
from watchdog.store.tables import watches as watches_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from watchdog.core.incident import Incident
    from watchdog.core.watch import Watch
    from watchdog.store.database import Store

HOUR = timedelta(hours=1)


def finding(source: str = "gateway", trouble: bool | None = False, at: object = T0) -> Finding:
    return Finding(source=source, trouble=trouble, line=f"{source}: é \U0001f525", at=at)  # type: ignore[arg-type]


def opened(connection: Connection, to: str = "v2", **given: object) -> Watch:
    moved = promotion(to)
    fresh = watch(promotion=moved, **given)
    journal.record_promotion(connection, moved, Standing.ON_WATCH)
    watches.open_watch(connection, fresh, rule_set())
    return fresh


def in_trouble(connection: Connection, to: str = "v2", state: SagaState = SagaState.DONE, **given: object) -> Incident:
    of = opened(connection, to)
    bad = of.promotion
    moved = saga(state, id=incident_id(bad), bad_promotion_id=bad.id, bad_version_id=to)
    found = replace(incident(), saga=moved, watch_id=of.id, **given)  # type: ignore[arg-type]
    incidents.open_incident(connection, found)
    return found


def tell(connection: Connection, thread: str, key: str) -> None:
    outbox.put(connection, Notice(key=key, thread=thread, tone=Tone.QUIET, headline="h", step="s", at=T0))


def test_findings_come_back_as_they_went_in(any_store: Store) -> None:
    """In their order, with what could not be found out as such; those of others are others'."""
    found = (finding("status:openai", True), finding("application", None), finding("gateway", False, T0 + MINUTE))

    with any_store.write() as connection:
        findings.add_findings(connection, "one", found[:2])
        findings.add_findings(connection, "other", [finding()])
        findings.add_findings(connection, "one", found[2:])
        findings.add_findings(connection, "one", [])

    with any_store.read() as connection:
        assert found == findings.findings_of(connection, "one")
        assert () == findings.findings_of(connection, "nobody")


def test_a_fresh_incident_is_due_until_people_were_told(any_store: Store) -> None:
    """Once, and not when it is history."""
    with any_store.write() as connection:
        fresh = in_trouble(connection)

        assert (fresh.id,) == findings.opened_undiagnosed(connection, since=T0)
        assert () == findings.opened_undiagnosed(connection, since=T0 + MINUTE)

        tell(connection, fresh.id, f"{fresh.id}:tripped")
        assert (fresh.id,) == findings.opened_undiagnosed(connection, since=T0)

        tell(connection, fresh.id, diagnosis_key(fresh.id, 1))
        assert findings.was_told(connection, fresh.id, 1)
        assert not findings.was_told(connection, fresh.id, 2)
        assert () == findings.opened_undiagnosed(connection, since=T0)


@pytest.mark.parametrize("recovery", Recovery)
def test_an_incident_that_is_over_is_not_due(any_store: Store, recovery: Recovery) -> None:
    """Where a human acted first, or the numbers came back, there is nothing to find."""
    with any_store.write() as connection:
        fresh = in_trouble(connection, recovery=recovery)
        in_trouble(connection, "v3", SagaState.SUPERSEDED, recovery=recovery)

        due = findings.opened_undiagnosed(connection, since=T0)

    over = (Recovery.RECOVERED, Recovery.UPSTREAM_SUSPECTED, Recovery.UNVERIFIED)
    assert (() if recovery in over else (fresh.id,)) == due


@pytest.mark.parametrize("recovery", Recovery)
def test_a_recovery_that_failed_is_due_a_second_time(any_store: Store, recovery: Recovery) -> None:
    """Only such a one, and once."""
    with any_store.write() as connection:
        fresh = in_trouble(connection, recovery=recovery, closed_at=T0 + HOUR)
        tell(connection, fresh.id, diagnosis_key(fresh.id, 1))

        expected = (fresh.id,) if recovery is Recovery.UPSTREAM_SUSPECTED else ()
        assert expected == findings.upstream_undiagnosed(connection, since=T0 + HOUR)
        assert () == findings.upstream_undiagnosed(connection, since=T0 + 2 * HOUR)

        tell(connection, fresh.id, diagnosis_key(fresh.id, 2))
        assert () == findings.upstream_undiagnosed(connection, since=T0)


def test_a_watch_whose_verdict_is_upstream_is_due_once_people_know_of_it(any_store: Store) -> None:
    """Its thread must have begun; other verdicts, and watches that have ended, are not due."""
    with any_store.write() as connection:
        upstream = opened(connection, verdict=Verdict.UPSTREAM)
        others = [
            opened(connection, "v3", verdict=Verdict.REGRESSED),
            opened(connection, "v4", verdict=Verdict.UPSTREAM, state=WatchState.SUPERSEDED),
        ]
        assert () == findings.watches_undiagnosed(connection)

        for told in (upstream, *others):
            tell(connection, told.id, f"{told.id}:upstream")
        assert (upstream.id,) == findings.watches_undiagnosed(connection)

        tell(connection, upstream.id, diagnosis_key(upstream.id, 1))
        assert () == findings.watches_undiagnosed(connection)


def test_the_provider_of_a_watch_is_known_where_it_was_kept(any_store: Store) -> None:
    """Empty before."""
    with any_store.write() as connection:
        fresh = opened(connection)
        assert "" == findings.provider_of(connection, fresh.id)
        assert "" == findings.provider_of(connection, "nobody")

        connection.execute(watches_table.update().values(provider="OpenAI"))
        assert "OpenAI" == findings.provider_of(connection, fresh.id)
