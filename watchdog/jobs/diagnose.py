"""
Look upstream, once production got worse, and tell what was found: the provider's status page, the gateway's health, and
what the calls themselves show.

It runs in a thread of its own and after the rollback: what strangers answer late, wrongly or never delays nothing and
decides nothing. All reads happen outside of transactions, side by side, within one budget of time.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from watchdog.core import messages
from watchdog.core.diagnosis import Observed, of_application, of_gateway, of_status_page
from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.core.upstream import Health, StatusReport
from watchdog.core.windows import WINDOW, Summary
from watchdog.jobs.frames import each_of_ours
from watchdog.store import findings, incidents, intakes, outbox, watches
from watchdog.store.claims import prompt_item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.upstream import Finding
    from watchdog.core.watch import Watch
    from watchdog.jobs.deps import Deps
    from watchdog.platforms.protocol import StatusPages

log = logging.getLogger(__name__)

# What is older is history: the provider's page says how it is now.
FRESH = timedelta(hours=1)
# The rollback goes first. One that is stuck for so long may well want to know how the gateway is.
SAGA_FIRST = timedelta(seconds=30)
# The latest calls tell best how it is now.
_LATEST = timedelta(hours=1)
_BEFORE_REVERT = (SagaState.OPEN, SagaState.INTENT, SagaState.SENDING)

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """
    What is to be diagnosed.

    Attributes:
        id: of the watch or incident.
        n: 1 for the first look, 2 for the one after a revert that did not help.
        calls_of: whose calls are looked at: the watch's id for the candidate's, the incident's for those of the
            version that was put back.
    """

    id: str
    n: int
    watch: Watch
    provider: str
    calls_of: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """
    What was found out outside.

    Attributes:
        pages: by provider, in lower case.
        health: None where the platform has no such endpoint.
    """

    pages: Mapping[str, StatusReport]
    health: Health | None


def run(deps: Deps, now: datetime) -> int:
    """
    Diagnose what is due: fresh incidents once the rollback is through, recoveries that failed, and watches whose
    verdict is UPSTREAM.

    Returns: how many threads were told.
    Raises: StoreError.
    """
    with deps.store.read() as connection:
        subjects = [s for s in _due(connection, now) if deps.claims.ours(prompt_item(s.watch.prompt_id))]
    if not subjects:
        return 0
    seen = _look(deps, {subject.provider for subject in subjects})
    return each_of_ours(
        deps, subjects, lambda s: s.watch.prompt_id, lambda s: _tell(deps, s, seen, now), action="diagnose_failed"
    )


def of_watches(deps: Deps, thread: str, watch_ids: Iterable[str], now: datetime) -> int:
    """
    Diagnose several watches at once, such as those that a fleet-wide hold is about; never call it in a transaction.

    Args:
        thread: in which people have been told of it, at most 60 characters; told once, whenever it is called.

    Returns: how many threads were told: 1 or 0.
    Raises: StoreError.
    """
    with deps.store.read() as connection:
        told = findings.was_told(connection, thread, 1)
        subjects = [s for watch_id in watch_ids for s in _of_watch(connection, watch_id)]
    if told or not subjects:
        return 0
    seen = _look(deps, {subject.provider for subject in subjects})
    return _tell_all(deps, thread, 1, subjects, seen, now)


def _due(connection: Connection, now: datetime) -> list[Subject]:
    since = now - FRESH
    found = [_of_incident(connection, i, 1) for i in findings.opened_undiagnosed(connection, since=since)]
    found += [_of_incident(connection, i, 2) for i in findings.upstream_undiagnosed(connection, since=since)]
    due = [subject for subjects in found for subject in subjects if _saga_is_through(connection, subject, now)]
    for watch_id in findings.watches_undiagnosed(connection):
        due += _of_watch(connection, watch_id)
    return due


def _of_incident(connection: Connection, incident_id: str, n: int) -> list[Subject]:
    incident = incidents.find_incident(connection, incident_id)
    watch = watches.find_watch(connection, incident.watch_id) if incident else None
    if incident is None or watch is None:
        return []
    provider = findings.provider_of(connection, watch.id)
    after = incident.recovery is Recovery.UPSTREAM_SUSPECTED
    calls_of = incident.id if after else watch.id
    return [Subject(id=incident.id, n=n, watch=watch, provider=provider, calls_of=calls_of)]


def _of_watch(connection: Connection, watch_id: str) -> list[Subject]:
    watch = watches.find_watch(connection, watch_id)
    if watch is None:
        return []
    provider = findings.provider_of(connection, watch_id)
    return [Subject(id=watch_id, n=1, watch=watch, provider=provider, calls_of=watch_id)]


def _saga_is_through(connection: Connection, subject: Subject, now: datetime) -> bool:
    incident = incidents.find_incident(connection, subject.id)
    if incident is None:
        return False
    return incident.state not in _BEFORE_REVERT or not timedelta(0) <= now - incident.opened_at < SAGA_FIRST


def _look(deps: Deps, providers: set[str]) -> Seen:
    """Everybody is asked at once; who has not answered within the budget has not been found out."""
    asked = _pages_of(deps.status_pages, providers)
    reports = {name: _aside(partial(_page, deps.status_pages, name)) for name in asked}
    health = _aside(deps.platform.health)
    everybody: list[Future[Any]] = [*reports.values(), health]
    wait(everybody, timeout=deps.look_budget_s)
    late = f"no answer within {deps.look_budget_s:g} s"
    pages = {
        name.casefold(): _answer(
            report, StatusReport(provider=name, trouble=None, problem=f"could not be read: {late}")
        )
        for name, report in reports.items()
    }
    return Seen(
        pages={name: page for name, page in pages.items() if page is not None},
        health=_answer(health, Health(well=None, said=late)),
    )


def _pages_of(pages: StatusPages | None, providers: set[str]) -> tuple[str, ...]:
    """Whose page is to be read; all of them where it is not known whom a prompt's calls go to."""
    if pages is None:
        return ()
    wanted = {provider.casefold() for provider in providers}
    return tuple(name for name in pages.providers if "" in wanted or name.casefold() in wanted)


