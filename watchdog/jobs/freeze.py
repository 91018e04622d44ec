"""
Freeze the control: the last known-good version's calls before it left production, read once, inserted once.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchdog.core import watch_messages, words
from watchdog.core.lens import known_segments
from watchdog.core.watch import Watch, WatchState
from watchdog.core.windows import BLOCK, Summary, lag_for, summarise, summarise_feedback, window_start
from watchdog.errors import PlatformError, Refused
from watchdog.jobs import peers, quieting
from watchdog.jobs.draft import Draft
from watchdog.jobs.frames import each_of_ours
from watchdog.jobs.trouble import clear_trouble, note_trouble
from watchdog.store import intakes, outbox, watches
from watchdog.store.watches import Baseline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

# More calls than this add nothing that a test could use, and the newest are the likest.
ENOUGH_CALLS = 200_000
_CHUNK = timedelta(hours=1)
# Seconds that one tick may spend on reading; the other watches, and the supervision, must have their turn.
_BUDGET_S = 20.0
# What a log may answer about a time that it has forgotten.
_BEYOND_RETENTION = frozenset({400, 404, 410, 416, 422})
# A row or two that cannot be read is a curiosity; a tenth is a reason not to trust the rest.
_TOLERATED_REJECTS = 0.1


def control_owner(watch: Watch) -> str:
    """The control's blocks stand under this name beside the candidate's windows."""
    return f"{watch.id}:control"


def run(deps: Deps, now: datetime) -> int:
    """
    Returns: how many watches got their baseline.
    Raises: StoreError.
    """
    with deps.store.read() as connection:
        waiting = [w for w in watches.open_watches(connection) if w.state is WatchState.FREEZING]
    began_s = deps.clock.monotonic()

    def work(watch: Watch) -> bool:
        # Many promotions at once: whoever has no turn any more in this tick has one in the next.
        return deps.clock.monotonic() - began_s <= _BUDGET_S * deps.clock.speed and _one(deps, watch, now)

    return each_of_ours(deps, waiting, lambda watch: watch.prompt_id, work, action="freeze_failed")


def _one(deps: Deps, watch: Watch, now: datetime) -> bool:
    try:
        frozen = _freeze(deps, watch, now)
    except PlatformError as exc:
        note_trouble(deps, watch, f"the baseline cannot be read: {exc}", now)
        return False
    clear_trouble(deps, watch, now)
    return frozen


def _gather(deps: Deps, watch: Watch) -> Draft | None:
    """
    Read the control's calls from the newest back; None when it takes longer than a tick may, to go on at the next one.
    """
    draft = deps.drafts.setdefault(watch.id, Draft(read_back_to=watch.control_until))
    began_s = deps.clock.monotonic()
    for chunk_since, chunk_until in _chunks(watch.control_until - deps.terms.baseline, draft.read_back_to):
        if draft.calls >= ENOUGH_CALLS:
            break
        if deps.clock.monotonic() - began_s > _BUDGET_S:
            return None
        try:
            _read(deps, watch, draft, chunk_since, chunk_until)
        except Refused as exc:
            if exc.status not in _BEYOND_RETENTION or draft.read_back_to == watch.control_until:
                raise
            break  # the log does not reach back any further; what there is will do
        draft.read_back_to = chunk_since
    return deps.drafts.pop(watch.id)


def _freeze(deps: Deps, watch: Watch, now: datetime) -> bool:
    gathered = Draft(read_back_to=watch.control_until) if watch.control_version_id is None else _gather(deps, watch)
    if gathered is None:
        return False
    since = gathered.read_back_to
    everything = _merged(gathered.blocks.values())
    lag = lag_for(everything, floor=deps.terms.lag_floor, ceiling=deps.terms.lag_ceiling)
    # Calls that started just before the end are here only if they were fast: leave that stretch out altogether.
    until = watch.control_until - lag
    blocks = {start: block for start, block in gathered.blocks.items() if start + BLOCK <= until} or gathered.blocks
    # Segments that are too rare to be compared with take no room, be there ever so many.
    known = known_segments(everything)
    if known:
        blocks = {start: block.folded(known) for start, block in blocks.items()}
    total = _merged(blocks.values()).merge(_feedback(deps, watch, since))
    limits = _limits(deps, watch, total, gathered)
    beside = peers.find(deps, watch)
    with deps.store.write() as connection:
        if watch.control_version_id is not None:
            baseline = Baseline(
                watch_id=watch.id,
                version_id=watch.control_version_id,
                from_at=since,
                until_at=until,
                summary=total,
                frozen_at=now,
            )
            if watches.freeze_baseline(connection, baseline):
                intakes.add_to_windows(connection, control_owner(watch), blocks)
        if not watches.change_state(
            connection, watch, WatchState.WATCHING, event="frozen", at=now, detail=_detail(total, lag)
        ):
            return False
        watches.set_lag(connection, watch.id, lag)
        peers.join(connection, watch, beside, now)
        intakes.open_intake(connection, _intake(watch))
        if limits:
            snoozed = quieting.snooze(connection, watch.prompt_id, now)
            notice = watch_messages.limited(watch, limits, now)
            outbox.put(connection, notice, not_before=snoozed.until if snoozed else None)
    deps.bell.sender.set()
    log.info(
        "baseline frozen",
        extra={"action": "baseline_frozen", "watch_id": watch.id, "calls": total.calls, "limits": limits},
    )
    return True


def _intake(watch: Watch) -> intakes.Intake:
    """The candidate's calls are read from the promotion on."""
    start = watch.promotion.not_before
    return intakes.Intake(
        owner=watch.id,
        prompt_id=watch.prompt_id,
        version_id=watch.candidate_version_id,
        started_from=start,
        cursor_at=start,
        sealed_until=window_start(start),
        open=True,
        other_versions=0,
        rejected={},
        feedback_at=start,
        last_record_at=None,
    )


