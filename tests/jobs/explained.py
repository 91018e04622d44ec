"""Packets of a `World`, through text as a file would hold them, and what the program makes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from watchdog.cli.packets import packet
from watchdog.core.explain import explain
from watchdog.core.packet import opened, sealed
from watchdog.store import audit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.world import World
    from watchdog.core.explain import Explanation
    from watchdog.core.watch import Watch


def exported(world: World, watch: Watch | None = None) -> dict[str, Any]:
    """The packet of a watch, the newest unless another is named."""
    with world.store.read() as connection:
        text = json.dumps(packet(connection, watch or world.watch))
    value: dict[str, Any] = json.loads(text)
    return value


def explained(value: dict[str, Any], *, resealed: bool = False) -> Explanation:
    """
    Args:
        resealed: with the sum made right again, as somebody would who knows how it is made.
    """
    return explain(opened(sealed(value) if resealed else value))


def everything(world: World) -> list[Explanation]:
    """All watches of the world, explained."""
    return [explained(exported(world, watch)) for watch in world.watches()]


def problems(found: Iterable[Explanation]) -> list[str]:
    """Every difference of all of them."""
    return [
        line for one in found for line in (*one.differences, *(d for point in one.points for d in point.differences))
    ]


def kinds(found: Explanation) -> list[str]:
    """What was decided, oldest first; without how the watch stands."""
    return [point.kind for point in found.points if point.kind != "standing"]


def chain_is_whole(world: World) -> bool:
    with world.store.read() as connection:
        return audit.checked(connection).broken is None
