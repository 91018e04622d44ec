"""What people are told about a watch: what it found, where it cannot see, and whose trouble it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core import phrasing, words
from watchdog.core.judgement import Reading, ReadingState
from watchdog.core.notice import Notice, Tone
from watchdog.core.watch import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from watchdog.core.beside import Trouble
    from watchdog.core.watch import Watch


def alert(watch: Watch, readings: tuple[Reading, ...], why_not_more: str, compare_url: str, at: datetime) -> Notice:
    """A rule tripped and nothing will be done about it but telling."""
    because = f" Nothing was reverted: {why_not_more}." if why_not_more else ""
    return Notice(
        key=f"{watch.id}:alert:{'+'.join(sorted(r.rule for r in readings))}",
        thread=watch.id,
        tone=Tone.ALARM,
        headline=f"{watch.prompt_slug}: {_alerted(watch.candidate_label, readings[0])}",
        step=f"{phrasing.sentence(readings[0].sentence)}{because}",
        at=at,
        facts=phrasing.watch_facts(watch),
        evidence=(*(f"{r.rule}: {r.sentence}" for r in readings), *phrasing.beside(watch)),
        links=phrasing.links(compare_url),
    )


def upstream_key(watch: Watch) -> str:
    """Every notice about trouble upstream of a watch has a key that begins so."""
    return f"{watch.id}:upstream"


def upstream_over_key(watch: Watch) -> str:
    """That it is over: a key that begins so."""
    return f"{upstream_key(watch)}_over"


def upstream(
    watch: Watch, readings: tuple[Reading, ...], trouble: Trouble, others: Sequence[Watch], thread: str, at: datetime
) -> Notice:
    """
    Everybody has it: told once for each trouble, and nothing is reverted.

    Args:
        others: other watches that have it, of which the thread tells already.
    """
    where, label = watch.provider or "the provider", watch.candidate_label
    names = words.names([*(other.prompt_slug for other in others), watch.prompt_slug])
    return Notice(
        key=f"{upstream_key(watch)}:{trouble.since.isoformat()}",
        thread=thread,
        tone=Tone.WAITING,
        headline=f"{names}: trouble upstream ({where}), not reverted",
        step=f"{watch.prompt_slug} {label} got worse, and so did {_strangers(trouble, where)}, since "
        f"{words.clock_time(trouble.since)}. Nobody promoted those, so the cause is not {label} but something that all "
        f"share: the provider, the gateway, the network. Look there; {label} stays. You are told when it is over, and "
        f"should {label} be worse by itself, that is still found. {phrasing.sentence(readings[0].sentence)}",
        at=at,
        facts=(*phrasing.watch_facts(watch), *phrasing.peers(watch)),
        evidence=tuple(f"{r.rule}: {r.sentence}" for r in readings),
    )


def upstream_over(watch: Watch, reason: str, others: Sequence[Watch], thread: str, at: datetime) -> Notice:
    """
    The verdict is no longer that everybody has it.

    Args:
        others: other watches that still have it.
    """
    slug, label = watch.prompt_slug, watch.candidate_label
    match watch.verdict:
        case Verdict.OK:
            tone, headline = Tone.GOOD, f"{slug}: the trouble upstream is over, {label} stays"
            step = f"The calls of that time count against nobody, and since then {label} shows nothing of its own."
        case Verdict.REGRESSED:
            tone, headline = Tone.WAITING, f"{slug}: beside the trouble upstream, {label} is worse by itself"
            step = "What is done about that stands in a message of its own."
        case _:
            tone, headline = Tone.WAITING, f"{slug}: the trouble upstream is over, {label} is judged again"
            step = "The calls of that time count against nobody."
    if others:
        tone = Tone.WAITING
        step = f"{step} Not over yet for {words.names([other.prompt_slug for other in others])}."
    return Notice(
        key=f"{upstream_over_key(watch)}:{at.isoformat()}",
        thread=thread,
        tone=tone,
        headline=headline,
        step=f"{step} {phrasing.sentence(reason)}",
        at=at,
        facts=phrasing.watch_facts(watch),
    )


def _strangers(trouble: Trouble, where: str) -> str:
    if not trouble.worse:
        return f"the other prompts on {where} together"
    return f"{trouble.worse} of {words.count(trouble.heard, 'other prompt')} on {where}"


def _alerted(version: str, first: Reading) -> str:
    if first.state is ReadingState.UNCLEAR:
        return f"{version} looks worse, or its provider is"
    if first.state is ReadingState.EXPLAINED:
        if first.because:
            return f"{version} looks worse, and something else can explain it"
        return f"{version} looks worse, or its requests changed"
    return phrasing.worse(version, late=first.late is not None)


def limited(watch: Watch, why: str, at: datetime) -> Notice:
    """A watch that cannot do its whole work says so at once."""
    return Notice(
        key=f"{watch.id}:limited",
        thread=watch.id,
        tone=Tone.QUIET,
        headline=f"{watch.prompt_slug}: {watch.candidate_label} is watched with limits",
        step=phrasing.sentence(why),
        at=at,
        facts=phrasing.watch_facts(watch),
    )


def holding(watch: Watch, at: datetime) -> Notice:
    """The watch cannot see."""
    since = words.clock_time(watch.trouble_since)
    return Notice(
        key=f"{watch.id}:holding:{since}",
        thread=watch.id,
        tone=Tone.WAITING,
        headline=f"{watch.prompt_slug}: the watch over {watch.candidate_label} holds",
        step=f"{phrasing.sentence(watch.trouble)} Nothing is judged or reverted until it can be seen again.",
        at=at,
        facts=phrasing.watch_facts(watch),
    )


def resumed(watch: Watch, at: datetime) -> Notice:
    """The watch can see again."""
    since = words.clock_time(watch.trouble_since)
    lost = words.duration(at - watch.trouble_since) if watch.trouble_since else words.NOTHING
    return Notice(
        key=f"{watch.id}:resumed:{since}",
        thread=watch.id,
        tone=Tone.GOOD,
        headline=f"{watch.prompt_slug}: the watch over {watch.candidate_label} goes on",
        step=f"It held for {lost}. Calls made meanwhile are counted now.",
        at=at,
        facts=phrasing.watch_facts(watch),
    )
