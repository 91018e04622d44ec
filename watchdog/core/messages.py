"""What people are told at each step, composed from the facts. Rendering is the business of `watchdog.notify`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from watchdog.core import guards, phrasing, undo_messages, words
from watchdog.core.diagnosis import conclusion
from watchdog.core.incident import Incident, Recovery
from watchdog.core.judgement import Reading
from watchdog.core.notice import Fact, Notice, Tone
from watchdog.core.rollback import Event, SagaState
from watchdog.core.upstream import diagnosis_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from watchdog.core.model import Promotion
    from watchdog.core.upstream import Finding
    from watchdog.core.watch import Watch

# Keys of the notices that promotions cannot be seen, and that they can again, begin so; what follows is since when.
BLIND_KEY = "platform:blind:"
SEEING_KEY = "platform:seeing:"
# A phone shows no more.
_MOST_FINDINGS = 6


def tripped(incident: Incident, watch: Watch, at: datetime) -> Notice:
    """The first message of an incident: what was found, and what is being done about it."""
    slug, bad, good = incident.prompt_slug, watch.candidate_label, watch.control_label
    arithmetic, short = _arithmetic(incident, watch), words.short(incident.id)
    match incident.state:
        case SagaState.HELD:
            headline = f"{slug}: {bad} made production worse; NOT reverted, a guard holds"
            step = f"{arithmetic} {_held(incident, good)}"
        case SagaState.AWAIT_APPROVAL:
            worse = phrasing.worse(bad, late=incident.tripped[0].get("late") is not None)
            headline = f"{slug}: {worse}; reverting to {good} is suggested"
            why = f"It is not done unasked: {incident.recovery_reason}. " if incident.recovery_reason else ""
            step = f"{arithmetic} {why}{_ask(incident, bad, good)}"
        case SagaState.COUNTDOWN:
            due_at = incident.saga.due_at or at
            headline = f"{slug}: {bad} made production worse; reverting to {good} at {due_at:%H:%M:%S} UTC"
            step = (
                f"{arithmetic} {bad} -> {good} is reverted at {words.clock_time(due_at)}, in "
                f"{words.duration(due_at - at)}, unless you stop it: `promptwatch cancel {short}`. "
                f"`promptwatch approve {short}` does it at once. Should the numbers come back by then, it is "
                "cancelled by itself."
            )
        case _:
            headline = f"{slug}: {bad} made production worse; reverting to {good}"
            step = f"{arithmetic} Reverting {bad} -> {good} now."
    return _notice(incident, watch, at, "tripped", Tone.ALARM, headline, step)


def progressed(incident: Incident, watch: Watch, event: Event, why: str, at: datetime) -> Notice | None:
    """The message for one step of the saga; None for steps that nobody needs to hear of."""
    if incident.saga.undo_of:
        return undo_messages.progressed(incident, watch, event, why, at)
    slug, bad, good = incident.prompt_slug, watch.candidate_label, watch.control_label
    match incident.state:
        case SagaState.INTENT if event in (Event.INTENDED, Event.APPROVED):
            headline = f"{slug}: {bad} made production worse; reverting to {good}"
            step = f"{phrasing.sentence(why)} Reverting {bad} -> {good} now."
            return _notice(incident, watch, at, f"intended:{incident.token}", Tone.ALARM, headline, step)
        case SagaState.HELD if event is Event.HELD:
            headline = f"{slug}: {bad} made production worse; NOT reverted, a guard holds"
            return _notice(incident, watch, at, f"held:{incident.token}", Tone.ALARM, headline, _held(incident, good))
        case SagaState.CANCELLED:
            headline = f"{slug}: reverting {bad} was cancelled; it stays on production"
            step = (
                f"{phrasing.sentence(why)} {bad} stays, and is judged on. A promotion has one incident, ever: should "
                f"it get worse again, you are told, and {good} is put back by nobody but you."
            )
            return _notice(incident, watch, at, "cancelled", Tone.QUIET, headline, step)
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
            step = f"{phrasing.sentence(why)} The human's decision stands and this incident is closed."
            return _notice(incident, watch, at, "superseded", Tone.QUIET, headline, step)
        case SagaState.NEEDS_HUMAN:
            headline = f"{slug}: {bad} needs a human NOW"
            step = f"{phrasing.sentence(why)} {_what_to_do(event, bad, good)}"
            return _notice(incident, watch, at, "needs_human", Tone.ALARM, headline, step)
        case _:
            return None


def blind(incident: Incident, watch: Watch, why: str, at: datetime) -> Notice:
    """The rollback waits because the platform cannot be read."""
    if incident.saga.undo_of:
        return undo_messages.blind(incident, watch, why, at)
    headline = f"{incident.prompt_slug}: reverting {watch.candidate_label} waits for the platform"
    meanwhile = f"It goes on as soon as the platform answers; promote {watch.control_label} by hand if you can."
    step = f"{phrasing.sentence(why)} {meanwhile}"
    return _notice(incident, watch, at, "blind", Tone.ALARM, headline, step)


def blocked(incident: Incident, watch: Watch, replica: str, at: datetime) -> Notice:
    """The rollback waits because the replica that sends it is stopped."""
    headline = f"{incident.prompt_slug}: what was begun waits for a replica that is stopped"
    step = (
        f"Replica {replica} was stopped within its request to the platform, which may still leave. Nobody else sends "
        "until that process has ended: end it, and another goes on. Or promote the version that you want by hand."
    )
    return _notice(incident, watch, at, "blocked", Tone.ALARM, headline, step)


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
    step = f"{phrasing.sentence(incident.recovery_reason)} {tail}".strip()
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


def promoted(promotion: Promotion) -> str:
    """Who promoted what, and when, as one clause."""
    actor = promotion.actor_id or "somebody"
    return f"{actor} promoted {promotion.to_version_id} at {words.clock_time(promotion.at)}"


def fleet(incident: Incident, watch: Watch, at: datetime) -> Notice:
    """Many prompts tripped at once: all reverts are held, and people are asked once, in one thread for all of them."""
    begun = incident.fleet == incident.id
    name, good = incident.prompt_slug, watch.control_label
    ask = guards.what_to_do(guards.Guard.FLEET.value, incident.id, f"{good} of {name}")
    return Notice(
        key=f"{incident.id}:fleet",
        thread=f"fleet:{incident.fleet}",
        tone=Tone.ALARM,
        headline=f"Many prompts got worse at once; all reverts are held ({name} {'first' if begun else 'too'})",
        step=f"{phrasing.sentence(incident.recovery_reason)} That looks like an outage upstream and not like a prompt: "
        f"nothing more is reverted by itself. {_arithmetic(incident, watch)} {ask}",
        at=at,
        evidence=tuple(f"{r['rule']}: {r['sentence']}" for r in incident.tripped),
        links=phrasing.links(incident.compare_url),
    )


def blind_to_promotions(platform: str, since: datetime, why: str, at: datetime) -> Notice:
    """Nothing is guarded while promotions cannot be seen."""
    return Notice(
        key=f"{BLIND_KEY}{since.isoformat()}",
        thread=f"platform:{since.isoformat()}",
        tone=Tone.ALARM,
        headline="The watchdog cannot see promotions",
        step=f"{phrasing.sentence(why)} Since {words.clock_time(since)} no promotion on {platform} can be noticed. "
        "Those made meanwhile are caught up with as soon as it can see again.",
        at=at,
    )


def seeing_promotions(platform: str, since: datetime, at: datetime) -> Notice:
    """Everything is guarded again."""
    return Notice(
        key=f"{SEEING_KEY}{since.isoformat()}",
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
        lines.append(f"{words.count(left, 'more finding')}: see `promptwatch show {words.short(standing.thread)}`")
    step = "\n".join((conclusion(findings), *lines))
    return replace(standing, key=diagnosis_key(standing.thread, n), step=step, at=at)


def _notice(incident: Incident, watch: Watch, at: datetime, name: str, tone: Tone, headline: str, step: str) -> Notice:
    return Notice(
        key=f"{incident.id}:{name}",
        thread=incident.thread,
        tone=tone,
        headline=headline,
        step=step,
        at=at,
        facts=(
            Fact(label="Prompt", value=incident.prompt_slug),
            Fact(label="Bad version", value=watch.candidate_label),
            Fact(label="Good version", value=watch.control_label),
            Fact(label="Promoted by", value=phrasing.who(watch.promotion)),
            Fact(label="Rule", value=", ".join(str(r["rule"]) for r in incident.tripped)),
            *phrasing.peers(watch),
            Fact(label="Rollback", value=_ROLLBACK[incident.state]),
            Fact(label="Recovery", value=_RECOVERY[incident.recovery]),
        ),
        evidence=(*(f"{r['rule']}: {r['sentence']}" for r in incident.tripped), *phrasing.beside(watch)),
        changes=incident.changes,
        links=phrasing.links(incident.compare_url),
    )


_ROLLBACK = {
    SagaState.OPEN: "deciding",
    SagaState.COUNTDOWN: "counting down",
    SagaState.CANCELLED: "cancelled",
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
    calls = f"{words.count(after, 'call')} of {watch.candidate_label}{took}"
    return f"{phrasing.sentence(first.sentence)} Verdict after {calls}."


def _held(incident: Incident, good: str) -> str:
    """Which guard refused, and what can be done about it."""
    held = f"Reverting to {good} is held: {incident.recovery_reason}."
    return f"{held} {guards.what_to_do(incident.guard, incident.id, good)}"


def _ask(incident: Incident, bad: str, good: str) -> str:
    short = words.short(incident.id)
    return (
        f"`promptwatch approve {short}` puts {good} back; `promptwatch cancel {short}` leaves {bad} on production. "
        "The watchdog does neither by itself."
    )


def _what_to_do(event: Event, bad: str, good: str) -> str:
    if event is Event.HUMAN_OVERRIDDEN:
        return f"Production is on {good} now; promote the human's version again if that was intended."
    return f"Look at the pointer on the platform, and promote {good} by hand if production is still on {bad}."
