"""What people are told while a revert is undone: in the incident's own thread, with who asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core import guards, phrasing
from watchdog.core.notice import Fact, Notice, Tone
from watchdog.core.rollback import Event, SagaState

if TYPE_CHECKING:
    from datetime import datetime

    from watchdog.core.incident import Incident
    from watchdog.core.watch import Watch


def asked(undo: Incident, watch: Watch, at: datetime) -> Notice:
    """Somebody wants the reverted version back."""
    bad, good = watch.candidate_label, watch.control_label
    step = f"Asked for by {undo.asked_by}: putting {bad} back on production now, in place of {good}."
    return _notice(undo, watch, at, "asked", Tone.WAITING, f"undoing the revert of {bad}", step)


def progressed(undo: Incident, watch: Watch, event: Event, why: str, at: datetime) -> Notice | None:
    """The message for one step of the saga; None for steps that nobody needs to hear of."""
    bad, good, by = watch.candidate_label, watch.control_label, undo.asked_by
    match undo.state:
        case SagaState.CONFIRMED:
            headline = f"{bad} is back on production, its revert was undone for {by}"
            step = (
                f"Production is on {bad} again ({why}). It was asked for by {by}: {bad} is watched and told about, "
                "and not reverted by itself."
            )
            return _notice(undo, watch, at, "confirmed", Tone.WAITING, headline, step)
        case SagaState.DONE:
            headline = f"{bad} is back on production, its revert was undone for {by}"
            return _notice(undo, watch, at, "done", Tone.QUIET, headline, f"Undo audited: {why}.")
        case SagaState.SUPERSEDED:
            headline = f"the revert of {bad} was not undone, a human acted first"
            step = f"{phrasing.sentence(why)} That stands, and nothing was written."
            return _notice(undo, watch, at, "superseded", Tone.QUIET, headline, step)
        case SagaState.CANCELLED:
            headline = f"the revert of {bad} stands, its undo was cancelled"
            return _notice(undo, watch, at, "cancelled", Tone.QUIET, headline, phrasing.sentence(why))
        case SagaState.NEEDS_HUMAN:
            headline = f"undoing the revert of {bad} needs a human NOW"
            step = (
                f"{phrasing.sentence(why)} Look at the pointer on the platform, and promote {bad} by hand if "
                f"production is still on {good}."
            )
            return _notice(undo, watch, at, "needs_human", Tone.ALARM, headline, step)
        case SagaState.HELD if event is Event.HELD:
            headline = f"undoing the revert of {bad} is held"
            step = f"{phrasing.sentence(why)} {guards.what_to_do(undo.guard, undo.id, bad)}"
            return _notice(undo, watch, at, f"held:{undo.token}", Tone.WAITING, headline, step)
        case SagaState.INTENT if event is Event.APPROVED:
            headline = f"undoing the revert of {bad}"
            return _notice(undo, watch, at, f"approved:{undo.token}", Tone.WAITING, headline, phrasing.sentence(why))
        case _:
            return None


def blind(undo: Incident, watch: Watch, why: str, at: datetime) -> Notice:
    """It waits because the platform cannot be read."""
    bad = watch.candidate_label
    step = f"{phrasing.sentence(why)} It goes on as soon as the platform answers; promote {bad} by hand if you can."
    return _notice(undo, watch, at, "blind", Tone.ALARM, f"putting {bad} back waits for the platform", step)


def _notice(undo: Incident, watch: Watch, at: datetime, name: str, tone: Tone, headline: str, step: str) -> Notice:
    return Notice(
        key=f"{undo.id}:{name}",
        thread=undo.thread,
        tone=tone,
        headline=f"{undo.prompt_slug}: {headline}",
        step=step,
        at=at,
        facts=(
            Fact(label="Prompt", value=undo.prompt_slug),
            Fact(label="Put back", value=watch.candidate_label),
            Fact(label="In place of", value=watch.control_label),
            Fact(label="Asked for by", value=undo.asked_by),
            Fact(label="Undo", value=undo.state.value.replace("_", " ")),
        ),
        links=phrasing.links(undo.compare_url),
    )
