"""Watches, their frozen baselines and their evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from watchdog.core.calibration import Calibration
from watchdog.core.ledger import Entry
from watchdog.core.rules import Action, RuleSet
from watchdog.core.watch import OPEN_STATES, Verdict, Watch, WatchState
from watchdog.core.windows import Summary
from watchdog.store.events import record_event
from watchdog.store.journal import find_promotion
from watchdog.store.rows import add
from watchdog.store.tables import baselines, evidence, rulesets, watches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

_MS = timedelta(milliseconds=1)
# Put together once: to put a statement together takes longer than to execute it.
_ONE = select(watches).where(watches.c.id == bindparam("of"))
_IN_STATES = (
    select(watches).where(watches.c.state.in_(bindparam("states", expanding=True))).order_by(watches.c.opened_at)
)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The control's calls as they were frozen; never updated."""

    watch_id: str
    version_id: str
    from_at: datetime
    until_at: datetime
    summary: Summary
    frozen_at: datetime


def open_watch(connection: Connection, watch: Watch, rules: RuleSet) -> bool:
    """Begin a watch under these rules; False when this promotion has one already."""
    _keep_rules(connection, rules)
    values = {
        "id": watch.id,
        "prompt_id": watch.prompt_id,
        "prompt_slug": watch.prompt_slug,
        "promotion_id": watch.promotion.id,
        "control_version_id": watch.control_version_id,
        "control_until": watch.control_until,
        "most": watch.most.value,
        "why_not_more": watch.why_not_more,
        "state": watch.state.value,
        "opened_at": watch.opened_at,
        "first_call_at": watch.first_call_at,
        "lag_ms": watch.lag // _MS,
        "judged_until": watch.judged_until,
        "verdict": watch.verdict.value,
        "reason": watch.reason,
        "candidate": watch.candidate.to_json(),
        "readings": [],
        "rules_digest": watch.rules_digest,
        "n_windows": watch.n_windows,
        "min_baseline_calls": watch.min_baseline_calls,
        "alpha_left": watch.alpha_left,
        "calibration": {rule: c.to_json() for rule, c in watch.calibration.items()},
        "trouble": watch.trouble,
        "trouble_since": watch.trouble_since,
        "provider": watch.provider,
        "peers_note": watch.peers_note,
        "candidate_label": watch.candidate_label,
        "control_label": watch.control_label,
        "control_model": watch.control_model,
        "candidate_model": watch.candidate_model,
        "ledger": [entry.to_json() for entry in watch.ledger],
        "week_read_to": watch.week_read_to,
        "week_note": watch.week_note,
        "ended_at": watch.ended_at,
    }
    if not add(connection, watches, values):
        return False
    what = f"{watch.promotion.from_version_id} -> {watch.promotion.to_version_id}"
    record_event(connection, watch.id, watch.opened_at, "opened", "", watch.state.value, what)
    return True


def change_rules(
    connection: Connection,
    watch: Watch,
    rules: RuleSet,
    *,
    alpha_left: float,
    n_windows: int,
    at: datetime,
    calibration: Mapping[str, Calibration] | None = None,
) -> bool:
    """
    Judge from here on by other rules, with what is left of the budget: compare-and-set on (id, state, judged_until,
    rules); False when another look was first.
    """
    _keep_rules(connection, rules)
    changed = connection.execute(
        update(watches)
        .where(watches.c.id == watch.id, watches.c.state == watch.state.value, _judged_as(watch))
        .where(watches.c.rules_digest == watch.rules_digest)
        .values(
            rules_digest=rules.digest,
            alpha_left=alpha_left,
            n_windows=n_windows,
            candidate=Summary().to_json(),
            readings=[],
            calibration={rule: c.to_json() for rule, c in (calibration or {}).items()},
        )
    ).rowcount
    if changed != 1:
        return False
    connection.execute(delete(evidence).where(evidence.c.watch_id == watch.id))
    what = (
        f"judged anew by other rules with {100 * alpha_left:.3g} % of the false-alarm budget left; "
        f"{watch.candidate.calls:,} calls were judged before"
    )
    record_event(connection, watch.id, at, "rules_changed", watch.state.value, watch.state.value, what)
    return True


def _keep_rules(connection: Connection, rules: RuleSet) -> None:
    add(connection, rulesets, {"digest": rules.digest, "rules": rules.to_json()})


def rules_of(connection: Connection, watch: Watch) -> RuleSet:
    """The rules that judge the watch."""
    value = connection.execute(select(rulesets.c.rules).where(rulesets.c.digest == watch.rules_digest)).scalar_one()
    return RuleSet.from_json(value)