def _page(pages: StatusPages | None, provider: str) -> StatusReport | None:
    return None if pages is None else pages.look(provider)


def _aside(ask: Callable[[], AnswerT]) -> Future[AnswerT]:
    """
    In a thread that nobody waits for: a name that does not resolve holds its caller for as long as the system likes,
    and a pool's threads hold the end of the process.
    """
    future: Future[AnswerT] = Future()

    def answer() -> None:
        try:
            future.set_result(ask())
        except Exception as exc:
            log.exception("looking upstream failed unexpectedly", extra={"action": "look_failed"})
            future.set_exception(exc)

    threading.Thread(target=answer, name="upstream", daemon=True).start()
    return future


def _answer(future: Future[AnswerT], otherwise: AnswerT) -> AnswerT:
    """What was answered, or what is to be said where nothing was."""
    if not future.done() or future.exception() is not None:
        return otherwise
    return future.result()


def _tell(deps: Deps, subject: Subject, seen: Seen, now: datetime) -> int:
    return _tell_all(deps, subject.id, subject.n, [subject], seen, now)


def _tell_all(deps: Deps, thread: str, n: int, subjects: list[Subject], seen: Seen, now: datetime) -> int:
    """The findings and their notice, together and once."""
    with deps.store.read() as connection:
        found = _findings(connection, subjects, seen, now)
    with deps.store.write() as connection:
        told = outbox.parcels(connection, thread=thread)
        if not told or not outbox.put(connection, messages.diagnosis(told[-1].notice, found, n, now)):
            return 0
        for subject in subjects:
            findings.add_findings(connection, subject.id, found)
    log.info(
        "looked upstream",
        extra={"action": "diagnosed", "subject": thread, "findings": {f.source: f.trouble for f in found}},
    )
    deps.bell.sender.set()
    return 1


def _findings(connection: Connection, subjects: list[Subject], seen: Seen, now: datetime) -> list[Finding]:
    providers = {subject.provider.casefold() for subject in subjects}
    found = [of_status_page(page, now) for name, page in seen.pages.items() if "" in providers or name in providers]
    if seen.health is not None:
        found.append(of_gateway(seen.health, now))
    return found + [_application(connection, subject, now, alone=len(subjects) == 1) for subject in subjects]


def _application(connection: Connection, subject: Subject, now: datetime, *, alone: bool) -> Finding:
    """
    Args:
        alone: the thread is about this prompt only, so that nobody has to be told which it is.
    """
    watch = subject.watch
    baseline = watches.find_baseline(connection, watch.id)
    before = None
    if baseline is not None:
        span = baseline.until_at - baseline.from_at
        before = Observed(calls=baseline.summary, span=span)
    label = watch.candidate_label if subject.calls_of == watch.id else watch.control_label
    observed = _observed(connection, subject, label if alone else f"{watch.prompt_slug} {label}")
    return of_application(before, observed, now)


def _observed(connection: Connection, subject: Subject, label: str) -> Observed:
    """The latest calls as they were judged, and the time in which they were made."""
    watch = subject.watch
    intake = intakes.find_intake(connection, subject.calls_of)
    began = watch.first_call_at if subject.calls_of == watch.id else (intake.started_from if intake else None)
    until = intake.sealed_until if intake else None
    if began is None or until is None or until <= began:
        return Observed(calls=Summary(), span=timedelta(0), label=label)
    since = max(began - WINDOW, until - _LATEST)
    calls = Summary()
    for _, window in intakes.windows_between(connection, subject.calls_of, since=since, until=until):
        calls = calls.merge(window)
    return Observed(calls=calls, span=until - max(began, since), label=label)
