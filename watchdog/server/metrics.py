"""
The metrics, in the text format of Prometheus.

What is true of the store is counted there, so that a restart loses nothing; what only this process knows begins anew
with it. No label holds a name that a user chose: how many series there are does not grow with what is guarded.
"""

from __future__ import annotations

import platform
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from watchdog.core.guards import Guard
from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.core.vitals import why_dead
from watchdog.core.watch import OPEN_STATES, Verdict, WatchState
from watchdog.store.tallies import DELAY_BOUNDS_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from enum import Enum

    from prometheus_client.metrics_core import Metric

    from watchdog.core.vitals import Vitals
    from watchdog.store.tallies import Tally

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_PREFIX = "promptwatch"


def exposition(vitals: Vitals, tally: Tally | None, *, version: str, schema: str) -> bytes:
    """
    Args:
        tally: None where the store could not be read; what it would tell is absent then.
        schema: the revision of the database that this program wants.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(_of_process(vitals, version, schema)))
    registry.register(_Families(_of_store(vitals, tally)))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Families:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> list[Metric]:
        return self._families


def _of_process(vitals: Vitals, version: str, schema: str) -> Iterator[Metric]:
    yield _gauge(
        "build_info",
        "Always 1; which program this is.",
        {(version, platform.python_version(), schema): 1.0},
        ("version", "python", "schema"),
    )
    yield _gauge(
        "up_seconds", "Since this process began to guard, without the time for which it was stopped.", vitals.up_s
    )
    yield _gauge(
        "alive",
        "1 while ticks complete and no thread has ended or hangs, as /healthz says.",
        float(not why_dead(vitals)),
    )
    yield _counter("ticks", "Looks that have completed since this process began.", vitals.looks)
    yield _counter("ticks_overrun", "Looks that took longer than the time between two of them.", vitals.overran)
    if vitals.look_age_s is not None:
        yield _gauge(
            "last_tick_age_seconds", "Since the last look completed, by the monotonic clock.", vitals.look_age_s
        )
    if vitals.sight_age_s is not None:
        yield _gauge(
            "platform_seen_age_seconds",
            "Since promotions were last looked for with success, by the monotonic clock.",
            vitals.sight_age_s,
        )
    if vitals.claims is not None:
        yield _gauge(
            "claims_held",
            "Prompts, and pieces of work about all of them, that this replica has a claim on.",
            float(vitals.claims),
        )
    yield _gauge("stages_failing", "Stages of the last look that failed.", float(len(vitals.failing)))
    yield _histogram(
        "tick_duration_seconds",
        "How long looks took, since this process began.",
        vitals.took.bounds,
        vitals.took.counts,
        vitals.took.total_s,
    )
    yield _gauge(
        "thread_silent_seconds",
        "Since each thread last finished a piece of work, or woke up and found none.",
        {(worker.name,): worker.silent_s for worker in vitals.workers},
        ("thread",),
    )


def _of_store(vitals: Vitals, tally: Tally | None) -> Iterator[Metric]:
    yield _gauge("store_up", "1 where the database could be read for this scrape.", float(tally is not None))
    if tally is None:
        return
    open_states = [state for state in WatchState if state in OPEN_STATES]
    yield _gauge("watches", "Open watches by state.", _of(open_states, tally.watches), ("state",))
    yield _gauge("verdicts", "Open watches by what their numbers say now.", _of(Verdict, tally.verdicts), ("verdict",))
    yield _counter(
        "watches_ended",
        "Watches that have ended, by how; counted in the store.",
        _of([state for state in WatchState if state not in OPEN_STATES], tally.ended),
        ("state",),
    )
    yield _gauge(
        "incidents",
        "Incidents by where their rollback stands; counted in the store.",
        _of(SagaState, tally.incidents),
        ("state",),
    )
    yield _gauge(
        "recoveries",
        "Incidents by what became of the recovery; counted in the store.",
        _of(Recovery, tally.recoveries),
        ("state",),
    )
    yield _histogram(
        "verdict_delay_seconds",
        "From the promoted version's first call to its incident; of all incidents in the store.",
        DELAY_BOUNDS_S,
        tally.delays,
        tally.delay_total_s,
    )
    yield _counter(
        "failed_calls_prevented",
        "Estimate, rather too low: for each revert that was shown to have recovered, the calls of the restored version "
        "while that was verified, times the share of failures of the bad version (lower limit, one standard "
        "deviation), less those that failed all the same. What came after the verification is not "
        "counted, nor what was slow or dear and did not fail.",
        tally.prevented,
    )
    yield from _of_ingest(vitals, tally)
    yield from _of_outbox(vitals, tally)
    yield _counter(
        "guard_refusals",
        "Times that a guard allowed less than a rule wanted, by guard; counted in the store.",
        {(guard.value,): float(tally.refusals.get(guard.value, 0)) for guard in Guard},
        ("guard",),
    )


def _of_ingest(vitals: Vitals, tally: Tally) -> Iterator[Metric]:
    if tally.read_until is not None:
        yield _gauge(
            "ingest_lag_seconds",
            "How far the reading of calls is behind the platform's time, of the watch that is furthest behind. Absent "
            "while nothing is read.",
            _since(tally.read_until, vitals.platform_now),
        )
    yield _gauge("judged_calls", "Calls of open watches that were judged.", float(tally.calls))
    yield _gauge(
        "late_calls",
        "Of these, calls that were recorded after their window had been sealed; they were judged in the next open one.",
        float(tally.late),
    )
    yield _counter("rows_rejected", "Rows of calls that could not be used; counted in the store.", tally.rejected)
    yield _counter(
        "rows_of_other_versions",
        "Calls of versions other than the watched one, which caches still serve; counted in the store.",
        tally.strays,
    )


def _of_outbox(vitals: Vitals, tally: Tally) -> Iterator[Metric]:
    yield _gauge("outbox_notices", "Notices that wait to be delivered.", float(tally.unsent))
    yield _gauge(
        "outbox_oldest_age_seconds",
        "Age of the oldest notice that was not delivered yet; 0 where all were.",
        0.0 if tally.oldest_unsent_at is None else _since(tally.oldest_unsent_at, vitals.now),
    )
    yield _counter("notices_sent", "Notices that were delivered; counted in the store.", tally.sent)
    yield _counter("notices_undeliverable", "Notices that were given up; counted in the store.", tally.undeliverable)


def _of(members: Iterable[Enum], counts: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    """One series for each state, those without any included, so that rates and alerts see them begin."""
    return {(str(member.value),): float(counts.get(str(member.value), 0)) for member in members}


def _since(at: datetime, now: datetime) -> float:
    return max(0.0, (now - at).total_seconds())


def _gauge(
    name: str, text: str, value: float | Mapping[tuple[str, ...], float], labels: tuple[str, ...] = ()
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", text, labels=labels)
    for of, n in _series(value):
        family.add_metric(of, n)
    return family


def _counter(
    name: str, text: str, value: float | Mapping[tuple[str, ...], float], labels: tuple[str, ...] = ()
) -> CounterMetricFamily:
    """Its name ends in `_total` when it is shown."""
    family = CounterMetricFamily(f"{_PREFIX}_{name}", text, labels=labels)
    for of, n in _series(value):
        family.add_metric(of, n)
    return family


def _series(value: float | Mapping[tuple[str, ...], float]) -> Iterable[tuple[tuple[str, ...], float]]:
    return [((), float(value))] if isinstance(value, int | float) else value.items()


def _histogram(
    name: str, text: str, bounds: tuple[float, ...], counts: tuple[int, ...], total: float
) -> HistogramMetricFamily:
    edges = (*(f"{bound:g}" if bound < 1e5 else f"{bound:.0f}" for bound in bounds), "+Inf")
    buckets = list(zip(edges, map(float, accumulate(counts)), strict=True))
    return HistogramMetricFamily(f"{_PREFIX}_{name}", text, buckets=buckets, sum_value=total)
