"""What people are told when somebody puts something on hold, and when that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core import phrasing, words
from watchdog.core.holds import HoldKind
from watchdog.core.notice import Notice, Tone

if TYPE_CHECKING:
    from datetime import datetime

    from watchdog.core.holds import Hold
    from watchdog.core.judgement import Reading
    from watchdog.core.watch import Watch

_BEGUN = {
    HoldKind.HOLD: "is on hold: nothing is reverted",
    HoldKind.SNOOZE: "is snoozed",
    HoldKind.MUTE: "is muted: alerts are not told",
}
OVER = {
    HoldKind.HOLD: "no longer on hold",
    HoldKind.SNOOZE: "no longer snoozed",
    HoldKind.MUTE: "no longer muted",
}
_MEANS = {
    HoldKind.HOLD: "Watching and telling go on; what would have been reverted waits for `promptwatch approve`.",
    HoldKind.SNOOZE: "It goes on being judged; what still stands at the end is told then.",
    HoldKind.MUTE: "What is suggested, counted down or reverted is told as ever.",
}


def begun(hold: Hold, at: datetime) -> Notice:
    """Somebody put it on hold."""
    rule = f" (rule {hold.rule})" if hold.rule else ""
    return Notice(
        key=f"{_thread(hold)}:begun",
        thread=_thread(hold),
        tone=Tone.WAITING,
        headline=f"{hold.slug or 'Everything'} {_BEGUN[hold.kind]}{rule}",
        step=f"{phrasing.sentence(hold.sentence)} {_MEANS[hold.kind]}",
        at=at,
    )


def ended(hold: Hold, by: str, waiting: str, at: datetime) -> Notice:
    """Somebody ended it."""
    lasted = words.duration(at - hold.since)
    return Notice(
        key=f"{_thread(hold)}:ended",
        thread=_thread(hold),
        tone=Tone.QUIET,
        headline=f"{hold.slug or 'Everything'} is {OVER[hold.kind]}",
        step=f"Ended by {by} after {lasted}. {waiting}".strip(),
        at=at,
    )


def kept_back(watch: Watch, readings: tuple[Reading, ...], hold: Hold, compare_url: str, at: datetime) -> Notice:
    """A rule tripped while the prompt was snoozed; that time decides nothing any more."""
    return Notice(
        key=f"{watch.id}:kept_back:{hold.seq}",
        thread=watch.id,
        tone=Tone.ALARM,
        headline=f"{watch.prompt_slug}: {watch.candidate_label} looked worse while it was snoozed",
        step=f"{phrasing.sentence(readings[0].sentence)} Nothing was done, since {hold.sentence}. That is over: "
        f"{watch.candidate_label} is judged anew from its next call on, and acted upon as usual if it still is so.",
        at=at,
        facts=phrasing.watch_facts(watch),
        evidence=tuple(f"{r.rule}: {r.sentence}" for r in readings),
        links=phrasing.links(compare_url),
    )


def _thread(hold: Hold) -> str:
    return f"hold:{hold.seq}"
