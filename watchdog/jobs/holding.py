"""Putting on hold and taking off again, by commands and by the kill switches that are read at each round."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.core import hold_messages, words
from watchdog.core.commands import Answer, CommandKind, Outcome
from watchdog.core.guards import Guard
from watchdog.core.holds import Hold, HoldKind, Source, thrown_sentence
from watchdog.core.rollback import SagaState
from watchdog.store import holds, incidents, journal, outbox

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.commands import Command
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

_KINDS = {
    CommandKind.HOLD: HoldKind.HOLD,
    CommandKind.RESUME: HoldKind.HOLD,
    CommandKind.SNOOZE: HoldKind.SNOOZE,
    CommandKind.MUTE: HoldKind.MUTE,
}


def execute(deps: Deps, connection: Connection, command: Command, now: datetime) -> Answer:
    """A command about a prompt, or about all where it names none."""
    prompt_id = _prompt_id(connection, command.subject)
    if prompt_id is None:
        text = f"no prompt {command.subject!r} is known; the platform names them, by their slugs"
        return Answer(outcome=Outcome.REFUSED, text=text)
    kind = _KINDS[command.kind]
    rule = str(command.arguments.get("rule", ""))
    standing = [
        h
        for h in holds.in_force(connection, now)
        if h.kind is kind and h.prompt_id == prompt_id and h.source is Source.COMMAND and h.rule == rule
    ]
    if deps.claims.shared and command.kind is CommandKind.RESUME and not prompt_id:
        # One that was thrown at a replica which is no more; whoever lives and has it thrown records it again.
        standing += [h for h in holds.in_force(connection, now) if h.source is not Source.COMMAND]
    if command.kind is CommandKind.RESUME or command.arguments.get("off"):
        return _end(deps, connection, command, prompt_id, kind, standing, now)
    return _begin(connection, command, prompt_id, kind, rule, standing, now)


def follow_switches(deps: Deps, now: datetime) -> int:
    """
    Record a kill switch that was thrown or taken back since the last round, and tell of it. What is decided does not
    wait for this: every decision looks at the switches themselves.

    Returns: how many changed.
    """
    # Each replica has switches of its own, and speaks for these alone.
    at = f" at {deps.claims.name}" if deps.claims.name else ""
    thrown = {t.source: replace(t, where=f"{t.where}{at}") for t in deps.thrown()}
    with deps.store.read() as connection:
        recorded = [h for h in holds.in_force(connection, now) if h.source is not Source.COMMAND and h.by.endswith(at)]
    gone = [h for h in recorded if h.source not in thrown or thrown[h.source].why != h.why]
    known = {h.source for h in recorded if h not in gone}
    fresh = [t for t in thrown.values() if t.source not in known]
    if not gone and not fresh:
        return 0
    with deps.store.write(counting=True) as connection:
        for hold in gone:
            if holds.end(connection, hold, at=now, by=hold.by) and hold.source not in thrown:
                outbox.put(connection, hold_messages.ended(hold, hold.by, waiting(connection, ""), now))
        for switch in fresh:
            hold = Hold(
                seq=0,
                kind=HoldKind.HOLD,
                source=switch.source,
                prompt_id="",
                slug="",
                rule="",
                since=now,
                until=None,
                by=switch.where,
                why=switch.why,
            )
            _record(connection, hold, now)
            log.warning("a kill switch was thrown", extra={"action": "held", "why": thrown_sentence(switch)})
    deps.bell.sender.set()
    return len(gone) + len(fresh)


def waiting(connection: Connection, prompt_id: str) -> str:
    """What the hold left waiting for a human, as a sentence; empty where nothing is."""
    held = [
        f"{i.prompt_slug} (`promptwatch approve {words.short(i.id)}`)"
        for i in incidents.in_state(connection, [SagaState.HELD])
        if i.guard == Guard.HOLD.value and prompt_id in ("", i.saga.prompt_id)
    ]
    if not held:
        return ""
    return f"{words.count(len(held), 'revert')} held meanwhile, and not made by themselves now: {', '.join(held)}."


def _begin(
    connection: Connection,
    command: Command,
    prompt_id: str,
    kind: HoldKind,
    rule: str,
    standing: list[Hold],
    now: datetime,
) -> Answer:
    seconds = command.arguments.get("for_s")
    hold = Hold(
        seq=0,
        kind=kind,
        source=Source.COMMAND,
        prompt_id=prompt_id,
        slug=command.subject,
        rule=rule,
        since=now,
        until=None if seconds is None else now + timedelta(seconds=seconds),
        by=command.by,
        why=str(command.arguments.get("why", "")),
    )
    for earlier in standing:
        holds.end(connection, earlier, at=now, by=command.by)
    _record(connection, hold, now)
    instead = f" (instead of: {standing[-1].sentence})" if standing else ""
    return Answer(outcome=Outcome.DONE, text=f"{hold.sentence}{instead}")


def _record(connection: Connection, hold: Hold, now: datetime) -> None:
    holds.begin(connection, hold)
    recorded = holds.history_of(connection, hold.kind, hold.prompt_id)[-1]
    outbox.put(connection, hold_messages.begun(recorded, now))


def _end(
    deps: Deps,
    connection: Connection,
    command: Command,
    prompt_id: str,
    kind: HoldKind,
    standing: list[Hold],
    now: datetime,
) -> Answer:
    left = waiting(connection, prompt_id) if kind is HoldKind.HOLD else ""
    still = _still_held(deps, connection, prompt_id, standing, now) if kind is HoldKind.HOLD else ""
    if not standing:
        before = holds.history_of(connection, kind, prompt_id)
        ended = [h for h in before if h.ended_at is not None and h.source is Source.COMMAND]
        last = max(ended, key=lambda h: h.ended_at or now, default=None)
        already = f"already ended by {last.ended_by} at {words.clock_time(last.ended_at)}" if last else "it is not"
        what = command.subject or "everything"
        verb = {HoldKind.HOLD: "on hold", HoldKind.SNOOZE: "snoozed", HoldKind.MUTE: "muted"}[kind]
        text = f"{what} is not {verb} by a command: {already}. {still}{left}".strip()
        return Answer(outcome=Outcome.STALE, text=text)
    for hold in standing:
        if holds.end(connection, hold, at=now, by=command.by):
            outbox.put(connection, hold_messages.ended(hold, command.by, left, now))
    return Answer(
        outcome=Outcome.DONE,
        text=f"{command.subject or 'everything'} is {hold_messages.OVER[kind]}. {still}{left}".strip(),
    )


def _still_held(deps: Deps, connection: Connection, prompt_id: str, ending: list[Hold], now: datetime) -> str:
    """What holds it all the same, and how to end that; ends with a blank."""
    parts = [f"But {thrown_sentence(t)}; take that back as well." for t in deps.thrown()]
    going = {h.seq for h in ending}
    for hold in holds.in_force(connection, now):
        if hold.seq in going or hold.source is not Source.COMMAND or not hold.is_of(prompt_id):
            continue
        if hold.kind is HoldKind.HOLD and hold.prompt_id != prompt_id:
            parts.append(f"But {hold.sentence}; `promptwatch resume` without a prompt ends that.")
        elif hold.kind is HoldKind.SNOOZE:
            parts.append(f"But {hold.sentence}; `promptwatch snooze {hold.slug} --off` ends that.")
    return "".join(f"{part} " for part in parts)


def _prompt_id(connection: Connection, slug: str) -> str | None:
    """Empty for all prompts; None where no prompt is called so."""
    if not slug:
        return ""
    return next((seen.prompt_id for seen in journal.pointers_seen(connection).values() if seen.slug == slug), None)
