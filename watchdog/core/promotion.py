"""
What a promotion means: whose it is, whether it is watched, what it is compared with and where a revert would go.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from watchdog.core.model import ActorType, Promotion, Prompt
from watchdog.core.rules import Action

if TYPE_CHECKING:
    from collections.abc import Sequence

_IDS = uuid.UUID("5b0f7f3e-6f0a-4a39-9a59-5f1d6a4c1b7e")
OWN_MARK = "watchdog:"
_OWN_NOTE = re.compile(re.escape(OWN_MARK) + r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# A version that people left on production for this long is good enough to go back to, though nobody judged it.
LIVED_WITH = timedelta(days=7)
# A move that was seen and the audit entry of the same move differ by the two clocks at most.
MOVE_SLACK = timedelta(seconds=60)


class Standing(Enum):
    """What became of a promotion, and so what its version is worth as the target of a revert."""

    ADOPTED = "adopted"  # it stood on production when the watchdog first looked
    ON_WATCH = "on_watch"
    PASSED = "passed"  # its watch ended without a regression
    RESTORED = "restored"  # the watchdog put it back
    REVERTED = "reverted"  # the watchdog took it off production
    UNDONE = "undone"  # the watchdog took it off production, and a human had that undone
    SUPERSEDED = "superseded"  # somebody replaced it before its watch had ended
    UNWATCHED = "unwatched"  # nobody asked to guard this prompt, or nothing about it could be judged


# A human who puts one back has decided.
_TAKEN_OFF = frozenset({Standing.REVERTED, Standing.UNDONE})
GOOD = frozenset({Standing.ADOPTED, Standing.PASSED, Standing.RESTORED})


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """One promotion of a prompt with its standing; a prompt's journal is these in order of time."""

    promotion: Promotion
    standing: Standing


@dataclass(frozen=True, kw_only=True)
class WatchPlan:
    """
    How a promotion is to be watched.

    Attributes:
        control_version_id: the last known-good version: baseline and revert target alike; None where there is none.
        control_until: the control's calls count up to this instant, when it left production.
        most: the most that may be done about this promotion.
        why: reason for `most` being less than REVERT, or for there being no control; empty otherwise.
    """

    control_version_id: str | None
    control_until: datetime
    most: Action
    why: str


def deterministic_id(*parts: str) -> str:
    """The same parts always give the same id, so that doing a thing twice cannot make two of it."""
    return str(uuid.uuid5(_IDS, "\x1f".join(parts)))


def watch_id(promotion: Promotion) -> str:
    return deterministic_id("watch", promotion.prompt_id, promotion.id)


def incident_id(promotion: Promotion) -> str:
    """One promotion can have one incident, ever: detecting twice cannot revert twice."""
    return deterministic_id("incident", promotion.prompt_id, promotion.id)


def undo_id(incident: str) -> str:
    """One undo for an incident, ever."""
    return deterministic_id("undo", incident)


def note_for(incident: str) -> str:
    """Handed over with our promotions; that is how our own work is recognised in the platform's history."""
    return f"{OWN_MARK}{incident}"


def is_ours(promotion: Promotion) -> bool:
    """By our note, whole, on a promotion that no person made: anybody may begin a note with our mark."""
    return _OWN_NOTE.fullmatch(promotion.note) is not None and promotion.actor_type is not ActorType.USER


def noted_incident(promotion: Promotion) -> str:
    """Id of the incident in our note; empty where the note is not ours."""
    return promotion.note.removeprefix(OWN_MARK) if is_ours(promotion) else ""


def seen_move(
    prompt: Prompt, *, last_version_id: str | None, last_seen_at: datetime, now: datetime
) -> Promotion | None:
    """
    The promotion that must have happened between two looks at the pointer; None when it did not move.

    Used where the audit log may not be read: the time is known to an interval, the actor not at all.
    """
    if prompt.production_version_id is None or prompt.production_version_id == last_version_id:
        return None
    move = (prompt.id, last_version_id or "", prompt.production_version_id, last_seen_at.isoformat())
    return Promotion(
        id=deterministic_id("seen", *move),
        prompt_id=prompt.id,
        from_version_id=last_version_id,
        to_version_id=prompt.production_version_id,
        at=now,
        not_before=last_seen_at,
        actor_type=ActorType.UNKNOWN,
        actor_id="",
        revert=False,
    )


