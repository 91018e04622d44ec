"""What people are told at each step, composed from the facts. Rendering is the business of `watchdog.notify`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.diagnosis import conclusion
from watchdog.core.incident import Incident, Recovery
from watchdog.core.judgement import Reading, ReadingState
from watchdog.core.ledger import for_notice
from watchdog.core.model import ActorType
from watchdog.core.notice import Fact, Link, Notice, Tone
from watchdog.core.rollback import Event, SagaState
from watchdog.core.upstream import diagnosis_key
from watchdog.core.watch import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from watchdog.core.beside import Trouble
    from watchdog.core.model import Promotion
    from watchdog.core.upstream import Finding
    from watchdog.core.watch import Watch

# A phone shows no more.
_MOST_FINDINGS = 6


def tripped(incident: Incident, watch: Watch, at: datetime) -> Notice:
    """The first message of an incident: what was found, and what is being done about it."""
    slug, bad, good = incident.prompt_slug, watch.candidate_label, watch.control_label
    arithmetic = _arithmetic(incident, watch)
    match incident.state:
        case SagaState.HELD:
            headline = f"{slug}: {bad} made production worse; NOT reverted, a guard holds"
            held = f"Reverting to {good} was held: {incident.recovery_reason}."
            step = f"{arithmetic} {held} Promote {good} by hand if you agree."
        case SagaState.AWAIT_APPROVAL:
            worse = _worse(bad, late=incident.tripped[0].get("late") is not None)
            headline = f"{slug}: {worse}; reverting to {good} is suggested"
            step = f"{arithmetic} Promote {good} on the platform to go back; the watchdog does not do it by itself."
        case _:
            headline = f"{slug}: {bad} made production worse; reverting to {good}"
            step = f"{arithmetic} Reverting {bad} -> {good} now."
    return _notice(incident, watch, at, "tripped", Tone.ALARM, headline, step)


def progressed(incident: Incident, watch: Watch, event: Event, why: str, at: datetime) -> Notice | None:
    """The message for one step of the saga; None for steps that nobody needs to hear of."""
    slug, bad, good = incident.prompt_slug, watch.candidate_label, watch.control_label
    match incident.state:
        case SagaState.CONFIRMED:
            took = words.duration(at - incident.opened_at)
            headline = f"{slug}: {bad} reverted to {good}"
            step = f"Production is back on {good} ({why}), {took} after the verdict. {bad} is kept for forensics."
            return _notice(incident, watch, at, "confirmed", Tone.WAITING, headline, step)
        case SagaState.DONE:
            headline = f"{slug}: {bad} reverted to {good}; verifying the recovery"
            step = f"Revert audited: {why}. Now verifying that latency, success and cost come back."
            return _notice(incident, watch, at, "done", Tone.WAITING, headline, step)
        case SagaState.SUPERSEDED:
            headline = f"{slug}: a human acted on {bad} first; the watchdog stands back"
            step = f"{_sentence(why)} The human's decision stands and this incident is closed."
            return _notice(incident, watch, at, "superseded", Tone.QUIET, headline, step)
        case SagaState.NEEDS_HUMAN:
            headline = f"{slug}: {bad} needs a human NOW"
            step = f"{_sentence(why)} {_what_to_do(event, bad, good)}"
            return _notice(incident, watch, at, "needs_human", Tone.ALARM, headline, step)
        case _:
            return None


def blind(incident: Incident, watch: Watch, why: str, at: datetime) -> Notice:
    """The rollback waits because the platform cannot be read."""
    headline = f"{incident.prompt_slug}: reverting {watch.candidate_label} waits for the platform"
    meanwhile = f"It goes on as soon as the platform answers; promote {watch.control_label} by hand if you can."
    step = f"{_sentence(why)} {meanwhile}"
    return _notice(incident, watch, at, "blind", Tone.ALARM, headline, step)


def recovery(incident: Incident, watch: Watch, at: datetime) -> Notice:
    """How the verification ended."""
    slug, bad, good = incident.prompt_slug, watch.candidate_label, watch.control_label
    match incident.recovery:
        case Recovery.RECOVERED:
            headline = f"{slug}: recovered on {good} after reverting {bad}"
            tone, tail = Tone.GOOD, f"Fix {bad} on development before promoting it again."
        case Recovery.UPSTREAM_SUSPECTED:
            headline = f"{slug}: NOT recovered on {good}; the cause is upstream of the prompt"
            tone = Tone.ALARM
            tail = (
                f"{bad} was probably not at fault. Look at the provider's status, the application's code and the "
                f"gateway's health. To put {bad} back, promote it again on the platform; Compare shows what changes. "
                f"The watchdog then watches it and tells you, but does not revert it: a human decided. By itself it "
                f"will not move anything further."
            )
        case Recovery.UNVERIFIED:
            headline = f"{slug}: reverted to {good}; recovery could not be verified"
            tone, tail = Tone.WAITING, "Watch the next calls yourself."
        case _:
            headline = f"{slug}: verification of {good} ended"
            tone, tail = Tone.QUIET, ""
    step = f"{_sentence(incident.recovery_reason)} {tail}".strip()
    return _notice(incident, watch, at, incident.recovery.value, tone, headline, step)


def failing(incident: Incident, watch: Watch, lines: tuple[str, ...], at: datetime) -> Notice:
    """
    What the failing calls look like; the rest of the message is where the incident stands.

    Args:
        lines: a sentence, and what follows it.
    """
    ended = incident.recovery not in (Recovery.PENDING, Recovery.VERIFYING, Recovery.VOID)
    standing = recovery(incident, watch, at) if ended else progressed(incident, watch, Event.GAVE_UP, "", at)
    standing = standing or tripped(incident, watch, at)
    return replace(standing, key=f"{incident.id}:failing", step="\n".join(lines))


def alert(watch: Watch, readings: tuple[Reading, ...], why_not_more: str, compare_url: str, at: datetime) -> Notice:
    """A rule tripped and nothing will be done about it but telling."""
    because = f" Nothing was reverted: {why_not_more}." if why_not_more else ""
    return Notice(
        key=f"{watch.id}:alert:{'+'.join(sorted(r.rule for r in readings))}",
        thread=watch.id,
        tone=Tone.ALARM,
        headline=f"{watch.prompt_slug}: {_alerted(watch.candidate_label, readings[0])}",
        step=f"{_sentence(readings[0].sentence)}{because}",
        at=at,
        facts=_watch_facts(watch),
        evidence=(*(f"{r.rule}: {r.sentence}" for r in readings), *_beside(watch)),
        links=_links(compare_url),
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
        f"should {label} be worse by itself, that is still found. {_sentence(readings[0].sentence)}",
        at=at,
        facts=(*_watch_facts(watch), *_peers(watch)),
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
        step=f"{step} {_sentence(reason)}",
        at=at,
        facts=_watch_facts(watch),
    )


def _strangers(trouble: Trouble, where: str) -> str:
    if not trouble.worse:
        return f"the other prompts on {where} together"
    return f"{trouble.worse} of {words.count(trouble.heard, 'other prompt')} on {where}"


def fleet(incident: Incident, watch: Watch, at: datetime) -> Notice:
    """Many prompts tripped at once: all reverts are held, and people are asked once, in one thread for all of them."""
    begun = incident.fleet == incident.id
    name, bad, good = incident.prompt_slug, watch.candidate_label, watch.control_label
    ask = f"Promote {good} of {name} by hand if you think that {bad} is to blame all the same."
    return Notice(
        key=f"{incident.id}:fleet",
        thread=f"fleet:{incident.fleet}",
        tone=Tone.ALARM,
        headline=f"Many prompts got worse at once; all reverts are held ({name} {'first' if begun else 'too'})",
        step=f"{_sentence(incident.recovery_reason)} That looks like an outage upstream and not like a prompt: nothing "
        f"more is reverted by itself. {_arithmetic(incident, watch)} {ask}",
        at=at,
        evidence=tuple(f"{r['rule']}: {r['sentence']}" for r in incident.tripped),
        links=_links(incident.compare_url),
    )


def _alerted(version: str, first: Reading) -> str:
    if first.state is ReadingState.UNCLEAR:
        return f"{version} looks worse, or its provider is"
    if first.state is ReadingState.EXPLAINED:
        if first.because:
            return f"{version} looks worse, and something else can explain it"
        return f"{version} looks worse, or its requests changed"
    return _worse(version, late=first.late is not None)


def _worse(version: str, *, late: bool) -> str:
    """What is wrong, without blaming a version for what did not begin with it."""
    return (
        f"production got worse under {version}, not since its promotion" if late else f"{version} made production worse"
    )


def limited(watch: Watch, why: str, at: datetime) -> Notice:
    """A watch that cannot do its whole work says so at once."""
    return Notice(
        key=f"{watch.id}:limited",
        thread=watch.id,
        tone=Tone.QUIET,
        headline=f"{watch.prompt_slug}: {watch.candidate_label} is watched with limits",
        step=_sentence(why),
        at=at,
        facts=_watch_facts(watch),
    )


def holding(watch: Watch, at: datetime) -> Notice:
    """The watch cannot see."""
    since = words.clock_time(watch.trouble_since)
    return Notice(
        key=f"{watch.id}:holding:{since}",
        thread=watch.id,
        tone=Tone.WAITING,
        headline=f"{watch.prompt_slug}: the watch over {watch.candidate_label} holds",
        step=f"{_sentence(watch.trouble)} Nothing is judged or reverted until it can be seen again.",
        at=at,
        facts=_watch_facts(watch),
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
        facts=_watch_facts(watch),
    )


def blind_to_promotions(platform: str, since: datetime, why: str, at: datetime) -> Notice:
    """Nothing is guarded while promotions cannot be seen."""
    return Notice(
        key=f"platform:blind:{since.isoformat()}",
        thread=f"platform:{since.isoformat()}",
        tone=Tone.ALARM,
        headline="The watchdog cannot see promotions",
        step=f"{_sentence(why)} Since {words.clock_time(since)} no promotion on {platform} can be noticed. "
        "Those made meanwhile are caught up with as soon as it can see again.",
        at=at,
    )


def seeing_promotions(platform: str, since: datetime, at: datetime) -> Notice:
    """Everything is guarded again."""
    return Notice(
        key=f"platform:seeing:{since.isoformat()}",
        thread=f"platform:{since.isoformat()}",
        tone=Tone.GOOD,
        headline="The watchdog can see promotions again",
        step=f"{platform} could not be read for {words.duration(at - since)}. "
        "Promotions made meanwhile are watched now.",
        at=at,
    )


def diagnosis(standing: Notice, findings: Sequence[Finding], n: int, at: datetime) -> Notice:
    """
    What was found upstream; where the incident stands is as it was.

    Args:
        standing: the latest notice of the thread.
    """
    # What points upstream is read first, and what could not be found out before what is well.
    ranked = sorted(findings, key=lambda f: (True, None, False).index(f.trouble))
    lines = [f.line for f in ranked[:_MOST_FINDINGS]]
    if left := len(ranked) - len(lines):
        lines.append(f"{words.count(left, 'more finding')}: see `promptwatch show {standing.thread[:8]}`")
    step = "\n".join((conclusion(findings), *lines))
    return replace(standing, key=diagnosis_key(standing.thread, n), step=step, at=at)


def who(promotion: Promotion) -> str:
    """Who promoted, and when."""
    actor = promotion.actor_id or {ActorType.UNKNOWN: "somebody"}.get(promotion.actor_type, promotion.actor_type.value)
    if promotion.not_before < promotion.at:
        return f"{actor}, between {words.clock_time(promotion.not_before)} and {words.clock_time(promotion.at)}"
    return f"{actor}, {words.clock_time(promotion.at)}"


def _notice(incident: Incident, watch: Watch, at: datetime, name: str, tone: Tone, headline: str, step: str) -> Notice:
    return Notice(
        key=f"{incident.id}:{name}",
        thread=incident.id,
        tone=tone,
        headline=headline,
        step=step,
        at=at,
        facts=(
            Fact(label="Prompt", value=incident.prompt_slug),
            Fact(label="Bad version", value=watch.candidate_label),
            Fact(label="Good version", value=watch.control_label),
            Fact(label="Promoted by", value=who(watch.promotion)),
            Fact(label="Rule", value=", ".join(str(r["rule"]) for r in incident.tripped)),
            *_peers(watch),
            Fact(label="Rollback", value=_ROLLBACK[incident.state]),
            Fact(label="Recovery", value=_RECOVERY[incident.recovery]),
        ),
        evidence=(*(f"{r['rule']}: {r['sentence']}" for r in incident.tripped), *_beside(watch)),
        changes=incident.changes,
        links=_links(incident.compare_url),
    )


_ROLLBACK = {
    SagaState.OPEN: "deciding",
    SagaState.INTENT: "under way",
    SagaState.SENDING: "under way",
    SagaState.PROMOTED: "sent, not read back yet",
    SagaState.CONFIRMED: "confirmed by read-back",
    SagaState.DONE: "done and audited",
    SagaState.SUPERSEDED: "superseded by a human",
    SagaState.HELD: "held by a guard",
    SagaState.AWAIT_APPROVAL: "waiting for a human",
    SagaState.NEEDS_HUMAN: "needs a human",
}
_RECOVERY = {
    Recovery.PENDING: "not yet",
    Recovery.VERIFYING: "being verified",
    Recovery.RECOVERED: "recovered",
    Recovery.UPSTREAM_SUSPECTED: "not recovered: look upstream",
    Recovery.UNVERIFIED: "not verified: too few calls",
    Recovery.VOID: "nothing to verify",
}


def _arithmetic(incident: Incident, watch: Watch) -> str:
    """The leading rule's line, with how many calls and how much time it took."""
    first = Reading.from_json(incident.tripped[0])
    after = first.tripped_after if first.tripped_after is not None else first.calls
    took = ""
    if watch.first_call_at is not None and watch.judged_until is not None:
        took = f" ({words.duration(watch.judged_until - watch.first_call_at)})"
    return f"{_sentence(first.sentence)} Verdict after {words.count(after, 'call')} of {watch.candidate_label}{took}."


def _what_to_do(event: Event, bad: str, good: str) -> str:
    if event is Event.HUMAN_OVERRIDDEN:
        return f"Production is on {good} now; promote the human's version again if that was intended."
    return f"Look at the pointer on the platform, and promote {good} by hand if production is still on {bad}."


def _beside(watch: Watch) -> tuple[str, ...]:
    """What else moved."""
    return tuple(f"beside it: {line}" for line in for_notice(watch.ledger))


def _watch_facts(watch: Watch) -> tuple[Fact, ...]:
    return (
        Fact(label="Prompt", value=watch.prompt_slug),
        Fact(label="Version", value=watch.candidate_label),
        Fact(label="Compared with", value=watch.control_label or "nothing"),
        Fact(label="Promoted by", value=who(watch.promotion)),
        Fact(label="Calls judged", value=f"{watch.candidate.calls:,}"),
    )


def _peers(watch: Watch) -> tuple[Fact, ...]:
    return (Fact(label="Peers", value=watch.peers_note),) if watch.peers_note else ()


def _links(compare_url: str) -> tuple[Link, ...]:
    return (Link(text="Compare the versions", url=compare_url),) if compare_url else ()


def _sentence(text: str) -> str:
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
