"""Commands as the command line records them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from watchdog.core.commands import Command, CommandKind
from watchdog.store import commands

if TYPE_CHECKING:
    from tests.world import World


def record(world: World, kind: str, subject: str = "", by: str = "ana", **arguments: object) -> str:
    """Returns: the command's id; nobody has executed it."""
    command = Command(
        id=str(uuid.uuid4()),
        kind=CommandKind(kind),
        subject=subject,
        by=by,
        requested_at=world.clock.now(),
        arguments=arguments,
    )
    with world.store.write() as connection:
        commands.ask(connection, command)
    return command.id


def found(world: World, command_id: str) -> Command:
    with world.store.read() as connection:
        command = commands.find(connection, command_id)
    assert command is not None
    return command


def ask(world: World, kind: str, subject: str = "", by: str = "ana", **arguments: object) -> Command:
    """Recorded, and executed by the actor, with whatever follows from it at once."""
    command_id = record(world, kind, subject, by, **arguments)
    world.act()
    return found(world, command_id)
