"""
Seal windows, judge them, and act on the verdict.

What is read from the platform (the diff for the message) is read before the transaction; the windows' seal, the
evidence, the verdict, the incident's intent and the notice commit together, by compare-and-set on what was judged.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from watchdog.core import watch_messages, weighing
from watchdog.core.judge import ENOUGH_CALLS, Progress, advance, begin, judge, resumed
from watchdog.core.judgement import Judgement, Reading
from watchdog.core.panel import Panel, assemble
from watchdog.core.policy import Alert, Countdown, Decision, Revert, Suggest, Wait, decide
from watchdog.core.promotion import Standing
from watchdog.core.retrace import stored_of
from watchdog.core.strays import strays
from watchdog.core.watch import Verdict, Watch, WatchState
from watchdog.core.windows import BLOCK, WINDOW, Summary, lag_for, watermark
from watchdog.jobs import beside, differences, freeze, guarding, opening, quieting, record, upstream
from watchdog.jobs.frames import each_of_ours
from watchdog.jobs.ledger import keep_books, pace_of_blocks, surrounded
from watchdog.store import intakes, journal, outbox, peers, watches

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.beside import Trouble
    from watchdog.core.counts import Counts
    from watchdog.core.ledger import Entry
    from watchdog.core.rules import Action
    from watchdog.jobs.beside import Heard
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)


# A watch that changed its rules when its budget was spent has this share of it left: none to speak of, and never none.
_LEAST_LEFT = 1e-6


@dataclass(frozen=True, kw_only=True)
class Looked:
    """
    One look at one watch: what was judged, and what is to be done.

    Attributes:
        anew: the rules begin with it.
        panel, intake: as they were for it.
        allowed: the most that the configuration allowed.
        heard: what of the peers was weighed.
        upstream: what the peers suffer; None where they do not, or no more.
        strays: peers that got worse by themselves, by prompt id, and why.
    """

    sealed_until: datetime
    heard: Heard
    progress: Progress
    judgement: Judgement
    decision: Decision
    allowed: Action
    ledger: tuple[Entry, ...]
    panel: Panel
    intake: intakes.Intake
    anew: bool = False
    upstream: Trouble | None = None
    strays: Mapping[str, str] = field(default_factory=dict)


def run(deps: Deps, now: datetime, watch_ids: frozenset[str] | None = None) -> int:
    """
    Args:
        watch_ids: look only at these; None for all.

    Returns: how many watches got a verdict other than the one they had.
    Raises: StoreError.
    """
    with deps.store.read() as connection:
        watching = [w for w in watches.open_watches(connection) if w.state is WatchState.WATCHING]
    wanted = [w for w in watching if watch_ids is None or w.id in watch_ids]
    return each_of_ours(
        deps, wanted, lambda watch: watch.prompt_id, lambda watch: _one(deps, watch, now), action="evaluate_failed"
    )


def panel_of(deps: Deps, connection: Connection, watch: Watch) -> Panel:
    """The tests that judge this watch, from its frozen baseline: the same every time, so they are kept for a while."""
    kept = deps.panels.get(watch.id)
    if kept is not None and kept.is_of(watch):
        return beside.as_they_stand(connection, watch, kept.panel)
    baseline = watches.find_baseline(connection, watch.id)
    blocks: tuple[Summary, ...] = ()
    stored: tuple[tuple[datetime, Summary], ...] = ()
    if baseline is not None:
        since, until = baseline.from_at - BLOCK, baseline.until_at
        stored = intakes.windows_between(connection, freeze.control_owner(watch), since=since, until=until)
        blocks = tuple(summary for _, summary in stored)
    panel = assemble(
        watches.rules_of(connection, watch),
        baseline.summary if baseline else None,
        n_windows=watch.n_windows,
        min_baseline_calls=watch.min_baseline_calls,
        blocks=blocks,
        alpha_left=watch.alpha_left,
        calibration=watch.calibration,
        # A watch that began before anybody looked for peers is judged to its end without.
        peers=peers.peers_of(connection, watch.id) if watch.peers_note else None,
    )
    panel = replace(panel, pace=pace_of_blocks(baseline, stored))
    deps.panels.keep(watch, panel)
    return panel


def _one(deps: Deps, watch: Watch, now: datetime) -> bool:
    if _rules_changed(deps, watch, now):
        with deps.store.read() as connection:
            fresh = watches.find_watch(connection, watch.id)
        if fresh is None or fresh.state is not WatchState.WATCHING:
            return False
        watch = fresh
    look = _look(deps, watch, now)
    if look is None:
        return False
    versions = _versions(deps, watch, look)
    # The guards are counted where something follows.
    with deps.store.write(counting=not isinstance(look.decision, Wait)) as connection:
        if not _save(connection, watch, look):
            return False
        judged = watches.find_watch(connection, watch.id)
        if judged is None:
            return False
        seen = record.look(connection, watch, look, now)
        allowed = quieting.as_allowed(connection, judged, look.decision, versions[1], now)
        guards = None
        if isinstance(allowed, Revert | Countdown):
            # Counted before anything is opened: by these it is decided, and these are what goes on record.
            guards = guarding.counts(deps, connection, judged, allowed.target_version_id, now)
        told = _act(deps, connection, judged, look, versions, now, allowed, guards)
        if told:
            record.decision(connection, deps.terms, judged, look, seen, guards, now, allowed)
        if watch.verdict is Verdict.UPSTREAM and judged.verdict is not Verdict.UPSTREAM:
            upstream.tell_over(connection, judged, look.judgement.reason, now)
        if isinstance(look.decision, Wait | Alert):
            _end_if_over(deps, connection, judged, look, seen, now)
    if told:
        record.log_head(deps.store, "a verdict led to something")
    if not isinstance(look.decision, Wait) or watch.verdict is Verdict.UPSTREAM:
        deps.bell.actor.set()
        deps.bell.sender.set()
    return look.judgement.verdict is not watch.verdict


def _rules_changed(deps: Deps, watch: Watch, now: datetime) -> bool:
    """
    Whether the watch goes on under other rules, since the configuration was changed.

    They spend what the earlier ones left of the budget, never a fresh one: of the prior over starts, the part that was
    invested so far is spent, since the evidence that it can make is at most so large a part of the whole.
    """
    wanted = deps.rules_for(watch.prompt_slug)
    if wanted.digest == watch.rules_digest:
        return False
    with deps.store.read() as connection:
        panel = panel_of(deps, connection, watch)
        progress = _resume(connection, watch, panel)
    spent = max((s.spent(progress.states[s.rule.name]) for s in panel.seats if s.test is not None), default=0.0)
    left = watch.alpha_left * max(1.0 - spent, _LEAST_LEFT)
    judged = 0
    if watch.judged_until is not None and watch.first_call_at is not None:
        judged = max(0, (watch.judged_until - watch.first_call_at) // WINDOW)
    with deps.store.write() as connection:
        before = {rule.name: rule for rule in watches.rules_of(connection, watch).rules}
        # What quiet days ask of a rule they ask of it still.
        kept = {
            rule.name: watch.calibration[rule.name]
            for rule in wanted.rules
            if before.get(rule.name) == rule and rule.name in watch.calibration
        }
        changed = watches.change_rules(
            connection,
            watch,
            wanted,
            alpha_left=left,
            n_windows=max(1, watch.n_windows - judged),
            calibration=kept,
            at=now,
        )
    if changed:
        log.info(
            "a watch goes on under other rules",
            extra={"action": "rules_changed", "watch_id": watch.id, "alpha_left": round(left, 4)},
        )
    return changed


def _look(deps: Deps, watch: Watch, now: datetime) -> Looked | None:
    with deps.store.read() as connection:
        intake = intakes.find_intake(connection, watch.id)
        if intake is None:
            return None
        # Not the clock but what was read decides: an outage of the platform seals nothing.
        read_until = min(intake.cursor_at, deps.platform_time(now))
        # A candidate that is slower than the baseline ever was needs more patience than the baseline did.
        slow = lag_for(watch.candidate, floor=deps.terms.lag_floor, ceiling=deps.terms.lag_ceiling)
        sealed_until = max(intake.sealed_until, watermark(read_until, max(watch.lag, slow)))
        since = watch.judged_until or intake.started_from - WINDOW
        fresh = intakes.windows_between(connection, watch.id, since=since, until=sealed_until)
        panel = surrounded(deps, connection, watch, panel_of(deps, connection, watch), sealed_until)
        progress = _resume(connection, watch, panel)
        anew = watch.judged_until is None or not watches.readings_of(connection, watch.id)
    progress = advance(panel, progress, fresh, sealed_until=sealed_until)
    progress, heard = beside.weighed(deps, watch, panel, progress)
    judgement = judge(panel, progress, rejected=intake.rejected)
    allowed = deps.policy.most_for(watch.prompt_slug)
    decision = decide(judgement, watch, allowed=allowed)
    with deps.store.read() as connection:
        book = keep_books(connection, watch, panel, progress, judgement, intake)
    return Looked(
        sealed_until=sealed_until,
        heard=heard,
        panel=panel,
        intake=intake,
        anew=anew,
        progress=progress,
        judgement=judgement,
        decision=decision,
        allowed=allowed,
        ledger=book,
        upstream=beside.trouble(deps, panel, progress, judgement),
        strays=strays(panel.beside, progress.weighing) if panel.beside and progress.weighing else {},
    )


def _resume(connection: Connection, watch: Watch, panel: Panel) -> Progress:
    """The evidence as it was saved, to the bit."""
    stored = watches.evidence_of(connection, watch.id)
    if watch.judged_until is None:
        return begin(panel)
    readings = [Reading.from_json(value) for value in watches.readings_of(connection, watch.id)]
    if not readings:
        # Other rules took over: they begin here, and what was judged before is no evidence for them.
        return replace(
            begin(panel),
            judged_until=watch.judged_until,
            first_call_at=watch.first_call_at,
            weighing=None if panel.beside is None else weighing.begin(panel.beside, watch.judged_until),
        )
    put_down = Progress(
        judged_until=watch.judged_until,
        first_call_at=watch.first_call_at,
        candidate=watch.candidate,
        states={seat.rule.name: seat.read(stored[seat.rule.name]) for seat in panel.seats if seat.test is not None},
        tripped_after={},
        weighing=beside.resumed(panel, stored),
    )
    return resumed(put_down, readings)


def _save(connection: Connection, watch: Watch, look: Looked) -> bool:
    """False when another look was first."""
    progress = look.progress
    for prompt_id, why in look.strays.items():
        at = progress.weighing.until if progress.weighing else None
        peers.leave(connection, watch.id, prompt_id, at=at or look.sealed_until, why=why)
    for owner, until in {watch.id: look.sealed_until, **look.heard.feeds_sealed}.items():
        intakes.seal(connection, owner, until)
    watches.save_ledger(connection, watch, look.ledger)
    return watches.save_judgement(
        connection,
        watch,
        judged_until=progress.judged_until,
        first_call_at=progress.first_call_at,
        verdict=look.judgement.verdict,
        reason=look.judgement.reason,
        candidate=progress.candidate,
        readings=[r.to_json() for r in look.judgement.readings],
        states=stored_of(progress),
    )


def _act(
    deps: Deps,
    connection: Connection,
    watch: Watch,
    look: Looked,
    versions: tuple[tuple[str, ...], str],
    now: datetime,
    allowed: Decision,
    guards: Counts | None,
) -> bool:
    """
    Whether it led to anything: people are told of one thing once.

    Args:
        allowed: what is left of the look's decision.
        guards: as they were counted for it; None where they are not asked.
    """
    match allowed:
        case Wait():
            return False
        case Alert(readings=readings, why_not_more=why):
            if look.judgement.verdict is not Verdict.UPSTREAM:
                return outbox.put(connection, watch_messages.alert(watch, readings, why, versions[1], now))
            return look.upstream is not None and upstream.tell(connection, watch, readings, look.upstream, now)
        case Suggest() | Countdown() | Revert():
            opening.begin(deps, connection, watch, allowed, guards, versions, now)
    return True


def _versions(deps: Deps, watch: Watch, look: Looked) -> tuple[tuple[str, ...], str]:
    """What the diff changed, and where to see it; a platform that does not answer delays no revert."""
    if isinstance(look.decision, Wait) or watch.control_version_id is None:
        return (), ""
    url = deps.platform.compare_url(watch.prompt_id, watch.candidate_version_id, watch.control_version_id)
    suspect = look.decision.readings[0].metric
    return differences.between(deps, watch, suspect, look.progress.candidate) or (), url


def _end_if_over(deps: Deps, connection: Connection, watch: Watch, look: Looked, seen: int, now: datetime) -> None:
    """A watch that stood its whole length without an incident."""
    over_at = watch.ends_at(deps.terms.length) + watch.lag
    intake = intakes.find_intake(connection, watch.id)
    # Its calls must have been read to the end as well: not to see is no health.
    if deps.platform_time(now) < over_at or intake is None or intake.cursor_at < over_at:
        return
    # Without a baseline the verdict stays inconclusive, and the version may still have stood the day.
    nothing_against_it = not look.judgement.tripped and not watch.trouble
    stood = watch.candidate.calls >= ENOUGH_CALLS and watch.verdict is not Verdict.NO_DATA and nothing_against_it
    state = WatchState.PASSED if watch.verdict is Verdict.OK else WatchState.UNDECIDED
    if watches.change_state(connection, watch, state, event="ended", at=now, detail=watch.reason):
        intakes.close_intake(connection, watch.id)
        standing = Standing.PASSED if stood else Standing.SUPERSEDED
        journal.set_standing(connection, watch.promotion.id, standing)
        record.decision(connection, deps.terms, watch, look, seen, None, now, look.decision, ending=state)
        log.info("watch ended", extra={"action": "watch_ended", "watch_id": watch.id, "verdict": watch.verdict.value})