def known_good(
    earlier: Sequence[JournalEntry], candidate_version_id: str, promoted_at: datetime
) -> tuple[str, datetime] | None:
    """
    The version that production should fall back to, and when it left production; None when no earlier one is known to
    be good. A version that the watchdog took off production does not count until a later watch of it passed.

    Args:
        earlier: the prompt's journal before the candidate's promotion, in order of time.
        promoted_at: when the candidate was promoted; whatever is still on production left it then.
    """
    latest_standing = {entry.promotion.to_version_id: entry.standing for entry in earlier}
    for i in range(len(earlier) - 1, -1, -1):
        version = earlier[i].promotion.to_version_id
        # A version may be promoted on top of itself; it left production with the first move to another one.
        later = (e.promotion.at for e in earlier[i + 1 :] if e.promotion.to_version_id != version)
        left_at = min(next(later, promoted_at), promoted_at)
        if version == candidate_version_id or latest_standing[version] is Standing.REVERTED:
            continue
        if earlier[i].standing in GOOD or left_at - earlier[i].promotion.at >= LIVED_WITH:
            return version, left_at
    return None


def is_quarantined(journal: Sequence[JournalEntry], version_id: str) -> bool:
    """
    Whether the watchdog took this version off production, the last time that it was there.

    Args:
        journal: the prompt's, in order of time.
    """
    standings = [entry.standing for entry in journal if entry.promotion.to_version_id == version_id]
    return bool(standings) and standings[-1] is Standing.REVERTED


def plan_watch(promotion: Promotion, earlier: Sequence[JournalEntry], *, undone_by: str = "") -> WatchPlan:
    """
    Decide how a promotion by somebody else is watched.

    Args:
        earlier: the prompt's journal before this promotion, in order of time.
        undone_by: who had the watchdog undo its revert, where this promotion is that; empty for all others.
    """
    good = known_good(earlier, promotion.to_version_id, promotion.at)
    control, until = good or (None, promotion.at)
    if undone_by:
        why = f"the watchdog's revert was undone for {undone_by}, and the human decides"
        return WatchPlan(control_version_id=control, control_until=until, most=Action.ALERT, why=why)
    reverted_before = any(
        e.standing in _TAKEN_OFF and e.promotion.to_version_id == promotion.to_version_id for e in earlier
    )
    if reverted_before:
        why = "a human promoted again what the watchdog had reverted, and the human decides"
        return WatchPlan(control_version_id=control, control_until=until, most=Action.ALERT, why=why)
    if promotion.revert:
        why = "a human went back to an earlier version, and that is never undone automatically"
        return WatchPlan(control_version_id=control, control_until=until, most=Action.ALERT, why=why)
    if control is None:
        why = "no earlier version is known to be good: there is nothing to compare with and nothing to go back to"
        return WatchPlan(control_version_id=None, control_until=until, most=Action.ALERT, why=why)
    return WatchPlan(control_version_id=control, control_until=until, most=Action.REVERT, why="")


def same_move(known: Promotion, other: Promotion) -> bool:
    """
    Whether both describe one move of the pointer: seen by watching it, and found in the audit log later (or the other
    way round, when the audit log stops being readable).
    """
    if _only_seen(known) == _only_seen(other):
        return False
    if known.prompt_id != other.prompt_id or known.to_version_id != other.to_version_id:
        return False
    return known.not_before - MOVE_SLACK <= other.at and other.not_before <= known.at + MOVE_SLACK


def _only_seen(promotion: Promotion) -> bool:
    """The pointer was seen to have moved; an audit entry knows the instant."""
    return promotion.not_before < promotion.at