def open_watches(connection: Connection) -> tuple[Watch, ...]:
    return _read(connection, _IN_STATES, states=[state.value for state in OPEN_STATES])


def all_watches(connection: Connection, *, limit: int = 100) -> tuple[Watch, ...]:
    """Newest first."""
    return _read(connection, select(watches).order_by(watches.c.opened_at.desc()).limit(limit))


def watches_of(connection: Connection, prompt_id: str, states: Iterable[WatchState]) -> tuple[Watch, ...]:
    query = _IN_STATES.where(watches.c.prompt_id == prompt_id)
    return _read(connection, query, states=[state.value for state in states])


def find_watch(connection: Connection, watch_id: str) -> Watch | None:
    found = _read(connection, _ONE, of=watch_id)
    return found[0] if found else None


def watch_of(connection: Connection, watch_id: str) -> Watch:
    """The one that an incident's row refers to: a foreign key keeps it there."""
    (found,) = _read(connection, _ONE, of=watch_id)
    return found


def change_state(
    connection: Connection, watch: Watch, to: WatchState, *, event: str, at: datetime, detail: str = ""
) -> bool:
    """Compare-and-set on (id, state); False when another was first, and then nothing was changed."""
    ended = None if to in OPEN_STATES else at
    changed = connection.execute(
        update(watches)
        .where(watches.c.id == watch.id, watches.c.state == watch.state.value)
        .values(state=to.value, ended_at=ended)
    ).rowcount
    if changed != 1:
        return False
    record_event(connection, watch.id, at, event, watch.state.value, to.value, detail)
    return True


def reopen(
    connection: Connection,
    watch: Watch,
    *,
    most: Action,
    why_not_more: str,
    judged_until: datetime | None,
    at: datetime,
    detail: str,
) -> bool:
    """
    Judge on, from `judged_until` and with no evidence yet: what was judged before was decided upon. Compare-and-set on
    (id, state); False when another was first.
    """
    changed = connection.execute(
        update(watches)
        .where(watches.c.id == watch.id, watches.c.state == watch.state.value)
        .values(
            state=WatchState.WATCHING.value,
            ended_at=None,
            most=most.value,
            why_not_more=why_not_more,
            judged_until=judged_until,
            verdict=Verdict.INCONCLUSIVE.value,
            reason=detail,
            candidate=Summary().to_json(),
            readings=[],
        )
    ).rowcount
    if changed != 1:
        return False
    connection.execute(delete(evidence).where(evidence.c.watch_id == watch.id))
    record_event(connection, watch.id, at, "judged_anew", watch.state.value, WatchState.WATCHING.value, detail)
    return True


def save_judgement(
    connection: Connection,
    watch: Watch,
    *,
    judged_until: datetime | None,
    first_call_at: datetime | None,
    verdict: Verdict,
    reason: str,
    candidate: Summary,
    readings: Sequence[Mapping[str, Any]],
    states: Mapping[str, bytes],
) -> bool:
    """
    Everything that one look adds, together: compare-and-set on (id, state, judged_until).

    Args:
        states: the evidence by rule name.
    """
    changed = connection.execute(
        update(watches)
        .where(watches.c.id == watch.id, watches.c.state == watch.state.value, _judged_as(watch))
        .where(watches.c.rules_digest == watch.rules_digest)
        .values(
            judged_until=judged_until,
            first_call_at=first_call_at,
            verdict=verdict.value,
            reason=reason,
            candidate=candidate.to_json(),
            readings=list(readings),
        )
    ).rowcount
    if changed != 1:
        return False
    connection.execute(delete(evidence).where(evidence.c.watch_id == watch.id))
    if states:
        rows = [{"watch_id": watch.id, "rule": rule, "state": state} for rule, state in states.items()]
        connection.execute(insert(evidence), rows)
    return True


def _judged_as(watch: Watch) -> ColumnElement[bool]:
    if watch.judged_until is None:
        return watches.c.judged_until.is_(None)
    return watches.c.judged_until == watch.judged_until


def set_trouble(connection: Connection, watch_id: str, trouble: str, since: datetime | None) -> None:
    """Say why the watch holds; the empty string when nothing is wrong."""
    values = {"trouble": trouble, "trouble_since": since}
    connection.execute(update(watches).where(watches.c.id == watch_id).values(**values))


