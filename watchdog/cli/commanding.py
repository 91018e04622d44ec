"""
`approve`, `cancel`, `undo`, `hold`, `resume`, `snooze`, `mute`: what a person asks for, as a row in the daemon's
database. The daemon executes it within a second or two and answers; nothing else writes to the platform.
"""

from __future__ import annotations

import getpass
import socket
import sys
import uuid
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, NoReturn

from watchdog.cli import facts
from watchdog.cli.exits import FAILED, OK, UNAVAILABLE, USAGE, out, say, stop
from watchdog.cli.reporting import opened, print_json
from watchdog.clock import SystemClock
from watchdog.config.kinds import parse_duration
from watchdog.core import words
from watchdog.core.commands import CHANGING, COUNTS_FOR, Command, CommandKind, Outcome
from watchdog.notify.harmless import one_line
from watchdog.store import commands
from watchdog.store.engine import daemon_is_running

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from watchdog.store.database import Store

_PATIENCE_S = 15.0
# A daemon that runs answers sooner than this; then it is asked whether there is one at all.
_SOON_S = 3.0
_POLL_S = 0.1
_LONGEST_NAME = 100
_LONGEST_WHY = 300
_LONGEST_HOLD_DAYS = 366


@dataclass(frozen=True, kw_only=True)
class Asked:
    """
    How a command is given, whatever it is.

    Attributes:
        by: who asks; None for the login name and the machine.
        wait: for the daemon's answer.
    """

    config: Path | None
    store: str | None
    by: str | None
    wait: bool
    as_json: bool


def about_incidents(kind: str, identifiers: Sequence[str], asked: Asked, **arguments: Any) -> NoReturn:
    """
    Ends the program with the answer's exit status.

    Args:
        kind: a value of `CommandKind`.
    """
    database = opened(asked.config, asked.store, read_only=False)
    with database.read() as connection:
        subjects = [_incident(facts.by_prefix(connection, i)[0], i) for i in identifiers]
    _give(database, [_command(CommandKind(kind), subject, asked, arguments) for subject in subjects], asked)


def about_prompt(kind: str, slug: str, asked: Asked, **arguments: Any) -> NoReturn:
    """
    Args:
        slug: empty for all prompts.
    """
    if any(c in slug for c in "*?["):
        # A hold must not depend on which prompts there are by then.
        stop(USAGE, f"{slug!r} is a pattern; name one prompt by its slug, or (hold, resume) none for all")
    database = opened(asked.config, asked.store, read_only=False)
    _give(database, [_command(CommandKind(kind), slug, asked, arguments)], asked)


def seconds_of(text: str | None) -> float | None:
    """A duration such as `2h`, as a command line gives it."""
    if text is None:
        return None
    try:
        span: timedelta = parse_duration(text)
    except ValueError:
        stop(USAGE, f"--for {text!r}: must be a number and a unit, such as 30m, 2h or 7d")
    if not 1.0 <= span.total_seconds() <= _LONGEST_HOLD_DAYS * 86_400.0:
        stop(USAGE, f"--for {text!r}: must be at least 1s and at most {_LONGEST_HOLD_DAYS}d")
    return span.total_seconds()


def reason_of(text: str) -> str:
    return one_line(text)[:_LONGEST_WHY]


def _incident(found: Sequence[Any], identifier: str) -> str:
    if len(found) != 1:
        what = f"fits {', '.join(i.id for i in found)}; give more of the id" if found else "fits no incident"
        stop(FAILED, f"{identifier!r} {what}; see `promptwatch incidents`")
    return str(found[0].id)


def _command(kind: CommandKind, subject: str, asked: Asked, arguments: Mapping[str, Any]) -> Command:
    return Command(
        id=str(uuid.uuid4()),
        kind=kind,
        subject=subject,
        by=one_line(asked.by or _somebody())[:_LONGEST_NAME],
        requested_at=SystemClock().now(),
        arguments={name: value for name, value in arguments.items() if value not in (None, "", False)},
    )


def _somebody() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"  # in a container, a user without a name
    return f"{user}@{socket.gethostname()}"


def _give(database: Store, given: Sequence[Command], asked: Asked) -> NoReturn:
    with database.write() as connection:
        for command in given:
            commands.ask(connection, command)
    answered = _answers(database, given) if asked.wait else {}
    if asked.as_json:
        print_json([_facts(answered.get(c.id, c)) for c in given])
    else:
        for command in given:
            say(out(), _line(database, answered.get(command.id, command), wait=asked.wait))
    sys.stdout.flush()
    raise SystemExit(_status([answered.get(c.id, c) for c in given], wait=asked.wait))


def _answers(database: Store, given: Sequence[Command]) -> dict[str, Command]:
    """What was executed, by id, until all were, or nobody seems to be there to do it."""
    clock, never = SystemClock(), Event()
    began = clock.monotonic()
    asked_for_daemon = False
    while True:
        with database.read() as connection:
            found = [commands.find(connection, c.id) for c in given]
        done = {c.id: c for c in found if c is not None and c.outcome is not None}
        waited_s = clock.monotonic() - began
        if len(done) == len(given) or waited_s > _PATIENCE_S:
            return done
        if waited_s > _SOON_S and not asked_for_daemon:
            asked_for_daemon = True
            if daemon_is_running(database.url) is False:
                return done
        never.wait(_POLL_S)


def _line(database: Store, command: Command, *, wait: bool) -> str:
    about = words.short(command.subject) if _is_about_incident(command) else command.subject
    name = f"{command.kind.value} {about}".strip()
    if command.outcome is not None:
        return f"{name}: {command.answer}"
    if not wait:
        return f"{name}: recorded; the daemon executes it within a second or two"
    if daemon_is_running(database.url) is False:
        return (
            f"{name}: recorded; no daemon is running on {database.name}, it is executed when one runs{_within(command)}"
        )
    return f"{name}: recorded, and not executed within {_PATIENCE_S:g} s; look at the daemon's log"


def _within(command: Command) -> str:
    return f" within {words.duration(COUNTS_FOR)}" if command.kind in CHANGING else ""


def _is_about_incident(command: Command) -> bool:
    return command.kind in (CommandKind.APPROVE, CommandKind.CANCEL, CommandKind.UNDO)


def _status(given: Sequence[Command], *, wait: bool) -> int:
    if any(c.outcome not in (None, Outcome.DONE) for c in given):
        return FAILED
    return UNAVAILABLE if wait and any(c.outcome is None for c in given) else OK


def _facts(command: Command) -> dict[str, Any]:
    return facts.command_facts(command)