def _chunks(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Newest first, so that enough calls are the newest calls."""
    while until > since:
        start = max(since, until - _CHUNK)
        yield start, until
        until = start


def _read(deps: Deps, watch: Watch, gathered: Draft, since: datetime, until: datetime) -> None:
    for page in deps.platform.calls(watch.prompt_id, since=since, until=until):
        gathered.rejected.update(row.key for row in page.rejected)
        fresh = [
            c
            for c in page.calls
            if c.version_id == watch.control_version_id
            and c.started_at < watch.control_until
            and c.id not in gathered.ids
        ]
        gathered.ids.update(c.id for c in fresh)
        by_block: dict[datetime, list[int]] = {}
        for i, call in enumerate(fresh):
            by_block.setdefault(window_start(call.started_at, BLOCK), []).append(i)
        for start, members in by_block.items():
            part = summarise(fresh[i] for i in members)
            standing = gathered.blocks.get(start)
            gathered.blocks[start] = part if standing is None else standing.merge(part)


def _feedback(deps: Deps, watch: Watch, since: datetime) -> Summary:
    """Feedback on the control; without any, the feedback rules have no baseline and stay silent."""
    if watch.control_version_id is None:
        return Summary()
    try:
        items = deps.platform.feedback(watch.prompt_id, since=since)
    except PlatformError as exc:
        log.info("feedback could not be read", extra={"action": "feedback_failed", "why": str(exc)})
        return Summary()
    return summarise_feedback(
        f for f in items if f.version_id == watch.control_version_id and f.created_at < watch.control_until
    )


def _limits(deps: Deps, watch: Watch, total: Summary, gathered: Draft) -> str:
    """What this watch cannot do, in sentences; empty when it can do all of its work."""
    parts = [watch.why_not_more[:1].upper() + watch.why_not_more[1:] + "."] if watch.why_not_more else []
    if watch.control_version_id is not None and total.calls < deps.terms.min_baseline_calls:
        few = (
            f"{watch.control_label} has {words.count(total.calls, 'call')} in the {words.duration(deps.terms.baseline)}"
        )
        parts.append(
            f"{few} before: only absolute rules judge (at least {deps.terms.min_baseline_calls:,} are needed)."
        )
    rejected = len(gathered.rejected)
    rows = gathered.calls + rejected
    if rejected > _TOLERATED_REJECTS * rows:
        parts.append(f"{rejected:,} of {rows:,} baseline rows could not be used.")
    return " ".join(parts)


def _detail(total: Summary, lag: timedelta) -> str:
    p95 = words.milliseconds(total.latency_ms.quantile(0.95))
    return (
        f"{words.count(total.calls, 'call')}, success {words.percent(total.success_rate)}, p95 {p95}, "
        f"cost {words.dollars(total.cost_usd.mean())}; windows stay open for {words.duration(lag)}"
    )


def _merged(parts: Iterable[Summary]) -> Summary:
    total = Summary()
    for part in parts:
        total = total.merge(part)
    return total