def set_peers(connection: Connection, watch_id: str, *, provider: str, note: str) -> None:
    """Beside whom the watch is judged, once it is known."""
    connection.execute(update(watches).where(watches.c.id == watch_id).values(provider=provider, peers_note=note))


def save_ledger(connection: Connection, watch: Watch, ledger: Sequence[Entry]) -> None:
    """What may mislead the comparison, as of this look; writes only what changed."""
    if tuple(ledger) != watch.ledger:
        values = [entry.to_json() for entry in ledger]
        connection.execute(update(watches).where(watches.c.id == watch.id).values(ledger=values))


def read_hours(connection: Connection, watch: Watch, *, to: datetime | None, note: str = "") -> bool:
    """
    The hours of a week ago were read as far as `to`, or will not be, for the reason given: compare-and-set on how far
    they were read; False when another process was first.
    """
    before = watches.c.week_read_to
    same = before.is_(None) if watch.week_read_to is None else before == watch.week_read_to
    changed = connection.execute(
        update(watches)
        .where(watches.c.id == watch.id, watches.c.week_note == watch.week_note, same)
        .values(week_read_to=to, week_note=note)
    ).rowcount
    return changed == 1


def set_lag(connection: Connection, watch_id: str, lag: timedelta) -> None:
    connection.execute(update(watches).where(watches.c.id == watch_id).values(lag_ms=lag // _MS))


def evidence_of(connection: Connection, watch_id: str) -> dict[str, bytes]:
    """By rule name; empty before the first window was judged."""
    rows = connection.execute(select(evidence.c.rule, evidence.c.state).where(evidence.c.watch_id == watch_id))
    return {row.rule: row.state for row in rows}


def readings_of(connection: Connection, watch_id: str) -> list[dict[str, Any]]:
    """What each rule said at the last look, as it was saved."""
    return connection.execute(select(watches.c.readings).where(watches.c.id == watch_id)).scalar() or []


def freeze_baseline(connection: Connection, baseline: Baseline) -> bool:
    """Insert, once; False when the watch has a baseline already, which then stays as it is."""
    if find_baseline(connection, baseline.watch_id) is not None:
        return False
    connection.execute(
        insert(baselines).values(
            watch_id=baseline.watch_id,
            version_id=baseline.version_id,
            from_at=baseline.from_at,
            until_at=baseline.until_at,
            summary=baseline.summary.to_json(),
            frozen_at=baseline.frozen_at,
        )
    )
    return True


def find_baseline(connection: Connection, watch_id: str) -> Baseline | None:
    row = connection.execute(select(baselines).where(baselines.c.watch_id == watch_id)).first()
    if row is None:
        return None
    return Baseline(
        watch_id=row.watch_id,
        version_id=row.version_id,
        from_at=row.from_at,
        until_at=row.until_at,
        summary=Summary.from_json(row.summary),
        frozen_at=row.frozen_at,
    )


def _read(connection: Connection, query: Any, **given: Any) -> tuple[Watch, ...]:
    return tuple(_watch_of(connection, row) for row in connection.execute(query, given).all())


def _watch_of(connection: Connection, row: Row[Any]) -> Watch:
    promotion = find_promotion(connection, row.promotion_id)
    if promotion is None:  # pragma: no cover - the foreign key forbids it
        raise AssertionError(f"watch {row.id} has no promotion")
    return Watch(
        id=row.id,
        prompt_id=row.prompt_id,
        prompt_slug=row.prompt_slug,
        promotion=promotion,
        control_version_id=row.control_version_id,
        control_until=row.control_until,
        most=Action(row.most),
        why_not_more=row.why_not_more,
        state=WatchState(row.state),
        opened_at=row.opened_at,
        first_call_at=row.first_call_at,
        lag=row.lag_ms * _MS,
        judged_until=row.judged_until,
        verdict=Verdict(row.verdict),
        reason=row.reason,
        candidate=Summary.from_json(row.candidate),
        rules_digest=row.rules_digest,
        n_windows=row.n_windows,
        min_baseline_calls=row.min_baseline_calls,
        trouble=row.trouble,
        trouble_since=row.trouble_since,
        candidate_label=row.candidate_label,
        control_label=row.control_label,
        ended_at=row.ended_at,
        alpha_left=row.alpha_left,
        calibration={rule: Calibration.from_json(value) for rule, value in row.calibration.items()},
        provider=row.provider,
        peers_note=row.peers_note,
        control_model=row.control_model,
        candidate_model=row.candidate_model,
        ledger=tuple(Entry.from_json(value) for value in row.ledger),
        week_read_to=row.week_read_to,
        week_note=row.week_note,
    )
